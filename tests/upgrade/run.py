"""One run: servers of an earlier version under load, replaced by the present one, one after the other."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import orjson

from automations.database import Database
from tests.chaos.fleet import Fleet
from tests.chaos.inbox import Inbox
from tests.chaos.load import QUIET_SECONDS, Load
from tests.chaos.run import cancel, embedded, open_fleet, reckon
from tests.harness import PRESENT, Program, ServerProcess
from tests.receivers import Receiver
from tests.upgrade.versions import install

SERVERS = 2
PHASES = 4
"""The old version alone, both, an old server started again beside the new one, the new version alone."""


async def run_upgrade(*, revision: str, seconds: float, rate: float) -> dict[str, Any]:
    """What happened and what was wrong in the end, as JSON has it."""
    inbox = Inbox()
    with tempfile.TemporaryDirectory(prefix="automations-upgrade-") as name, embedded(Path(name)) as postgres:
        old = await asyncio.to_thread(install, revision, Path(name) / "old")
        async with open_fleet(postgres.url, Path(name), Random(0)) as fleet, Receiver(inbox) as receiver:
            rolling = Rolling(fleet, old)
            await rolling.begin()
            load = Load(fleet, Random(0), receiver.url)
            await load.prepare()
            steady = asyncio.create_task(load.keep_steady())
            loading = asyncio.create_task(load.run(seconds, rate))
            await rolling.go_on(pause=seconds / PHASES)
            await loading
            await asyncio.sleep(max(0, QUIET_SECONDS - seconds * 0.6))
            report = await reckon(load, inbox)
            await cancel(steady)
            report["wrong"] += rolling.wrong() + _unacknowledged(load)
    return {"from": revision, "seconds": seconds, **rolling.report, **report}


class Rolling:
    """The upgrade itself. `report` says what the database and the old version made of it."""

    def __init__(self, fleet: Fleet, old: Program) -> None:
        self._fleet, self._old = fleet, old
        self._all: list[ServerProcess] = []
        self.report: dict[str, Any] = {}

    async def begin(self) -> None:
        """The old version, as it was for long."""
        for _ in range(SERVERS):
            await self._start(self._old)
        self._may_start_again = await self._goes_with_newer()
        self._migrations = await self._migrated()

    async def go_on(self, pause: float) -> None:
        """Start the new version, an old server once more, and replace the old ones, while the load goes on."""
        await asyncio.sleep(pause)
        replaced = list(self._fleet.servers)
        await self._start(PRESENT)
        self.report["migrations"] = await self._migrated() - self._migrations
        await asyncio.sleep(pause)
        await self._fleet.stop(replaced.pop())
        self.report["an old server starts again"] = await self._start_again(replaced)
        await asyncio.sleep(pause)
        for server in replaced:
            await self._start(PRESENT)
            await self._fleet.stop(server)

    def wrong(self) -> list[str]:
        """What servers complained of, and an old one that does not start although it could."""
        found = [f"a server logged: {line}" for server in self._all for line in _errors(server.log)]
        if self._may_start_again and not self.report["an old server starts again"]:
            found.append("an old server did not start again")
        return found

    async def _start(self, program: Program) -> None:
        self._all.append(await self._fleet.start_once(program))

    async def _start_again(self, replaced: list[ServerProcess]) -> bool:
        """An old server beside the new one, or a new one where the database is too new for it."""
        try:
            await self._start(self._old)
        except RuntimeError as error:
            self.report["it says"] = str(error).splitlines()[-1]
            await self._start(PRESENT)
            return False
        replaced.append(self._all[-1])
        return True

    async def _goes_with_newer(self) -> bool:
        """Whether the old version notes for whom its migrations are, and so knows what to make of newer ones."""
        return bool(
            await self._ask(
                "SELECT count(*) FROM information_schema.columns WHERE (table_schema, table_name, column_name) = "
                "('automations', 'migration', 'oldest_program')"
            )
        )

    async def _migrated(self) -> int:
        return await self._ask("SELECT count(*) FROM automations.migration")

    async def _ask(self, query: str) -> int:
        connection = await Database(self._fleet.database_url).dedicated()
        try:
            return int(await connection.fetchval(query))
        finally:
            await connection.close()


def _errors(log: Sequence[str]) -> Iterator[str]:
    for line in log:
        with suppress(orjson.JSONDecodeError):
            entry = orjson.loads(line)
            if entry.get("level") in {"error", "critical"}:
                yield f"{entry['event']} {entry.get('exception', entry.get('error', ''))}"


def _unacknowledged(load: Load) -> list[str]:
    """No server was away: each caller got an answer."""
    lost = load.reported - len(load.acknowledged)
    return [f"{lost} changes were not acknowledged"] if lost else []
