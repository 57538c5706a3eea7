"""Whether a subscriber still is who it was: keys expire and are revoked while sockets and streams stay open."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from automations.access.callers import Caller
from automations.api.context import RequestContext
from automations.errors import RequestError, Unauthenticated

CHECK_SECONDS = 5.0
"""Nothing is told to a subscriber who was not looked at for so long."""


class Permit:
    """A caller's leave to hear. `ask` tells who a connection is, as it did when the connection was opened."""

    def __init__(
        self,
        ask: Callable[[HTTPConnection], Awaitable[RequestContext]],
        connection: HTTPConnection,
        context: RequestContext,
    ) -> None:
        self._ask, self._connection, self.context = ask, connection, context
        self._checked_at = time.monotonic()

    @property
    def caller(self) -> Caller:
        return self.context.caller

    async def check(self) -> None:
        """Unauthenticated where the caller is nobody any more, or another one."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        try:
            now = (await self._ask(self._connection)).caller
        except RequestError as error:
            raise Unauthenticated(str(error)) from None
        if (now.tenant_id, now.role) != (self.caller.tenant_id, self.caller.role):
            raise Unauthenticated("The key does not mean what it meant; connect again.")
        self._checked_at = time.monotonic()
