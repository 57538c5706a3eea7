"""SLA timers: what a million that wait cost, how exactly one fires that is due, and how fast open runs get theirs."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from automations.actions.webhook import Webhook
from automations.database import Database, DedicatedConnection
from automations.definitions.automations import create_automation
from automations.definitions.triggers import parse_trigger
from automations.engine.sla import SlaTimers, fire_due, queries
from bench import seed
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig, default_tenant

FLOWS = 100
OPEN_RUNS = 10_000
SLA_SECONDS = 3600
FIRED_WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.1

_TIMERS = """
INSERT INTO automations.sla_timer (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at)
SELECT $1, $2, md5('waiting' || n)::uuid, 1, now(), now() + interval '1 day' + n * interval '1 millisecond'
FROM generate_series(1, $3::integer) AS n
"""
_DUE = """
UPDATE automations.sla_timer SET due_at = $2::timestamptz + number * interval '10 milliseconds'
FROM (
    SELECT flow_run_id, row_number() OVER (ORDER BY flow_run_id) AS number
    FROM automations.sla_timer WHERE due_at < now() + interval '2 hours' LIMIT $1::integer
) AS chosen
WHERE sla_timer.flow_run_id = chosen.flow_run_id
"""
_LATENESS = """
SELECT extract(epoch FROM created - (event ->> 'timestamp')::timestamptz)::double precision FROM automations.firing
"""


async def run(rig: Rig) -> Outcome:
    """Floors: `SELECT 1` on the same connection for the tick, a bare insert of as many timers for the back-fill."""
    waiting, due = rig.pick(200_000, 1_000_000), rig.pick(200, 1000)
    async with rig.database() as url, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, FLOWS)
        await seed.runs(connection, tenant_id, OPEN_RUNS, flows=FLOWS)
        await seed.entered_states(connection, tenant_id, OPEN_RUNS, each=1)
        await connection.execute("VACUUM ANALYZE")
        backfill_seconds = await _add_sla(connection, tenant_id)
        config_id = await connection.fetchval("SELECT id FROM automations.flow_sla_config")
        inserted_seconds = await _timed(connection, _TIMERS, tenant_id, config_id, OPEN_RUNS)
        await connection.execute(_TIMERS.replace("'waiting'", "'more'"), tenant_id, config_id, waiting)
        await connection.execute("VACUUM ANALYZE automations.sla_timer")
        ticks, floor_ticks = await _ticks(connection, "tick"), await _ticks(connection, "floor")
        lateness = await _fire(connection, url, due)
    tick, fired = spread(ticks), spread(lateness)
    figures = {
        "waiting": waiting,
        "idle_tick": tick,
        "fired_after_due": fired,
        "backfill_of_10000_open_runs_seconds": backfill_seconds,
    }
    floors = {"select_1": spread(floor_ticks), "insert_of_10000_timers_seconds": inserted_seconds}
    goals = [
        Goal(f"idle tick with {waiting} timers, p99 ms", tick["p99_ms"], at_most=2),
        Goal("firing after its time, p99 ms", fired["p99_ms"], at_most=100),
        Goal("a new SLA over 10,000 open runs, seconds", backfill_seconds, at_most=1),
    ]
    return Outcome(figures, goals, floors)


async def _add_sla(connection: DedicatedConnection, tenant_id: UUID) -> float:
    event = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": SLA_SECONDS}}
    started_at = time.perf_counter()
    async with connection.transaction():
        await create_automation(
            connection,
            tenant_id,
            name="late",
            description=None,
            enabled=True,
            trigger=parse_trigger(event),
            actions=[Webhook(url="http://127.0.0.1:9/")],
        )
    return time.perf_counter() - started_at


async def _timed(connection: DedicatedConnection, sql: str, *arguments: object) -> float:
    started_at = time.perf_counter()
    await connection.execute(sql, *arguments)
    return time.perf_counter() - started_at


async def _ticks(connection: DedicatedConnection, which: str) -> list[float]:
    """Seconds of each look at a table in which nothing is due."""
    ticks = []
    for _ in range(300):
        started_at = time.perf_counter()
        if which == "floor":
            await connection.fetchval("SELECT 1")
        else:
            await queries.next_due(connection)
            await fire_due(connection, now=datetime.now(UTC), max_depth=8)
        ticks.append(time.perf_counter() - started_at)
    return ticks


async def _fire(connection: DedicatedConnection, url: str, count: int) -> list[float]:
    """Let timers come due one after the other; by how much later each has fired, in seconds."""
    await connection.execute(_DUE, count, datetime.now(UTC) + timedelta(seconds=1))
    timers = SlaTimers(Database(url), max_depth=8, on_deliveries=lambda: None)
    running = asyncio.create_task(timers.run())
    try:
        async with asyncio.timeout(FIRED_WITHIN_SECONDS):
            while await connection.fetchval("SELECT count(*) FROM automations.firing") < count:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        timers.stop()
        await running
    return [row[0] for row in await connection.fetch(_LATENESS)]
