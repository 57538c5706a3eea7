"""Where the receivers' answers wait while the story wants them slow."""

import asyncio
from collections import Counter
from contextlib import suppress

from automations.demo.rules import Kind


class Gate:
    """Answers pass through it. `waiting` counts those that have come to it and not yet passed."""

    def __init__(self) -> None:
        self.waiting: Counter[Kind] = Counter()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._news = asyncio.Condition()

    def shut(self) -> None:
        """Let answers wait from now on."""
        self._is_open.clear()

    def open(self) -> None:
        """Let every answer pass, those that have waited included."""
        self._is_open.set()

    async def wait_for(self, kinds: Counter[Kind], *, total: int, seconds: float) -> None:
        """Return once so many of each kind wait, and so many in all, or after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: kinds <= self.waiting and self.waiting.total() >= total)

    async def pass_through(self, kind: Kind) -> None:
        """Return when an answer may be given."""
        self.waiting[kind] += 1
        async with self._news:
            self._news.notify_all()
        await self._is_open.wait()
        self.waiting[kind] -= 1
