"""Every outbound call. A name is resolved once, all its addresses are checked, and a checked one is dialled.

The connections are httpcore's, kept here a destination at a time: httpcore's own pool walks all of its connections for
every request, and `httpx.AsyncClient` also logs URLs, which may be secrets. No text made here holds more of a URL than
its host and port, or anything of headers and bodies.

    HttpError
    ├── Refused          never sent, and never will be: a rule here forbids it
    ├── NotSent          nothing was processed: sending it again is safe
    └── OutcomeUnknown   it may have arrived
"""

import asyncio
import os
import re
import select
import socket
import ssl
import unicodedata
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import Any, Final, cast

import httpcore
import httpx

from automations import __version__
from automations.addresses import Network, refusal

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection: a free place, the name, TCP and TLS together."""
URL_CHARACTERS: Final = 4096
HEADER_BYTES: Final = 32 * 1024
"""Most that the names and values of a request's headers have together."""
ANSWER_BYTES: Final = 64 * 1024
"""Most that is read of an answer's body; what follows is cut off with its connection."""
KEPT_BYTES: Final = 4 * 1024
"""Most of an answer's body that is handed on."""
POOLS: Final = 256
"""Destinations that keep connections while nobody uses them."""
IDLE_SECONDS: Final = 4.0  # many servers close after 5, and a request that crosses with that has no known outcome
ADDRESSES_TRIED: Final = 4

# Services that are harmed by text sent to them (after https://fetch.spec.whatwg.org/#port-blocking), and databases,
# queues and control planes that trust whoever can reach them.
# fmt: off
_DENIED_PORTS: Final = frozenset({
    0, 1, 7, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719,
    1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 3659, 4045, 4190, 4369, 5060, 5061,
    5432, 5433, 5672, 5900, 5984, 5985, 5986, 6000, 6379, 6380, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    9042, 9092, 9200, 9300, 10250, 10255, 11211, 25672, 26379, 27017, 27018, 27019, 61613, 61616,
})
# Hop-by-hop and framing (RFC 9110, sections 7.6.1 and 10.1.1; RFC 9112, section 6): this module's own to set.
_DENIED_HEADERS: Final = frozenset({
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
})
# fmt: on
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OWN_HEADERS: Final = (
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"identity"),  # an answer is kept as it comes, and must not grow when unpacked
    (b"User-Agent", f"automations/{__version__}".encode()),
)
_RESOLVERS: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a name and a port, returns addresses; raises OSError where there are none."""


class HttpError(Exception):
    """A call that brought no answer; its text is fit for people and holds no secret."""


class Refused(HttpError):  # noqa: N818 - these three are outcomes, and named for them
    """A rule here forbids the call. It was not sent, and sending it again cannot help."""


class NotSent(HttpError):  # noqa: N818
    """There was no connection to send it over. Nothing was processed, so sending it again is safe."""


class OutcomeUnknown(HttpError):  # noqa: N818
    """Sending began and no whole answer came. It may have arrived."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, redirects included: none is followed.

    Header names are lower-case, and values of the same name are joined by ", ". The body is as it came over the wire
    (no decompression), its first 4 KB.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes


def check_url(url: str) -> None:
    """Raise Refused for a URL that must never be called. The addresses behind its name are checked when it is."""
    _target(url)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise Refused for headers that would break or redirect the request (RFC 9110, section 5)."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise Refused("A header's name has characters that HTTP does not allow in names")
        if name.lower() in _DENIED_HEADERS:
            raise Refused(f'The header "{name.lower()}" belongs to the connection and cannot be set')
        if name.lower().startswith("proxy-"):
            raise Refused("Headers for proxies cannot be set")
        if _CONTROL.search(value):
            raise Refused("A header's value has a line break or another control character")
    if sum(len(name) + len(value.encode()) for name, value in headers.items()) > HEADER_BYTES:
        raise Refused(f"The headers have more than {HEADER_BYTES} bytes")


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
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        `timeout_seconds` bounds everything, the reading of the answer included. Raise Refused, NotSent or
        OutcomeUnknown.
        """
        if self._closed:
            raise RuntimeError("This Http is closed")
        target = _target(url)
        check_headers(headers or {})
        request = _request(method, target, content, headers or {})
        pool = self._pool(destination)
        pool.users += 1
        try:
            await self._evict()
            return await self._exchange(target, request, pool, timeout_seconds or self._timeout_seconds)
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

    async def _exchange(self, target: "_Target", request: httpcore.Request, pool: "_Pool", seconds: float) -> Answer:
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

    async def _connect(self, target: "_Target") -> httpcore.AsyncHTTP11Connection:
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


class Guard:
    """Resolves names and dials, and lets nothing reach an address that is not allowed."""

    def __init__(self, allowed_networks: Sequence[Network], resolve: Resolver) -> None:
        self._allowed_networks = tuple(allowed_networks)
        self._resolve = resolve
        self._lookups: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name, or the address that `host` is: all of them may be dialled.

        Raise Refused where a single one may not (a name that mixes them is an attack or a mistake), and NotSent where
        there are none. Only the addresses returned are checked: dial them, not the name.
        """
        try:
            found = [ip_address(host)]
        except ValueError:
            found = [ip_address(address) for address in await self._look_up(host, port)]
        if not found:
            raise NotSent(f"{host} has no address")
        for address in found:
            kind = refusal(address, self._allowed_networks)
            if kind is not None:
                what = f"is a {kind} address" if host == str(address) else f"resolves to the {kind} address {address}"
                raise Refused(
                    f"{host} {what}, which is not allowed; "
                    "list its network in AUTOMATIONS_ALLOWED_PRIVATE_NETWORKS to allow it"
                )
        return [str(address) for address in dict.fromkeys(found)]

    async def connect(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> "_Stream":
        """Dial one address after the other until one answers. TLS names `host`, and its certificate must be for it."""
        addresses = (await self.addresses(host, port))[:ADDRESSES_TRIED]
        place = _place(host, port)
        problem = ""
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS / len(addresses)):
                    _, stream = await asyncio.get_running_loop().create_connection(
                        _Stream, address, port, ssl=ssl_context, server_hostname=host if ssl_context else None
                    )
            except ssl.SSLError as error:
                reason = getattr(error, "verify_message", None) or error.reason or "the handshake failed"
                raise NotSent(f"No TLS with {place}: {reason}") from None
            except ConnectionRefusedError:
                problem = f"Connection refused by {place}"
            except OSError as error:
                problem = f"No connection to {place}: {os.strerror(error.errno) if error.errno else 'no answer'}"
            else:
                return stream
        raise NotSent(problem)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        # Requests that wait for the same name share one lookup: a name whose servers are silent holds one thread.
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = asyncio.ensure_future(self._resolve(host, port))
            lookup.add_done_callback(partial(self._forget, host))
        try:
            return await asyncio.shield(lookup)
        except OSError as error:
            raise NotSent(f"{host} cannot be resolved: {error.strerror or 'no answer'}") from None

    def _forget(self, host: str, lookup: asyncio.Future[Sequence[str]]) -> None:
        del self._lookups[host]
        if not lookup.cancelled():
            lookup.exception()  # asyncio would log it where everybody who asked has given up


