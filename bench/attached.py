"""What it costs an existing backend to be watched: inserts of states into its tables, with our triggers and without."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from automations.database import DedicatedConnection
from automations.migrations import migrate
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig

TABLES = Path(__file__).parent.parent / "tests" / "attached" / "prefect_server.sql"
CLIENTS = 2
BATCH = 100
"""States in one statement; and runs of each client, since no two write states of one run at the same time."""
MOST = 1.3

_RUNS = """
WITH tenant AS (INSERT INTO tenant (name, slug) VALUES ('bench', 'bench') RETURNING id),
project AS (INSERT INTO project (tenant_id, name) SELECT id, 'bench' FROM tenant RETURNING id),
flow_group AS (INSERT INTO flow_group (tenant_id, name) SELECT id, 'bench' FROM tenant RETURNING id),
flow AS (
    INSERT INTO flow (tenant_id, name, version, project_id, flow_group_id)
    SELECT tenant.id, 'bench', 1, project.id, flow_group.id FROM tenant, project, flow_group RETURNING id, tenant_id
)
INSERT INTO flow_run (tenant_id, flow_id, name)
SELECT tenant_id, id, 'run ' || n FROM flow, generate_series(1, $1::int) AS n
RETURNING id
"""
_STATES = """
INSERT INTO flow_run_state (tenant_id, flow_run_id, version, state, message, serialized_state)
SELECT tenant_id, id, version + 1, 'Running', 'Running flow.', '{"type": "Running", "message": "Running flow."}'
FROM flow_run WHERE id = ANY($1::uuid[])
"""


@dataclass
class Client:
    """A client of a backend, with runs of its own. `taken` has the seconds of its inserts."""

    connection: DedicatedConnection
    runs: list[UUID]
    taken: list[float] = field(default_factory=list)

    async def insert(self, runs: Sequence[UUID]) -> None:
        """Let runs enter a state, in one statement that commits."""
        started_at = time.perf_counter()
        await self.connection.execute(_STATES, runs)
        self.taken.append(time.perf_counter() - started_at)


async def run(rig: Rig) -> Outcome:
    """Floor: the same inserts into a database that nobody attached to; each insert in turn with one of the other.

    Nobody evaluates meanwhile: that is our work, and not part of the backend's inserts.
    """
    async with _backend(rig, attach=False) as plain, _backend(rig, attach=True) as attached:
        single = await _in_turn(plain, attached, inserts=rig.pick(600, 5000), states=1)
        batch = await _in_turn(plain, attached, inserts=rig.pick(60, 400), states=BATCH)
    figures = {"one_state": single[1], f"{BATCH}_states": batch[1]}
    floors = {"one_state": single[0], f"{BATCH}_states": batch[0]}
    goals = [
        Goal(
            f"time of an insert of {states}, of one that nobody watches",
            watched["p50_ms"] / floor["p50_ms"],
            at_most=MOST,
        )
        for states, (floor, watched) in (("one state", single), (f"{BATCH} states", batch))
    ]
    return Outcome(figures, goals, floors)


async def _in_turn(
    plain: list[Client], attached: list[Client], *, inserts: int, states: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The times of so many inserts into either, by all clients at once."""

    async def alternate(pair: tuple[Client, Client], *, inserts: int) -> None:
        for number in range(inserts):
            first = number * states % BATCH
            for client in pair if number % 2 else reversed(pair):
                await client.insert(client.runs[first : first + states])

    pairs = list(zip(plain, attached, strict=True))
    for pair in pairs:  # plans and caches
        await alternate(pair, inserts=BATCH // states)
    for client in (*plain, *attached):
        client.taken.clear()
    await asyncio.gather(*(alternate(pair, inserts=inserts // CLIENTS) for pair in pairs))
    return _spread(plain), _spread(attached)


def _spread(clients: Sequence[Client]) -> dict[str, float]:
    return spread([seconds for client in clients for seconds in client.taken])


@asynccontextmanager
async def _backend(rig: Rig, *, attach: bool) -> AsyncIterator[list[Client]]:
    """Clients of a backend with a database of its own, that is watched or not."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(rig.empty_database())
        connections = [await stack.enter_async_context(rig.connection(url)) for _ in range(CLIENTS)]
        await connections[0].execute(TABLES.read_text())
        runs = [row["id"] for row in await connections[0].fetch(_RUNS, CLIENTS * BATCH)]
        if attach:
            await migrate(connections[0])
        yield [Client(connection, runs[place::CLIENTS]) for place, connection in enumerate(connections)]
