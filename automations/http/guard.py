"""Resolves names and dials. A name is resolved once, all its addresses are checked, and a checked one is dialled."""

import asyncio
import os
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, cast

import httpcore

from automations.addresses import Network, refusal
from automations.http.errors import NotSent, Refused
from automations.http.urls import place_of

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection: a free place, the name, TCP and TLS together."""
ADDRESSES_TRIED: Final = 4
UNREAD_BYTES: Final = 64 * 1024
"""Most that is taken from a connection before somebody reads it."""
_RESOLVERS: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a name and a port, returns addresses; raises OSError where there are none."""


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

    async def connect(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> "Stream":
        """Dial one address after the other until one answers. TLS names `host`, and its certificate must be for it."""
        addresses = (await self.addresses(host, port))[:ADDRESSES_TRIED]
        place = place_of(host, port)
        problem = ""
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS / len(addresses)):
                    _, stream = await asyncio.get_running_loop().create_connection(
                        Stream, address, port, ssl=ssl_context, server_hostname=host if ssl_context else None
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


class Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
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
        if len(self._received) > UNREAD_BYTES:
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

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
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

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
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