async def resolve_with_system(host: str, port: int) -> list[str]:
    """Ask the operating system, in threads of this module's own: a loop has few, and a silent name server holds one."""
    lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    answers = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, lookup)
    return [str(answer[4][0]) for answer in answers]


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """The bytes of one connection. Time limits are its caller's, and a write does not wait: requests are small."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._broken = False
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > ANSWER_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._broken = True, exc is not None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's
        if not self._received and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._broken and not self._received:
            raise httpcore.ReadError
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if not self._ended:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - httpcore's
        if self._transport.is_closing():
            raise httpcore.WriteError
        self._transport.write(buffer)

    async def aclose(self) -> None:
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        # httpcore asks before it uses a connection again: what came unasked, the server's closing above all, spoils it.
        # The socket knows before the loop does.
        if info != "is_readable":
            return None
        return bool(self._received) or self._ended or _readable(self._transport.get_extra_info("socket").fileno())


def _readable(file: int) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


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


@dataclass(frozen=True)
class _Target:
    """A URL that passed every rule: the one reading of it that is both checked and dialled."""

    url: httpcore.URL
    origin: httpcore.Origin
    host: str  # a name in ASCII without a trailing dot, or an address without brackets
    place: str  # host and port, for people
    host_header: str


def _target(url: str) -> _Target:
    if len(url) > URL_CHARACTERS:
        raise Refused(f"The URL has more than {URL_CHARACTERS} characters")
    if _UNSAFE_IN_URL.search(url) or not (url.isascii() or all(unicodedata.category(c)[0] not in "CZ" for c in url)):
        raise Refused("The URL has a space, a backslash or a control character")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise Refused("The URL cannot be read") from None
    if parsed.scheme not in ("http", "https"):
        raise Refused("The URL must begin with http:// or https://")
    if "@" in re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]:
        raise Refused("The URL must not have a user name or password before its host")
    host = _host(parsed.raw_host.decode("ascii"))
    port = parsed.port if parsed.port is not None else {"http": 80, "https": 443}[parsed.scheme]
    if port in _DENIED_PORTS or not 0 < port < 65536:
        raise Refused("The URL's port must be between 1 and 65535, and not one of a mail server, database or the like")
    place = _place(host, port)
    return _Target(
        url=httpcore.URL(scheme=parsed.raw_scheme, host=host.encode(), port=port, target=parsed.raw_path),
        origin=httpcore.Origin(parsed.raw_scheme, host.encode(), port),
        host=host,
        place=place,
        host_header=place if parsed.port is not None else place.rpartition(":")[0],
    )


def _host(host: str) -> str:
    if ":" in host:
        if "%" in host:
            raise Refused("The URL must not name a network interface (the part of an address after %)")
        return host
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("The URL's host is not a host name")
    # Every other way to write an IPv4 address (127.1, 0x7f.1, 0177.0.0.1, 2130706433) is understood by some resolver.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            IPv4Address(host)
        except ValueError:
            raise Refused("The URL's host is a number; write an IPv4 address as four decimal numbers") from None
    return host


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(method: str, target: _Target, content: bytes, headers: Mapping[str, str]) -> httpcore.Request:
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
    return Answer(response.status, _joined(response.headers), bytes(body[:KEPT_BYTES]))


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
