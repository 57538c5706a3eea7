"""Timers that are due → firings of the runs that are late. Sleeps until the next one is due."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.firings import owe
from automations.engine.loop import Bell, keep_running
from automations.events import FLOW_SLA_FAILED
from automations.metrics import FIRINGS

log = structlog.get_logger(__name__)
queries = load_queries("sla")

BATCH = 1000
# Timers that other processes set are found by looking.
LONGEST_SLEEP_SECONDS = 1.0
# A run whose state is just being written is looked at again.
BUSY_SECONDS = 0.02


@dataclass(frozen=True)
class Taken:
    """What became of the due timers: how many there were, how many of their runs are being written, what is owed."""

    due: int
    busy: int
    firings: int = 0
    deliveries: int = 0


class SlaTimers:
    """Fires what is due. Any number may run, here and elsewhere: they share the timers."""

    def __init__(self, database: Database, *, max_depth: int, on_deliveries: Callable[[], None]) -> None:
        self._database, self._max_depth, self._on_deliveries = database, max_depth, on_deliveries
        self._bell = Bell()
        self._wakes_at: datetime | None = None

    def expect(self, due_at: datetime) -> None:
        """A timer was set that is due at this time."""
        if self._wakes_at is None or due_at < self._wakes_at:
            self._bell.ring()

    def stop(self) -> None:
        """Stop after the batch under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Fire until stopped."""
        await keep_running("sla", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        connection.add_termination_listener(lambda *_: self._bell.ring())
        while not self._bell.stopped:
            self._bell.hush()
            self._wakes_at = None
            seconds = await self._seconds_to_next(connection)
            if seconds > 0:
                await self._bell.wait(seconds)
                continue
            taken = await fire_due(connection, now=datetime.now(UTC), max_depth=self._max_depth)
            if taken.deliveries:
                self._on_deliveries()
            if taken.busy:
                await self._bell.wait(BUSY_SECONDS)

    async def _seconds_to_next(self, connection: DedicatedConnection) -> float:
        due_at: datetime | None = await queries.next_due(connection)
        if due_at is None:
            return LONGEST_SLEEP_SECONDS
        self._wakes_at = due_at
        return min((due_at - datetime.now(UTC)).total_seconds(), LONGEST_SLEEP_SECONDS)


async def fire_due(connection: DedicatedConnection, *, now: datetime, max_depth: int, batch: int = BATCH) -> Taken:
    """Take up to `batch` timers that are due and fire for the runs that are late still."""
    async with connection.transaction():
        rows = [row async for row in queries.take_due(connection, now=now, batch=batch)]
        due, busy = rows[0]["due"], rows[0]["busy"]
        held = [row for row in rows if row["flow_run_id"] is not None]
        if not held:
            return Taken(due, busy)
        # A statement of its own: it sees what those wrote who held the runs before.
        firings = [
            row
            async for row in queries.fire_late(
                connection,
                now=now,
                tenant_ids=[row["tenant_id"] for row in held],
                flow_sla_config_ids=[row["flow_sla_config_id"] for row in held],
                flow_run_ids=[row["flow_run_id"] for row in held],
            )
        ]
        deliveries = await owe(connection, firings, now=now, max_depth=max_depth)
    if firings:
        FIRINGS.labels(FLOW_SLA_FAILED.name).inc(len(firings))
        log.debug("runs are late", timers=due, firings=len(firings), deliveries=deliveries)
    return Taken(due, busy, len(firings), deliveries)
