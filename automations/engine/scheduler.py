"""Schedules make runs ahead, for as long as they are on."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from automations.database import Database, DedicatedConnection
from automations.engine.loop import Bell, keep_running
from automations.orchestration.scheduled_runs import FIRST, make_runs_ahead

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
REST: Final = timedelta(minutes=10)
"""How long a schedule is left alone that has no more times, or whose filters refuse thousands of them."""


class Scheduler:
    """Looks for schedules that want runs. Any number may look, here and elsewhere: each time has one run."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bell = Bell()
        self._resting: dict[UUID, datetime] = {}

    def stop(self) -> None:
        """Stop after the batch under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Look until stopped."""
        await keep_running("scheduler", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        while not self._bell.stopped:
            await self.look(connection, now=datetime.now(UTC))
            await self._bell.wait_for_stop(LOOK_SECONDS)

    async def look(self, connection: DedicatedConnection, *, now: datetime) -> int:
        """Look at all schedules once; how many runs were made."""
        self._resting = {flow_id: until for flow_id, until in self._resting.items() if until > now}
        runs = 0
        first: UUID | None = FIRST
        while first is not None and not self._bell.stopped:
            async with connection.transaction():
                look = await make_runs_ahead(connection, now=now, first=first, passed_over=self._resting)
            self._resting.update(dict.fromkeys(look.short, now + REST))
            runs, first = runs + look.runs, look.next
        if runs:
            log.debug("schedules made runs", runs=runs)
        return runs
