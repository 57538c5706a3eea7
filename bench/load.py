"""A load generator that costs little: raw keep-alive connections, requests encoded beforehand."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httptools
import orjson

ANSWER_SECONDS = 60.0


class WrongAnswer(Exception):
    """The answer was not 200, or GraphQL had errors."""


class Connection(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self) -> None:
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        parts = urlsplit(url)
        _, connection = await asyncio.get_running_loop().create_connection(cls, parts.hostname or "", parts.port or 80)
        return connection

    async def send(self, request: bytes) -> bytes:
        """The answer's body."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer"))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if self._answer is None or self._answer.done():
            return
        if self._parser.get_status_code() != 200 or b'"errors"' in body[:200]:
            self._answer.set_exception(WrongAnswer(body[:500].decode(errors="replace")))
        else:
            self._answer.set_result(body)


@dataclass
class Load:
    """What was sent and answered; times are seconds of time.time()."""

    sent_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list, repr=False)

    @property
    def count(self) -> int:
        return len(self.answered_at)

    @property
    def seconds(self) -> float:
        return max(self.answered_at) - min(self.sent_at)

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def waits(self) -> list[float]:
        return [answered - sent for sent, answered in zip(self.sent_at, self.answered_at, strict=True)]

    def add(self, sent_at: float, answered_at: float) -> None:
        self.sent_at.append(sent_at)
        self.answered_at.append(answered_at)


def post(url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A POST of JSON as it goes over the wire."""
    parts = urlsplit(url)
    all_headers = {"Host": parts.netloc, "Content-Type": "application/json", **headers, "Content-Length": len(body)}
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"POST {parts.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def graphql(url: str, query: str, headers: Mapping[str, str] = MappingProxyType({}), /, **variables: Any) -> bytes:
    """A GraphQL operation as it goes over the wire."""
    return post(url, orjson.dumps({"query": query, "variables": variables}), headers)


async def ask(url: str, request: bytes) -> Any:
    """Send one request and return the answer's JSON."""
    async with _connections(url, 1) as [connection], asyncio.timeout(ANSWER_SECONDS):
        return orjson.loads(await connection.send(request))


async def closed_loop(url: str, requests: Iterable[bytes], *, clients: int, seconds: float) -> Load:
    """Each client sends its next request when the last one was answered; until time is up or none is left."""
    waiting, load = iter(requests), Load()
    async with _connections(url, clients) as connections, asyncio.timeout(seconds + ANSWER_SECONDS):
        ends_at = time.time() + seconds
        await asyncio.gather(*(_keep_asking(connection, waiting, load, ends_at) for connection in connections))
    return load


async def open_loop(url: str, requests: Sequence[bytes], *, per_second: float, clients: int = 64) -> Load:
    """Send at a fixed pace, whatever the answers do; answers are in the order of the requests."""
    load = Load([0.0] * len(requests), [0.0] * len(requests))
    async with _connections(url, clients) as connections:
        free: asyncio.Queue[Connection] = asyncio.LifoQueue()
        for connection in connections:
            free.put_nowait(connection)

        async def send(place: int, connection: Connection) -> None:
            load.sent_at[place] = time.time()
            await connection.send(requests[place])
            load.answered_at[place] = time.time()
            free.put_nowait(connection)

        started_at = asyncio.get_running_loop().time()
        async with asyncio.timeout(len(requests) / per_second + ANSWER_SECONDS), asyncio.TaskGroup() as tasks:
            for place in range(len(requests)):
                wait = started_at + place / per_second - asyncio.get_running_loop().time()
                if wait > 0:
                    await asyncio.sleep(wait)
                tasks.create_task(send(place, await free.get()))
    return load


async def _keep_asking(connection: Connection, waiting: Iterator[bytes], load: Load, ends_at: float) -> None:
    for request in waiting:
        sent_at = time.time()
        await connection.send(request)
        load.add(sent_at, time.time())
        if time.time() >= ends_at:
            return


@asynccontextmanager
async def _connections(url: str, count: int) -> Any:
    connections = [await Connection.open(url) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()
