"""graphql-transport-ws: operations over one WebSocket.

The protocol and its close codes: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. A socket has one task
that reads; one that writes exists only while there is something to write. uvicorn sends the pings below all this.
"""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

import orjson
import structlog
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from automations.api.context import RequestContext
from automations.api.limits import refuse_above
from automations.api.requests import read_operation
from automations.api.subscriptions.hub import Subscription
from automations.api.subscriptions.permit import Permit
from automations.api.subscriptions.start import Refused, Starter
from automations.errors import InvalidInput, RequestError, Unauthenticated

log = structlog.get_logger(__name__)

SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
"""How long a client may take to send connection_init."""
_HEADERS = ("authorization", "x-prefect-tenant-id")
"""What the payload of connection_init may say in place of the handshake, where a browser can set no headers."""

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, INTERNAL = 4400, 4401, 4403, 4500
WRONG_SUBPROTOCOL, INIT_TIMED_OUT, TAKEN_ID, TOO_MANY_INITS = 4406, 4408, 4409, 4429


class Server(Protocol):
    """What a socket needs of the endpoint."""

    starter: Starter
    most_subscriptions: int

    async def context(self, connection: HTTPConnection) -> RequestContext:
        """Who asks; RequestError where nobody may."""

    async def answer(self, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
        """The answer to a query or mutation."""

    def count(self, connection: HTTPConnection, context: RequestContext) -> None:
        """LimitExceeded where the caller has sent too many operations."""


class _Closed(Exception):
    """The socket is to be closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """One WebSocket, from the handshake to its end."""

    def __init__(self, server: Server, scope: Scope, receive: Receive, send: Send) -> None:
        self._server, self._scope, self._receive, self._send_message = server, scope, receive, send
        self._permit: Permit | None = None
        self._operations: dict[str, Subscription | asyncio.Task[None]] = {}
        self._ids: dict[Subscription, str] = {}
        self._ready: dict[Subscription, None] = {}
        self._writing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Until either side closes it."""
        await self._receive()  # websocket.connect
        offered = SUBPROTOCOL in self._scope["subprotocols"]
        await self._send_message({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if offered else None})
        try:
            if await self._is_greeted(offered=offered):
                while (message := await self._next()) is not None:
                    await self._handle(message)
        except _Closed as closed:
            await self._quietly({"type": "websocket.close", "code": closed.code, "reason": closed.reason[:120]})
        except OSError:  # ASGI: the client went away while something was sent to it
            pass
        finally:
            self._end()

    async def _is_greeted(self, *, offered: bool) -> bool:
        """Wait for connection_init; False where the client goes without it: nothing comes after that."""
        if not offered:
            raise _Closed(WRONG_SUBPROTOCOL, f"Subprotocol not acceptable: speak {SUBPROTOCOL}")
        try:
            async with asyncio.timeout(INIT_SECONDS):
                while self._permit is None:
                    message = await self._next()
                    if message is None:
                        return False
                    await self._handle(message)
        except TimeoutError:
            raise _Closed(INIT_TIMED_OUT, "Connection initialisation timeout") from None
        return True

    async def _next(self) -> dict[str, Any] | None:
        """The next message; None once the client has gone."""
        event: Message = await self._receive()
        if event["type"] == "websocket.disconnect":
            return None
        try:
            message = orjson.loads(event["text"])
        except (KeyError, TypeError, orjson.JSONDecodeError):
            raise _Closed(BAD_REQUEST, "A message is JSON in a text frame") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _Closed(BAD_REQUEST, 'A message is an object with a "type"')
        return message

    async def _handle(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._init(message.get("payload"))
            case "ping":
                await self._send(b'{"type":"pong"}')
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                self._complete(_id(message))
            case other:
                raise _Closed(BAD_REQUEST, f"Unexpected message of type {other[:40]!r}")

    async def _init(self, payload: Any) -> None:
        if self._permit is not None:
            raise _Closed(TOO_MANY_INITS, "Too many initialisation requests")
        if not isinstance(payload, dict | None):
            raise _Closed(BAD_REQUEST, "The payload of connection_init is an object")
        told = {name.lower(): value for name, value in (payload or {}).items() if isinstance(value, str)}
        headers = [(name.encode(), told[name].encode("latin-1", "replace")) for name in _HEADERS if name in told]
        kept = [(name, value) for name, value in self._scope["headers"] if name.decode("latin-1") not in told]
        self._scope["headers"] = [*kept, *headers]
        try:
            connection = HTTPConnection(self._scope)
            self._permit = Permit(self._server.context, connection, await self._server.context(connection))
        except Unauthenticated as error:
            raise _Closed(UNAUTHORIZED, str(error)) from None
        except RequestError as error:
            raise _Closed(FORBIDDEN, str(error)) from None
        except Exception as error:
            log.exception("a socket could not begin")
            raise _Closed(INTERNAL, "Internal server error") from error
        await self._send(b'{"type":"connection_ack"}')

    async def _subscribe(self, message: dict[str, Any]) -> None:
        id_ = _id(message)
        if self._permit is None:
            raise _Closed(UNAUTHORIZED, "Unauthorized: send connection_init first")
        try:
            request = read_operation(message.get("payload"))
        except InvalidInput as error:
            raise _Closed(BAD_REQUEST, str(error)) from None
        if id_ in self._operations:
            raise _Closed(TAKEN_ID, f"Subscriber for {id_[:60]} already exists")
        try:
            await self._permit.check()
            self._server.count(HTTPConnection(self._scope), self._permit.context)
            most, found = self._server.most_subscriptions, len(self._operations) + 1
            refuse_above(most, found, "A socket may have {allowed} operations at once; this is number {found}.")
            if self._server.starter.is_subscription(request):
                started = await self._server.starter.start(request, self._permit.caller, self._wake)
                self._operations[id_], self._ids[started] = started, id_
                self._wake(started)  # what came before it had its id
            else:
                self._operations[id_] = asyncio.create_task(self._answer(id_, request, self._permit.context))
        except Unauthenticated as error:
            raise _Closed(UNAUTHORIZED, str(error)) from None
        except Refused as refused:
            await self._send(_message("error", id_, refused.errors))
        except RequestError as error:
            await self._send(_message("error", id_, [{"message": str(error), "extensions": {"code": error.code}}]))

    async def _answer(self, id_: str, request: dict[str, Any], context: RequestContext) -> None:
        """Run a query or mutation: one result, unless it could not begin."""
        answer = await self._server.answer(request, context)
        self._operations.pop(id_, None)
        with suppress(OSError):
            if "data" in answer:
                await self._send(_message("next", id_, answer))
                await self._send(_message("complete", id_))
            else:
                await self._send(_message("error", id_, answer["errors"]))

    def _complete(self, id_: str) -> None:
        """The client wants no more of it; what is under way may still arrive."""
        match operation := self._operations.pop(id_, None):
            case Subscription():
                self._forget(operation)
            case asyncio.Task():
                operation.cancel()

    def _forget(self, subscription: Subscription) -> None:
        self._server.starter.end(subscription)
        self._ids.pop(subscription, None)
        self._ready.pop(subscription, None)

    def _wake(self, subscription: Subscription) -> None:
        """There is something to write."""
        if subscription in self._ids:
            self._ready[subscription] = None
            if self._writing is None:
                self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._ready and self._permit is not None:
                await self._permit.check()
                subscription = next(iter(self._ready))
                del self._ready[subscription]
                id_ = orjson.dumps(self._ids[subscription]).decode()
                for result in subscription.take():
                    await self._send_text(f'{{"id":{id_},"type":"next","payload":{result}}}')
                if subscription.ended and (name := self._ids.get(subscription)) is not None:
                    self._operations.pop(name, None)
                    self._forget(subscription)
                    errors = subscription.errors
                    await self._send(_message("error", name, errors) if errors else _message("complete", name))
        except Unauthenticated as error:
            self._ready.clear()
            await self._quietly({"type": "websocket.close", "code": UNAUTHORIZED, "reason": str(error)[:120]})
        except OSError:
            pass
        finally:
            self._writing = None

    async def _send(self, message: bytes) -> None:
        await self._send_text(message.decode())

    async def _send_text(self, text: str) -> None:
        await self._send_message({"type": "websocket.send", "text": text})

    async def _quietly(self, message: Message) -> None:
        with suppress(OSError):
            await self._send_message(message)

    def _end(self) -> None:
        for id_ in tuple(self._operations):
            self._complete(id_)
        if self._writing is not None:
            self._writing.cancel()


def _id(message: dict[str, Any]) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= 200:
        raise _Closed(BAD_REQUEST, 'The message needs an "id", a string')
    return id_


def _message(type_: str, id_: str, payload: Any = None) -> bytes:
    return orjson.dumps({"id": id_, "type": type_} | ({} if payload is None else {"payload": payload}))
