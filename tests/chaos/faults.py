"""What goes wrong: drawn from a seed, so that a run can be repeated as far as clocks allow."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from automations.database import CLIENT_ERRORS, Database
from automations.postgres import EmbeddedPostgres
from tests.chaos.fleet import Fleet
from tests.chaos.inbox import Inbox, Mood

MOST_SERVERS = 4
PAUSE_SECONDS = (0.5, 2.5)


class Faults:
    """Hurts a fleet, its PostgreSQL and its receiver until cancelled; `done` counts what it did."""

    def __init__(self, fleet: Fleet, postgres: EmbeddedPostgres, inbox: Inbox, random: Random) -> None:
        self._fleet, self._postgres, self._inbox, self._random = fleet, postgres, inbox, random
        self.done: Counter[str] = Counter()
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "server killed": (4, self._kill),
            "server stopped": (1, self._stop),
            "server started": (2, self._start),
            "connections cut": (3, self._cut),
            "PostgreSQL restarted": (1, self._restart),
            "PostgreSQL crashed": (1, self._crash),
            "receiver in trouble": (4, self._upset),
        }

    async def run(self) -> None:
        """One after another, with pauses."""
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
            kinds = list(self._kinds)
            [kind] = self._random.choices(kinds, [self._kinds[name][0] for name in kinds])
            await self._kinds[kind][1]()
            self.done[kind] += 1

    async def _kill(self) -> None:
        await self._fleet.kill()
        await self._fleet.start()

    async def _stop(self) -> None:
        if len(self._fleet.servers) > 1:
            await self._fleet.stop()

    async def _start(self) -> None:
        if len(self._fleet.servers) < MOST_SERVERS:
            await self._fleet.start()

    async def _cut(self) -> None:
        """Half of the connections, whosever they are."""
        try:
            connection = await Database(self._postgres.url).dedicated()
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5"
            )
            await connection.close()
        except CLIENT_ERRORS:  # PostgreSQL is away at the moment
            return

    async def _restart(self) -> None:
        """A fast shutdown: sessions end."""
        self._signal_postgres(signal.SIGINT)

    async def _crash(self) -> None:
        """It recovers from its log."""
        self._signal_postgres(signal.SIGQUIT)

    def _signal_postgres(self, number: signal.Signals) -> None:
        folder = Path(self._postgres.url.partition("host=")[2].partition("/socket")[0])
        with suppress(FileNotFoundError, ProcessLookupError, IndexError):
            os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), number)

    async def _upset(self) -> None:
        self._inbox.mood = self._random.choice([mood for mood in Mood if mood != Mood.WORKS])
        await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))
        self._inbox.mood = Mood.WORKS
