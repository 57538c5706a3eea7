"""How fast queued state changes are matched, with few and with very many automations."""

import time
from datetime import UTC, datetime
from uuid import UUID

from automations.database import DedicatedConnection
from automations.engine.evaluator import BATCH, evaluate_batch
from bench import seed
from bench.outcome import Goal, Outcome, middle
from bench.rig import Rig, default_tenant

CHANGES = 100_000
AUTOMATIONS = (1_000, 100_000)
FEW, EVERY = 1, 100
"""Of a hundred changes, how many match an automation."""

_DELETE = """
WITH taken AS (
    DELETE FROM automations.state_change
    WHERE id = ANY(ARRAY(SELECT id FROM automations.state_change ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING tenant_id, flow_run_id, flow_run_state_id, state, captured_at, caused_by
)
SELECT count(*) FROM taken
"""


async def run(rig: Rig) -> Outcome:
    """Fill the queue through SQL, call `evaluate_batch` until it is empty. The floor deletes and matches nothing."""
    figures, floors, goals = {}, {}, []
    for automations in AUTOMATIONS:
        measured, floor = await _with_automations(rig, automations)
        figures[f"with_{automations}_automations"] = measured
        floors[f"with_{automations}_automations"] = floor
        goals += [
            Goal(f"changes/s, {automations} automations, few match", measured["few_match_per_second"], at_least=50_000),
            Goal(
                f"changes/s, {automations} automations, each matches",
                measured["each_matches_per_second"],
                at_least=50_000,
            ),
        ]
    return Outcome(figures, goals, floors)


async def _with_automations(rig: Rig, automations: int) -> tuple[dict[str, float], dict[str, float]]:
    measured, floors = [], []
    async with rig.database() as url, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, automations)
        await seed.runs(connection, tenant_id, CHANGES, flows=automations)
        await seed.states(connection, tenant_id, CHANGES)
        await seed.automations(connection, tenant_id, automations, ["http://127.0.0.1:9/"])
        await connection.execute("VACUUM ANALYZE")
        for _ in range(rig.pick(1, 3)):
            few = await _drain(connection, tenant_id, FEW)
            every = await _drain(connection, tenant_id, EVERY)
            await seed.changes(connection, tenant_id, CHANGES, failed_percent=EVERY)
            started_at = time.perf_counter()
            while await connection.fetchval(_DELETE, BATCH):
                pass
            deleted = CHANGES / (time.perf_counter() - started_at)
            measured.append({"few_match_per_second": few, "each_matches_per_second": every})
            floors.append(
                {
                    "deleted_per_second": deleted,
                    "few_match_of_floor": few / deleted,
                    "each_matches_of_floor": every / deleted,
                }
            )
    return middle(measured), middle(floors)


async def _drain(connection: DedicatedConnection, tenant_id: UUID, failed_percent: int) -> float:
    await seed.changes(connection, tenant_id, CHANGES, failed_percent=failed_percent)
    firings, started_at = 0, time.perf_counter()
    while (taken := await evaluate_batch(connection, now=datetime.now(UTC), max_depth=8))["changes"]:
        firings += taken["firings"]
    seconds = time.perf_counter() - started_at
    if firings != CHANGES * failed_percent // 100:
        raise RuntimeError(f"{firings} firings from {CHANGES} changes, {failed_percent} % of which match")
    return CHANGES / seconds
