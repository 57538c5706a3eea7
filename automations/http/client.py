"""Sends requests, each over a connection of its destination.

The connections are httpcore's, kept here a destination at a time: httpcore's own pool walks all of its connections for
every request, and `httpx.AsyncClient` also logs URLs, which may be secrets.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import httpcore
import httpx

from automations import __version__
from automations.addresses import Network
from automations.http.echo import ECHO_HOST, echoed
from automations.http.errors import NotSent, OutcomeUnknown, Refused
from automations.http.guard import CONNECT_SECONDS, Guard, Resolver, resolve_with_system
from automations.http.urls import Target, check_headers, read_url

ANSWER_BYTES: Final = 64 * 1024
"""Most that is read of an answer's body; what follows is cut off with its connection."""
KEPT_BYTES: Final = 4 * 1024
"""Most of an answer's body that is handed on, unless more is asked for."""
POOLS: Final = 256
"""Destinations that keep connections while nobody uses them."""
IDLE_SECONDS: Final = 4.0  # many servers close after 5, and a request that crosses with that has no known outcome
_OWN_HEADERS: Final = (
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"identity"),  # an answer is kept as it comes, and must not grow when unpacked
    (b"User-Agent", f"automations/{__version__}".encode()),
)


@dataclass(frozen=True)
class Answer:
    """What a server answered, redirects included: none is followed.

    Header names are lower-case, and values of the same name are joined by ", ". The body is as it came over the wire
    (no decompression), its first 4 KB or what was asked for.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Sends requests, each over a connection of its destination.

    `destination` is any text: what shares it shares `connections_per_destination`, and does not delay others.
    """

    def __init__(
        self,
        *,
        allowed_networks: Sequence[Network] = (),
        timeout_seconds: float = 30.0,
        connections_per_destination: int = 16,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        self._guard = Guard(allowed_networks, resolve or resolve_with_system)
        self._timeout_seconds = timeout_seconds
        self._connections_per_destination = connections_per_destination
        self._ssl_context = ssl_context or _trusting_public_authorities()
        self._pools: OrderedDict[str, _Pool] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    async def post(
        self,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str],
        destination: str,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """POST and return the answer, whatever its status; errors as for `request`."""
        return await self.request(
            "POST", url, content=content, headers=headers, destination=destination, timeout_seconds=timeout_seconds
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        destination: str,
        timeout_seconds: float | None = None,
        keep_bytes: int = KEPT_BYTES,
    ) -> Answer:
        """Send one request and return the answer, whatever its status, with so much of its body.

        `timeout_seconds` bounds everything, the reading of the answer included. Raise Refused, NotSent or
        OutcomeUnknown.
        """
        if self._closed:
            raise RuntimeError("This Http is closed")
        target = read_url(url)
        check_headers(headers or {})
        if target.host == ECHO_HOST:
            return Answer(200, {"content-type": "application/json"}, echoed(content)[:keep_bytes])
        request = _request(method, target, content, headers or {})
        pool = self._pool(destination)
        pool.users += 1
        try:
            await self._evict()
            answer = await self._exchange(target, request, pool, timeout_seconds or self._timeout_seconds)
            return replace(answer, body=answer.body[:keep_bytes])
        finally:
            pool.users -= 1

    async def aclose(self) -> None:
        """Close what is idle now and the rest when its request ends; further requests raise RuntimeError."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.close_idle()

    async def _exchange(self, target: Target, request: httpcore.Request, pool: "_Pool", seconds: float) -> Answer:
        started_at = asyncio.get_running_loop().time()
        limit = min(seconds, CONNECT_SECONDS)
        connection = None
        try:
            async with asyncio.timeout(limit) as clock, pool.places:
                connection = await pool.take(target.origin) or await self._connect(target)
                limit = seconds
                clock.reschedule(started_at + limit)
                try:
                    return await _answer(connection, request, target.place)
                finally:
                    await pool.give_back(connection, keep=not self._closed)
        except TimeoutError:
            if connection is None:
                raise NotSent(f"No connection to {target.place} came about within {limit:g} seconds") from None
            raise OutcomeUnknown(
                f"{target.place} did not answer in full within {limit:g} seconds; it may have received the request"
            ) from None

    async def _connect(self, target: Target) -> httpcore.AsyncHTTP11Connection:
        context = self._ssl_context if target.origin.scheme == b"https" else None
        stream = await self._guard.connect(target.host, target.origin.port, context)
        return httpcore.AsyncHTTP11Connection(target.origin, stream, keepalive_expiry=IDLE_SECONDS)

    def _pool(self, destination: str) -> "_Pool":
        pool = self._pools.get(destination)
        if pool is None:
            pool = self._pools[destination] = _Pool(self._connections_per_destination)
        self._pools.move_to_end(destination)
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())
        return pool

    async def _evict(self) -> None:
        # Pools in use stay, and are as many as requests are under way: what is over the limit goes with a later call.
        surplus = len(self._pools) - POOLS
        if surplus > 0:
            unused = [name for name, pool in self._pools.items() if not pool.users]
            for pool in [self._pools.pop(name) for name in unused[:surplus]]:
                await pool.close_idle()

    async def _sweep(self) -> None:
        while self._pools:
            await asyncio.sleep(IDLE_SECONDS)
            for pool in list(self._pools.values()):
                await pool.close_idle(expired_only=True)
            for name in [name for name, pool in self._pools.items() if not pool.users and not pool.idle]:
                del self._pools[name]


class _Pool:
    """The connections of one destination."""

    def __init__(self, size: int) -> None:
        self.places = asyncio.Semaphore(size)
        self.users = 0
        self.idle: list[httpcore.AsyncHTTP11Connection] = []

    async def take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTP11Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.can_handle_request(origin) and not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def give_back(self, connection: httpcore.AsyncHTTP11Connection, *, keep: bool) -> None:
        if keep and connection.is_idle():
            self.idle.append(connection)
        else:
            await connection.aclose()

    async def close_idle(self, *, expired_only: bool = False) -> None:
        closing = [connection for connection in self.idle if not expired_only or connection.has_expired()]
        self.idle = [connection for connection in self.idle if connection not in closing]
        for connection in closing:
            await connection.aclose()


def _request(method: str, target: Target, content: bytes, headers: Mapping[str, str]) -> httpcore.Request:
    given = {name.lower() for name in headers}
    lines = [(b"Host", target.host_header.encode())]
    lines += [(name, value) for name, value in _OWN_HEADERS if name.decode().lower() not in given]
    lines += [(name.encode(), value.strip(" \t").encode()) for name, value in headers.items()]
    if content or method in ("POST", "PUT", "PATCH"):
        lines.append((b"Content-Length", str(len(content)).encode()))
    return httpcore.Request(method, target.url, headers=lines, content=content)


async def _answer(connection: httpcore.AsyncHTTP11Connection, request: httpcore.Request, place: str) -> Answer:
    body = bytearray()
    try:
        response = await connection.handle_async_request(request)
        try:
            async for part in response.aiter_stream():
                body += part
                if len(body) >= ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
    except httpcore.LocalProtocolError:
        raise Refused("The request cannot be written as HTTP") from None
    except httpcore.RemoteProtocolError:
        raise OutcomeUnknown(f"{place} gave no whole HTTP answer; it may have received the request") from None
    except httpcore.NetworkError:
        raise OutcomeUnknown(f"{place} broke the connection off; it may have received the request") from None
    return Answer(response.status, _joined(response.headers), bytes(body[:ANSWER_BYTES]))


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _trusting_public_authorities() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()  # an organisation's own authorities are in the system's store
    context.set_alpn_protocols(["http/1.1"])
    return context
