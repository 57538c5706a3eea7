"""Whether what happens all day takes longer among 10,000,000 runs and 100,000 automations than among few."""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, repeat
from statistics import median
from typing import Any

from automations.database import Database, DedicatedConnection
from automations.delivery.dispatcher import queries as delivery
from automations.engine.sla import fire_due
from automations.engine.sla import queries as sla
from bench import load, seed
from bench.filters import FLOWS, PER_DAY, PROJECTS, filters
from bench.outcome import Goal, Outcome, percentile
from bench.plans import STATEMENTS, generic_plan, nodes
from bench.rig import Child, Receiver, Rig, default_tenant
from bench.statement_log import logged, statements
from bench.states import Watched

RUNS_OF_EACH_AUTOMATION = 100
RUNS_OF_EACH_DELIVERY = 10
RUNNING = 1000
"""So many are at work in what `seed.history` makes, before as many that are scheduled."""
SEED_SECONDS = 3600.0
LEAST = 20
"""How often a statement has to have run for its time to count."""
FLOOR = "SELECT 1"
MOST_MS_MORE, MOST_PAGE_MS = 1.0, 20.0
_QUEUE = "mutation { get_runs_in_queue(input: {labels: []}) { flow_run_ids } }"


@dataclass(frozen=True)
class Seen:
    """At one size: the median milliseconds of each statement and of each page, and which indexes the plans use."""

    megabytes: float
    floor_ms: float
    statements: dict[str, float]
    pages: dict[str, float]
    plans: dict[str, set[str]]

    def shown(self) -> dict[str, Any]:
        return {"megabytes": self.megabytes, "statement_ms": self.statements, "page_ms": self.pages}


async def run(rig: Rig) -> Outcome:
    """The same work at each size, timed statement by statement by PostgreSQL; the floor is `SELECT 1` in its log."""
    seen = {size: await _at_size(rig, size) for size in rig.pick((10_000, 100_000), (100_000, 1_000_000, *rig.huge))}
    least, most = seen[min(seen)], seen[max(seen)]
    goals = [
        Goal(f"ms that {name} takes longer", most.statements[name] - least.statements[name], at_most=MOST_MS_MORE)
        for name in sorted(least.statements.keys() & most.statements.keys())
    ]
    goals += [Goal(f"p50 of {name}, ms", ms, at_most=MOST_PAGE_MS) for name, ms in most.pages.items()]
    changed = {
        name: [sorted(least.plans[name] - most.plans[name]), sorted(most.plans[name] - least.plans[name])]
        for name in STATEMENTS
        if least.plans[name] != most.plans[name]
    }
    goals.append(Goal("hot statements that go by other tables and indexes", len(changed), at_most=0))
    floors = {f"{size}_runs": {"select_1_ms": at.floor_ms} for size, at in seen.items()}
    return Outcome({f"{size}_runs": at.shown() for size, at in seen.items()} | {"plans": changed}, goals, floors)


async def _at_size(rig: Rig, size: int) -> Seen:
    async with rig.database() as url, rig.receiver() as receiver:
        connection = await Database(url).dedicated(statement_seconds=SEED_SECONDS)
        try:
            async with rig.careless():
                await _fill(connection, size, receiver)
            megabytes = await connection.fetchval("SELECT pg_database_size(current_database()) / 1e6::float8")
            plans = await _plans(connection)
            start = rig.postgres_log.stat().st_size
            async with logged(connection), rig.server(url) as server:
                await _work(rig, Watched(url, server, receiver, iter(range(size - 2 * RUNNING + 1, size - RUNNING))))
                pages = await _pages(rig, server)
                await _tick(rig, url)
        finally:
            await connection.close()
    medians = _medians(rig, start)
    return Seen(megabytes, medians.pop(FLOOR), medians, pages, plans)


async def _fill(connection: DedicatedConnection, size: int, receiver: Receiver) -> None:
    tenant_id = await default_tenant(connection)
    automations = max(FLOWS, size // RUNS_OF_EACH_AUTOMATION)  # one for each flow at least
    await seed.flows(connection, tenant_id, FLOWS, projects=PROJECTS)
    async with seed.without_indexes(connection, "public.flow_run", "public.flow_run_state"):
        await seed.history(connection, tenant_id, size, flows=FLOWS, per_day=PER_DAY)
        await seed.states(connection, tenant_id, size)
    await seed.automations(connection, tenant_id, automations, receiver.urls)
    async with seed.without_indexes(connection, "automations.firing", "automations.delivery"):
        await seed.ledger(connection, tenant_id, size // RUNS_OF_EACH_DELIVERY, automations=automations)
    await seed.timers(connection, tenant_id, size // RUNS_OF_EACH_DELIVERY)
    await connection.execute("VACUUM (ANALYZE)")


async def _work(rig: Rig, watched: Watched) -> None:
    """Runs fail, one a call, each with a webhook, and agents ask for work."""
    count = rig.pick(100, 500)
    await load.closed_loop(watched.server.url, islice(watched.calls(states=1), count), clients=2, seconds=60)
    await watched.receiver.wait_for(count, 60)
    asks = repeat(load.graphql(f"{watched.server.url}/graphql", _QUEUE), count)
    await load.closed_loop(watched.server.url, asks, clients=1, seconds=60)


async def _pages(rig: Rig, server: Child) -> dict[str, float]:
    """The median milliseconds of each whole answer; of one that is refused for the time it takes, until that."""
    found = {}
    for name, query in filters(datetime.now(UTC)).items():
        requests = repeat(load.graphql(f"{server.url}/graphql", query), rig.pick(5, 20))
        started_at = time.perf_counter()
        try:
            waits = (await load.closed_loop(server.url, requests, clients=1, seconds=5)).waits
        except load.WrongAnswer:
            waits = [time.perf_counter() - started_at]
        found[name] = 1000 * percentile(sorted(waits), 50)
    return found


async def _tick(rig: Rig, url: str) -> None:
    """What loops look for again and again, and the smallest statement there is."""
    async with rig.connection(url) as connection:
        for _ in range(LEAST):
            await sla.next_due(connection)
            await fire_due(connection, now=datetime.now(UTC), max_depth=8)
            await connection.fetchval(FLOOR)


def _medians(rig: Rig, start: int) -> dict[str, float]:
    times = defaultdict(list)
    for ran in statements(rig.postgres_log, start):
        times[ran.name].append(ran.ms)
    return {name: median(took) for name, took in sorted(times.items()) if len(took) >= LEAST}


async def _plans(connection: DedicatedConnection) -> dict[str, set[str]]:
    """The tables and indexes that each hot statement goes by."""
    await delivery.plan_for_all_values(connection)
    return {
        name: {
            f"{node['Node Type']} {node.get('Index Name') or node['Relation Name']}"
            for node in nodes(await generic_plan(connection, name))
            if "Index Name" in node or "Relation Name" in node
        }
        for name in STATEMENTS
    }
