"""Signs of life: agents that ask for work, each in a call of its own, and the statement that notes many at once."""

import time
from datetime import UTC, datetime, timedelta
from itertools import cycle
from uuid import UUID

from automations.database import DedicatedConnection
from automations.orchestration.queue import touch_agents
from bench import load, seed
from bench.outcome import Goal, Outcome
from bench.rig import Rig, default_tenant

AGENTS = 1000
CLIENTS = 16
MUTATION = "mutation { get_runs_in_queue(input: {}) { flow_run_ids } }"
_HOT = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'agent'"


async def run(rig: Rig) -> Outcome:
    """Floor of the calls: `{ hello }` of the same server, which does nothing."""
    seconds = rig.pick(2.0, 8.0)
    async with rig.database() as url, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.agents(connection, tenant_id, AGENTS)
        await connection.execute("VACUUM ANALYZE public.agent")
        written_per_second = await _write(connection, tenant_id, rounds=rig.pick(20, 100))
        async with rig.server(url) as server:
            endpoint = f"{server.url}/graphql"
            calls = [_as_agent(load.graphql(endpoint, MUTATION), number) for number in range(1, AGENTS + 1)]
            await load.closed_loop(server.url, cycle(calls), clients=CLIENTS, seconds=0.5)
            asked = await load.closed_loop(server.url, cycle(calls), clients=CLIENTS, seconds=seconds)
            hello = load.graphql(endpoint, "{ hello }")
            floor = await load.closed_loop(server.url, cycle([hello]), clients=CLIENTS, seconds=seconds / 2)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        updated = await connection.fetchrow(_HOT)
        seen = await connection.fetchval(
            "SELECT count(*) FROM public.agent WHERE last_queried > now() - interval '1 minute'"
        )
    assert updated is not None
    if seen != AGENTS:
        raise RuntimeError(f"{seen} of {AGENTS} agents were seen to live")
    figures = {
        "calls_per_second": asked.per_second,
        "in_batches_per_second": written_per_second,
        "in_page_updates": updated["n_tup_hot_upd"] / updated["n_tup_upd"],
    }
    floors = {"hello_per_second": floor.per_second, "calls_of_hello": asked.per_second / floor.per_second}
    goals = [
        Goal("calls/s, 16 clients", figures["calls_per_second"], at_least=2000),
        Goal("in batches/s", figures["in_batches_per_second"], at_least=20_000),
        Goal("in-page updates of all updates", figures["in_page_updates"], at_least=0.95),
    ]
    return Outcome(figures, goals, floors)


async def _write(connection: DedicatedConnection, tenant_id: UUID, *, rounds: int) -> float:
    """Signs of life a second, of all agents in one statement."""
    agents = [(tenant_id, seed.id_of("agent", number)) for number in range(1, AGENTS + 1)]
    now, started_at = datetime.now(UTC) - timedelta(days=1), time.perf_counter()
    for _ in range(rounds):
        now += timedelta(seconds=2)
        await touch_agents(connection, agents, now=now)
    return rounds * AGENTS / (time.perf_counter() - started_at)


def _as_agent(request: bytes, number: int) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + f"\r\nX-PREFECT-AGENT-ID: {seed.id_of('agent', number)}\r\n\r\n".encode() + body
