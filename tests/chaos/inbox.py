"""The far side: a receiver that works, fails, dawdles and hangs up, and remembers what it took."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum

from tests.receivers import Received, reply


class Mood(StrEnum):
    """What it does with the next requests."""

    WORKS = "works"
    FAILS = "fails"
    DAWDLES = "dawdles"
    HANGS_UP = "hangs up"
    HANGS_UP_LATE = "hangs up after it took it"


class Inbox:
    """A behaviour of a receiver. `arrived` counts requests by delivery id, `taken` those that it keeps."""

    def __init__(self) -> None:
        self.mood = Mood.WORKS
        self.arrived: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()

    async def __call__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        delivery_id = received.headers["webhook-id"]
        self.arrived[delivery_id] += 1
        answers: dict[Mood, Callable[[Received, asyncio.StreamWriter], Awaitable[None]]] = {
            Mood.WORKS: self._take,
            Mood.FAILS: reply(503, b"not now"),
            Mood.DAWDLES: self._dawdle,
            Mood.HANGS_UP: self._hang_up,
            Mood.HANGS_UP_LATE: self._take_and_hang_up,
        }
        await answers[self.mood](received, writer)

    async def _take(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.taken[received.headers["webhook-id"]] += 1
        await reply(200, b"ok")(received, writer)

    async def _dawdle(self, received: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.5)
        await self._take(received, writer)

    async def _hang_up(self, _received: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def _take_and_hang_up(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.taken[received.headers["webhook-id"]] += 1
        writer.transport.abort()
