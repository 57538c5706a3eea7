"""Removes what is old, in small steps with rests between them, so that nothing else has to wait.

One process of all that share the database does; when it ends, another one takes over.
"""

import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.loop import Bell, keep_running, look_alone

log = structlog.get_logger(__name__)
queries = load_queries("retention")

LOCK = 7305804404
LONGEST_LOOK_SECONDS = 600.0
SHORTEST_LOOK_SECONDS = 1.0
BATCH = 500
RUNS_BATCH = 50  # each may have some hundred rows
REST = 4  # times as long as the step before: a fifth of the time at most goes into this
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Keep:
    """For how many days; 0 is for ever."""

    ledger_days: float = 0
    audit_days: float = 0
    idempotency_key_days: float = 0
    flow_run_days: float = 0

    @property
    def look_seconds(self) -> float:
        """How long to rest between two looks: what is kept for minutes only has to be looked at more often."""
        days = (self.ledger_days, self.audit_days, self.idempotency_key_days, self.flow_run_days)
        shortest = min((each * 86_400 for each in days if each), default=math.inf)
        return max(SHORTEST_LOOK_SECONDS, min(shortest / 10, LONGEST_LOOK_SECONDS))


class Retention:
    """Looks every ten minutes, or more often."""

    def __init__(self, database: Database, keep: Keep) -> None:
        self._database, self._keep = database, keep
        self._bell = Bell()

    def stop(self) -> None:
        """Stop after the step under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Look until stopped."""
        await keep_running("retention", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        await look_alone(connection, self._prune, self._bell, lock=LOCK, every_seconds=self._keep.look_seconds)

    async def _prune(self, connection: DedicatedConnection) -> None:
        removed: Counter[str] = Counter()
        started_at = time.monotonic()
        async for table, count in prune(connection, self._keep, now=datetime.now(UTC)):
            removed[table] += count
            await self._bell.wait_for_stop((time.monotonic() - started_at) * REST)
            if self._bell.stopped:
                break
            started_at = time.monotonic()
        if removed.total():
            log.info("removed what is old", **removed)


Step = Callable[[DedicatedConnection, UUID, datetime], AsyncIterator[int]]


async def prune(connection: DedicatedConnection, keep: Keep, *, now: datetime) -> AsyncIterator[tuple[str, int]]:
    """Remove what was kept long enough, a step at a time: the table, and how many of its rows a step removed."""
    tenants = [row["id"] async for row in queries.tenants(connection)]
    kinds: tuple[tuple[str, float, Step], ...] = (
        ("firing", keep.ledger_days, _prune_ledger),
        ("audit_event", keep.audit_days, _prune_audit),
        ("idempotency_key", keep.idempotency_key_days, _prune_idempotency_keys),
        ("flow_run", keep.flow_run_days, _prune_flow_runs),
    )
    for table, days, steps in kinds:
        for tenant_id in tenants if days else ():
            async for count in steps(connection, tenant_id, now - timedelta(days=days)):
                yield table, count


async def _prune_ledger(connection: DedicatedConnection, tenant_id: UUID, before: datetime) -> AsyncIterator[int]:
    last: UUID | None = UUID(int=0)
    while last is not None:
        step = await queries.prune_ledger(
            connection, tenant_id=tenant_id, after=last, before=_first_id(before), batch=BATCH
        )
        last = step["last"]
        yield step["removed"]


async def _prune_audit(connection: DedicatedConnection, tenant_id: UUID, before: datetime) -> AsyncIterator[int]:
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with connection.transaction():
            await queries.allow_audit_removal(connection)
            step = await queries.prune_audit(
                connection, tenant_id=tenant_id, after=last, before=_first_id(before), batch=BATCH
            )
        last = step["last"]
        yield step["removed"]


async def _prune_idempotency_keys(
    connection: DedicatedConnection, tenant_id: UUID, before: datetime
) -> AsyncIterator[int]:
    removed = BATCH
    while removed == BATCH:
        removed = await queries.prune_idempotency_keys(connection, tenant_id=tenant_id, before=before, batch=BATCH)
        yield removed


async def _prune_flow_runs(connection: DedicatedConnection, tenant_id: UUID, before: datetime) -> AsyncIterator[int]:
    last: datetime | None = _BEGINNING
    while last is not None:
        step = await queries.prune_flow_runs(
            connection, tenant_id=tenant_id, after=last, before=before, batch=RUNS_BATCH
        )
        last = step["last"]
        yield step["removed"]


def _first_id(at: datetime) -> UUID:
    """The smallest id that may have been given then (UUIDv7: 48 bits of milliseconds come first; RFC 9562)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
