"""How soon subscribers hear of changes over WebSockets, and what each of them takes of the server's memory."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from bench import load, states
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig
from bench.states import UNMATCHED, Watched

SUBSCRIBERS = 1000
CHANGES_PER_SECOND = 100
ALL_SUBSCRIBERS, ALL_PER_SECOND = 100, 50
SECONDS_TO_ARRIVE = 2.0
_TEXT, _PING, _PONG, _SHORT, _LONG = 0x81, 0x89, 0x8A, 125, 126
_PING_BYTES = 6
"""uvicorn's pings carry four bytes; no message is shorter than a ping."""

ONE = "subscription($id: uuid) { flow_run_changed(flow_run_id: $id) { id state state_timestamp } }"
ALL = "subscription { flow_run_changed { id state state_timestamp } }"


async def run(rig: Rig) -> Outcome:
    """`own_run`: each subscriber hears of one run. `all_runs`: fewer, and each hears of every run.

    `from_state` counts from the start of the transaction that wrote the state to the frame's arrival. The server looks
    for changes every 100 ms, which is half of the median.
    """
    subscribers = rig.pick(SUBSCRIBERS // 5, SUBSCRIBERS)
    seconds = rig.pick(3, 20)
    async with states.watched(rig, runs=subscribers) as watched:
        runs = list(islice(watched.runs_left, subscribers))
        async with _subscribed(watched, 20, ONE, runs):  # warms up what all share
            before = watched.server.resident_mib
        async with _subscribed(watched, subscribers, ONE, runs) as own:
            kib = (watched.server.resident_mib - before) * 1024 / subscribers
            figures = {"own_run": await _measure(watched, own, runs, CHANGES_PER_SECOND, seconds, hearers=1)}
        async with _subscribed(watched, ALL_SUBSCRIBERS, ALL, runs) as everybody:
            figures["all_runs"] = await _measure(
                watched, everybody, runs, ALL_PER_SECOND, seconds, hearers=ALL_SUBSCRIBERS
            )
    p99 = figures["own_run"]["from_state"]["p99_ms"]
    goals = [
        Goal(f"p99 from_state, {subscribers} subscribers, {CHANGES_PER_SECOND} changes/s, ms", p99, at_most=250),
        Goal("KiB of the server a subscriber", kib, at_most=50),
    ]
    return Outcome({**figures, "subscribers": subscribers, "kib_a_subscriber": kib}, goals)


async def _measure(
    watched: Watched, sockets: Sequence["_Socket"], runs: list[int], per_second: int, seconds: int, *, hearers: int
) -> dict[str, Any]:
    """Let runs change one after the other at this pace; no two changes of one run are close together."""
    count = per_second * seconds
    calls = [watched.call([runs[number % len(runs)]], UNMATCHED) for number in range(count)]
    processor = watched.server.processor_seconds
    sent = await load.open_loop(watched.server.url, calls, per_second=per_second)
    busy = (watched.server.processor_seconds - processor) / sent.seconds
    await asyncio.sleep(SECONDS_TO_ARRIVE)
    waits = [wait for socket in sockets for wait in socket.waits]
    if len(waits) < count * hearers:
        raise RuntimeError(f"{len(waits)} of {count * hearers} events came")
    return {"events_per_second": len(waits) / sent.seconds, "server_cores": busy, "from_state": spread(waits)}


@asynccontextmanager
async def _subscribed(watched: Watched, count: int, query: str, runs: list[int]) -> AsyncIterator[Sequence["_Socket"]]:
    sockets: list[_Socket] = []
    parts = urlsplit(watched.server.url)
    try:
        for number in range(count):
            variables = {"id": states.run_id(runs[number])} if "$id" in query else {}
            _, socket = await asyncio.get_running_loop().create_connection(
                _Socket, parts.hostname or "", parts.port or 80
            )
            sockets.append(socket)
            await socket.begin(parts.netloc, query, variables)
        yield sockets
    finally:
        for socket in sockets:
            socket.close()


class _Socket(asyncio.Protocol):
    """The least that speaks graphql-transport-ws: a thousand of them must not be what is measured."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._data = bytearray()
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self, host: str, query: str, variables: dict[str, Any]) -> None:
        """Shake hands and subscribe; return once the subscription has begun."""
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        async with asyncio.timeout(30):
            await self._open
            self._send(type="connection_init")
            self._send(type="subscribe", id="1", payload={"query": query, "variables": variables})
            self._send(type="ping")  # the pong comes once the subscription has begun
            await self._begun

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._open.done():
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            self._open.set_result(None)
            del self._data[: end + 4]
        while (frame := self._frame()) is not None:
            self._hear(orjson.loads(frame))

    def _frame(self) -> bytes | None:
        """The payload of the next text frame; pings are answered on the way."""
        while len(self._data) >= _PING_BYTES and self._data[0] == _PING:
            self._transport.write(bytes([_PONG, 0x84]) + bytes(4) + self._data[2:_PING_BYTES])
            del self._data[:_PING_BYTES]
        if len(self._data) < _PING_BYTES:
            return None
        if self._data[0] != _TEXT:
            raise RuntimeError(f"a frame of kind {self._data[0]:#x} came")
        length, start = self._data[1], 2
        if length == _LONG:
            length, start = int.from_bytes(self._data[2:4], "big"), 4
        if len(self._data) < start + length:
            return None
        frame = bytes(self._data[start : start + length])
        del self._data[: start + length]
        return frame

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "pong":
                self._begun.set_result(None)
            case "next":
                [row] = message["payload"]["data"].values()
                if row["state"] == UNMATCHED:
                    self.waits.append(time.time() - datetime.fromisoformat(row["state_timestamp"]).timestamp())
            case "error":
                raise RuntimeError(message["payload"])

    def _send(self, **message: Any) -> None:
        """A masked text frame (RFC 6455); the mask is nought."""
        body = orjson.dumps(message)
        head = bytes([_TEXT, 0x80 | len(body)]) if len(body) <= _SHORT else bytes([_TEXT, 0x80 | _LONG])
        size = b"" if len(body) <= _SHORT else len(body).to_bytes(2, "big")
        self._transport.write(head + size + bytes(4) + body)
