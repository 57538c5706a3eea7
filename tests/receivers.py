"""A small real HTTP receiver for tests: it keeps what it is sent, and answers, or fails, as it is told.

async with Receiver(reply(202)) as receiver:
    ...  # POST to receiver.url
    [received] = await receiver.wait_for(1)
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import responses
from typing import Self

import httptools


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    received_at: float  # seconds of time.monotonic()
    connection: int  # 1 for the receiver's first connection, 2 for its second, …


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request. The connection stays open until the behaviour, the client or the receiver closes it."""


def reply(status: int = 200, body: bytes = b"ok", headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer at once."""
    answer = encode(status, body, headers)

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return behave


def reply_bytes(answer: bytes, *, then_close: bool = False) -> Behaviour:
    """Write these bytes, HTTP or not."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if then_close:
            writer.close()

    return behave


def drip(interval_seconds: float = 0.01) -> Behaviour:
    """Answer 200 without an end, a byte at a time, so that no single read waits long."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await asyncio.sleep(interval_seconds)

    return behave


async def never_answer(_: Received, writer: asyncio.StreamWriter) -> None:
    """Read the request and say nothing."""


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    """Read the request, then reset the connection (a TCP RST)."""
    # l_onoff = 1, l_linger = 0: closing discards and resets (socket(7), SO_LINGER).
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def hang_up(_: Received, writer: asyncio.StreamWriter) -> None:
    """Read the request, then close the connection in order."""
    writer.close()


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour a request; the last one for all that follow."""
    waiting = deque(behaviours)

    async def behave(received: Received, writer: asyncio.StreamWriter) -> None:
        await (waiting.popleft() if len(waiting) > 1 else waiting[0])(received, writer)

    return behave


@dataclass
class Hold:
    """A behaviour that answers only once it is released."""

    then: Behaviour = field(default_factory=reply)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        await self._released.wait()
        await self.then(received, writer)

    def release(self) -> None:
        """Let every request held now, and every later one, have its answer."""
        self._released.set()


def encode(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP/1.1 answer with its Content-Length."""
    fields = {**(headers or {}), "Content-Length": str(len(body))}
    head = [f"HTTP/1.1 {status} {responses.get(status, '')}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*head, "", ""]).encode() + body


@contextmanager
def refusing_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections: taken, so that nobody else gets it, and never listened on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        yield taken.getsockname()[1]


class Receiver:
    """An HTTP server on the loopback. `behaviour` may be replaced at any time; it counts from the next request."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        host: str = "127.0.0.1",
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.behaviour = behaviour or reply()
        self.requests: list[Received] = []
        self.connections = 0
        self.server_names: list[str | None] = []
        """The names that clients asked for in TLS (SNI), one a handshake."""
        self.port = 0
        self._host = host
        self._ssl_context = ssl_context
        self._news = asyncio.Condition()
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """Where it listens: scheme, address and port, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        if self._ssl_context is not None:
            self._ssl_context.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._ssl_context, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0)  # a connection accepted just now has its task by then
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def wait_for(self, count: int, timeout_seconds: float = 10.0) -> list[Received]:
        """Return all requests once there are `count`; TimeoutError where they do not come."""
        async with asyncio.timeout(timeout_seconds), self._news:
            await self._news.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def wait_for_disconnects(self, timeout_seconds: float = 10.0) -> None:
        """Return once no client is connected; TimeoutError where one stays."""
        async with asyncio.timeout(timeout_seconds), self._news:
            await self._news.wait_for(lambda: not self._serving)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        self.connections += 1
        answering: set[asyncio.Task[None]] = set()
        try:
            await self._serve(reader, writer, self.connections, answering)
        except (ConnectionError, httptools.HttpParserError):
            pass  # the client closed it, or what came is not HTTP
        finally:
            for answer in answering:
                answer.cancel()
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            del self._serving[task]
            async with self._news:
                self._news.notify_all()

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: int,
        answering: set[asyncio.Task[None]],
    ) -> None:
        # Reading goes on while a behaviour is at work, so that a client that closes is seen at once.
        while True:
            incoming = _Incoming()
            parser = httptools.HttpRequestParser(incoming)
            while not incoming.complete:
                data = await reader.read(65536)
                if not data:
                    return
                parser.feed_data(data)
            received = Received(
                method=parser.get_method().decode(),
                path=incoming.path.decode(),
                headers=incoming.headers,
                body=bytes(incoming.body),
                received_at=time.monotonic(),
                connection=connection,
            )
            self.requests.append(received)
            async with self._news:
                self._news.notify_all()
            task = asyncio.create_task(_behave(self.behaviour, received, writer))
            answering.add(task)
            task.add_done_callback(answering.discard)


async def _behave(behaviour: Behaviour, received: Received, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await behaviour(received, writer)


class _Incoming:
    """What httptools calls while it parses one request."""

    def __init__(self) -> None:
        self.path = b""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
