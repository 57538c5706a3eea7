"""How long `automations serve` takes to be ready, its PostgreSQL included, with data that is there already."""

import asyncio
import sys
import time
from statistics import median

from automations.postgres import EmbeddedPostgres
from bench import seed
from bench.outcome import Goal, Outcome
from bench.rig import Rig, default_tenant

RUNS = 10_000


async def run(rig: Rig) -> Outcome:
    """Spawn to the "ready" line of its log, each time with PostgreSQL stopped before. The floor: an empty Python."""
    data_dir = rig.folder / "start"
    first = await _seconds_to_ready(rig)
    embedded = await asyncio.to_thread(EmbeddedPostgres.attach, data_dir)
    async with rig.connection(embedded.url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, 1)
        await seed.runs(connection, tenant_id, RUNS, flows=1)
    await asyncio.to_thread(embedded.release)
    starts = [await _seconds_to_ready(rig) for _ in range(rig.pick(3, 5))]
    figures = {"first_seconds": first, "median_seconds": median(starts), "max_seconds": max(starts)}
    floors = {"python_seconds": median([await _python_seconds() for _ in range(3)])}
    return Outcome(figures, [Goal("median seconds to ready", median(starts), at_most=2)], floors)


async def _seconds_to_ready(rig: Rig) -> float:
    started_at = time.perf_counter()
    async with rig.server(data_dir=rig.folder / "start"):
        return time.perf_counter() - started_at


async def _python_seconds() -> float:
    started_at = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await process.wait()
    return time.perf_counter() - started_at
