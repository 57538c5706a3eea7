"""How fast queued state changes are matched, with few and with very many automations."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import orjson

from automations.database import DedicatedConnection
from automations.engine.evaluator import BATCH, evaluate_batch
from automations.events import FLOW_RUN_STATE_CHANGED, sample_event
from bench import seed
from bench.outcome import Goal, Outcome, middle
from bench.rig import Rig, default_tenant

AUTOMATIONS = (1_000, 100_000)
FEW, EACH = 1, 100
"""Of a hundred changes, how many match an automation."""

_DELETE = """
WITH taken AS (
    DELETE FROM automations.state_change
    WHERE id = ANY(ARRAY(SELECT id FROM automations.state_change ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING tenant_id, flow_run_id, flow_run_state_id, state, captured_at, caused_by
)
SELECT count(*) FROM taken
"""
_INSERT = """
WITH fired AS (
    INSERT INTO automations.firing (tenant_id, automation_id, event_type, event_id, event, flow_run_id)
    SELECT $1, md5('automation' || n)::uuid, 'FlowRunStateChangedEvent', md5('flow_run_state' || n)::uuid, $2,
        md5('flow_run' || n)::uuid
    FROM generate_series($3::integer, $4::integer) AS n
    RETURNING id, automation_id
)
INSERT INTO automations.delivery (
    tenant_id, firing_id, automation_id, action_id, action_type, destination, status, due_at
)
SELECT $1, id, automation_id, automation_id, 'WebhookAction', 'webhook:http://127.0.0.1:9', 'PENDING', now() FROM fired
"""


async def run(rig: Rig) -> Outcome:
    """Fill the queue through SQL, call `evaluate_batch` until it is empty.

    Each automation watches one flow group. There are two floors: to delete the queue in batches of the same size, and
    to insert a firing and a delivery a change from constants; where each change matches, no evaluator is faster.
    """
    figures, floors, goals = {}, {}, []
    for automations in AUTOMATIONS:
        measured, floor = await _with_automations(rig, automations)
        figures[f"with_{automations}_automations"] = measured
        floors[f"with_{automations}_automations"] = floor
        which = f"changes/s, {automations} automations, few match"
        goals.append(Goal(which, measured["few_match_per_second"], at_least=50_000))
    return Outcome(figures, goals, floors)


async def _with_automations(rig: Rig, automations: int) -> tuple[dict[str, float], dict[str, float]]:
    changes = rig.pick(20_000, 100_000)
    flows = min(automations, changes)
    measured, floors = [], []
    async with rig.database() as url, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, flows)
        await seed.runs(connection, tenant_id, changes, flows=flows)
        await seed.states(connection, tenant_id, changes)
        await seed.automations(connection, tenant_id, automations, ["http://127.0.0.1:9/"])
        await connection.execute("VACUUM ANALYZE")
        queue = _Queue(connection, tenant_id, changes)
        for _ in range(rig.pick(1, 3)):
            few = await queue.drain(FEW, queue.evaluate)
            each = await queue.drain(EACH, queue.evaluate)
            deleted = await queue.drain(EACH, queue.delete)
            inserted = await queue.insert()
            measured.append({"few_match_per_second": few, "each_matches_per_second": each})
            floors.append(
                {
                    "deleted_per_second": deleted,
                    "inserted_per_second": inserted,
                    "few_match_of_deleted": few / deleted,
                    "each_matches_of_inserted": each / inserted,
                }
            )
    return middle(measured), middle(floors)


class _Queue:
    """State changes, of which there are always so many, and ways to be rid of them."""

    def __init__(self, connection: DedicatedConnection, tenant_id: UUID, changes: int) -> None:
        self._connection, self._tenant_id, self._changes = connection, tenant_id, changes
        self._firings = 0

    async def drain(self, failed_percent: int, take: Callable[[], Awaitable[int]]) -> float:
        """Changes a second. So many in a hundred are failures, which match, and the rest match nothing."""
        await seed.changes(self._connection, self._tenant_id, self._changes, failed_percent=failed_percent)
        self._firings, started_at = 0, time.perf_counter()
        while await take():
            pass
        seconds = time.perf_counter() - started_at
        if self._firings and self._firings != self._changes * failed_percent // 100:
            raise RuntimeError(f"{self._firings} firings of {self._changes} changes, {failed_percent} % of which match")
        return self._changes / seconds

    async def evaluate(self) -> int:
        taken = await evaluate_batch(self._connection, now=datetime.now(UTC), max_depth=8)
        self._firings += taken["firings"]
        return int(taken["changes"])

    async def delete(self) -> int:
        return int(await self._connection.fetchval(_DELETE, BATCH))

    async def insert(self) -> float:
        """Firings and their deliveries a second, from nothing."""
        event = orjson.dumps(sample_event(FLOW_RUN_STATE_CHANGED)).decode()
        started_at = time.perf_counter()
        for first in range(1, self._changes, BATCH):
            await self._connection.execute(_INSERT, self._tenant_id, event, first, first + BATCH - 1)
        return self._changes / (time.perf_counter() - started_at)
