"""A raw client of graphql-transport-ws: what goes over the wire is what the test wrote."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.harness import Automations

SUBPROTOCOL = "graphql-transport-ws"
SECONDS = 10


class Raw:
    """One WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, type_: str, /, **more: Any) -> None:
        """A message in a text frame."""
        await self.connection.send(orjson.dumps({"type": type_, **more}).decode())

    async def hear(self) -> Any:
        """The next message, which has to be a text frame."""
        async with asyncio.timeout(SECONDS):
            frame = await self.connection.recv()
        assert isinstance(frame, str)
        return orjson.loads(frame)

    async def init(self, **payload: Any) -> None:
        """Begin the conversation."""
        await self.send("connection_init", payload=payload)
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        """Ask for an operation, and return once the server has read it: it answers in order."""
        await self.send("subscribe", id=id_, payload={"query": query, "variables": variables})
        await self.send("ping")
        assert await self.hear() == {"type": "pong"}

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes."""
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionClosed):
                async for _ in self.connection:
                    pass
            await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""


Open = Callable[..., AbstractAsyncContextManager[Raw]]


@asynccontextmanager
async def open_socket(api: Automations, *, subprotocol: str | None = SUBPROTOCOL, **headers: str) -> AsyncIterator[Raw]:
    """A WebSocket to a server, as the tenant that `api` speaks as."""
    url = api.url.replace("http://", "ws://") + "/graphql"
    given = {**api.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    origin = given.pop("origin", None)
    async with connect(
        url,
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        additional_headers=given,
        origin=origin,  # type: ignore[arg-type]
        proxy=None,
    ) as connection:
        yield Raw(connection)


@pytest.fixture
async def raw(api: Automations) -> AsyncIterator[Raw]:
    """A WebSocket of a tenant of the test's own, before connection_init."""
    async with open_socket(api) as opened:
        yield opened
