"""Which Host headers are answered: a page elsewhere must not reach this server, which trusts all, by DNS rebinding."""

from collections.abc import Sequence
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class HostCheck:
    """Answers 421 to a Host that is neither an IP address, nor localhost, nor a name that the settings allow.

    An IP address is safe: a page that was loaded by a name can only send that name.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self._app, self._allowed = app, allowed

    @classmethod
    def middleware(cls, host: str, allowed_hosts: Sequence[str]) -> list[Middleware]:
        """For a server that listens on `host`."""
        return [Middleware(cls, frozenset(name.lower() for name in ("localhost", host, *allowed_hosts)))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and not self._is_allowed(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse(
                "This server does not answer to that Host. List the name in AUTOMATIONS_ALLOWED_HOSTS.\n", 421
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.lower().rstrip(".")
        return name in self._allowed or _is_address(name.strip("[]"))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    return host.lower() == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
