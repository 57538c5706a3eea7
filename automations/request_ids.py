"""An id for each request: the caller's own or a new one, in the answer and in every line that is logged meanwhile."""

import re
from secrets import token_hex

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER = b"x-request-id"
_USABLE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""What may stand in a log and a header; another id is replaced, not refused."""


class RequestIds:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        request_id = given if _USABLE.fullmatch(given) else token_hex(16).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id)]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        await self._app(scope, receive, send_with_id)
