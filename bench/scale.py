"""What a state change costs where there are more processes, more tenants and more automations: statements and time."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple

from bench import load, seed, states
from bench.outcome import Goal, Outcome
from bench.rig import Child, Receiver, Rig, default_tenant
from bench.statement_log import logged, statements
from bench.states import MATCHED, MUTATION

PROCESSES, TENANTS, AUTOMATIONS = (1, 2, 4), (1, 20), (100, 10_000)
CLIENTS = 8
WARM_UP = 100
ARRIVE_SECONDS = 60.0
MOST_TIMES, MOST_STATEMENTS_TIMES = 1.5, 3.0
"""What a change may cost among more of something, as a multiple of what it costs among few; and in statements among
more processes, each of which looks for itself."""


class Arrangement(NamedTuple):
    """How much there is of each; every automation watches a flow of its own."""

    processes: int
    tenants: int
    automations: int

    def __str__(self) -> str:
        return f"{self.processes}_processes_{self.tenants}_tenants_{self.automations}_automations"


LEAST = Arrangement(PROCESSES[0], TENANTS[0], AUTOMATIONS[0])
MOST = (
    LEAST._replace(processes=PROCESSES[-1]),
    LEAST._replace(tenants=TENANTS[-1]),
    LEAST._replace(automations=AUTOMATIONS[-1]),
)


async def run(rig: Rig) -> Outcome:
    """Let runs fail, one a call, each with a webhook. The floor: an INSERT a POST in a bare Starlette app."""
    every = [Arrangement(*each) for each in product(PROCESSES, TENANTS, AUTOMATIONS)]
    seen = {each: await _measure(rig, each) for each in rig.pick([LEAST, *MOST], every)}
    goals = []
    for most in MOST:
        times = {
            figure: seen[most][figure] / seen[LEAST][figure] for figure in ("processor_ms_each", "statements_each")
        }
        bound = MOST_STATEMENTS_TIMES if most.processes > LEAST.processes else MOST_TIMES
        goals += [
            Goal(f"{most}, processor time, times the least", times["processor_ms_each"], at_most=MOST_TIMES),
            Goal(f"{most}, statements, times the least", times["statements_each"], at_most=bound),
        ]
    return Outcome({str(each): figures for each, figures in seen.items()}, goals, await _floor(rig))


async def _measure(rig: Rig, arrangement: Arrangement) -> dict[str, float]:
    """Time first, then statements: the log of them would cost time."""
    changes = rig.pick(200, 1000)
    async with rig.database() as url, rig.receiver() as receiver, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.flows(connection, tenant_id, arrangement.automations)
        await seed.runs(connection, tenant_id, 2 * (changes + WARM_UP), flows=arrangement.automations)
        await seed.automations(connection, tenant_id, arrangement.automations, receiver.urls)
        await seed.share_out(connection, arrangement.tenants)
        await connection.execute("VACUUM (ANALYZE)")
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(rig.server(url)) for _ in range(arrangement.processes)]
            fleet = Fleet(rig, servers, arrangement, receiver, itertools.count(1))
            figures = await fleet.spend(changes)
            async with logged(connection):
                return figures | await fleet.count(changes)


@dataclass
class Fleet:
    """Servers over one database, and the runs that nobody touched yet."""

    rig: Rig
    servers: Sequence[Child]
    arrangement: Arrangement
    receiver: Receiver
    runs_left: Iterator[int]

    async def spend(self, changes: int) -> dict[str, float]:
        """Changes a second, and the processor time of each."""
        await self._fail(WARM_UP)
        ours, postgres = self._seconds(), self.rig.postgres_seconds()
        seconds = await self._fail(changes)
        return {
            "accepted_per_second": changes / seconds,
            **_spent(self._seconds() - ours, self.rig.postgres_seconds() - postgres, changes),
        }

    async def count(self, changes: int) -> dict[str, float]:
        """Statements for each change, all that run meanwhile."""
        await self._fail(WARM_UP)
        start = self.rig.postgres_log.stat().st_size
        await self._fail(changes)
        ran = statements(self.rig.postgres_log, start)
        return {"statements_each": len(ran) / changes, "statement_ms_each": sum(each.ms for each in ran) / changes}

    def _seconds(self) -> float:
        return sum(server.processor_seconds for server in self.servers)

    async def _fail(self, changes: int) -> float:
        """Let so many runs fail, over the servers in turn, until each was told of; seconds until the last answer."""
        each = changes // len(self.servers)
        sent = await asyncio.gather(
            *(
                load.closed_loop(
                    server.url,
                    list(self._calls(server, each)),
                    clients=CLIENTS // len(self.servers),
                    seconds=ARRIVE_SECONDS,
                )
                for server in self.servers
            )
        )
        await self.receiver.wait_for(each * len(self.servers), ARRIVE_SECONDS)
        await self.receiver.take()
        return max(max(one.answered_at) for one in sent) - min(min(one.sent_at) for one in sent)

    def _calls(self, server: Child, changes: int) -> Iterator[bytes]:
        for number in islice(self.runs_left, changes):
            state = {"flow_run_id": states.run_id(number), "state": {"type": MATCHED, "message": "It failed."}}
            tenant = seed.tenant_of(1 + number % self.arrangement.automations, self.arrangement.tenants)
            yield load.graphql(
                f"{server.url}/graphql", MUTATION, {"X-PREFECT-TENANT-ID": str(tenant)}, input={"states": [state]}
            )


def _spent(ours: float, postgres: float, changes: int) -> dict[str, float]:
    """Milliseconds of processors for each change, of these seconds."""
    seconds = {"server_ms_each": ours, "postgres_ms_each": postgres, "processor_ms_each": ours + postgres}
    return {name: 1000 * spent / changes for name, spent in seconds.items()}


async def _floor(rig: Rig) -> dict[str, float]:
    changes = rig.pick(200, 1000)
    async with rig.database() as url, rig.floor_app(url) as floor:
        calls = states.floor_calls(floor.url)
        await load.closed_loop(floor.url, islice(calls, WARM_UP), clients=CLIENTS, seconds=ARRIVE_SECONDS)
        ours, postgres = floor.processor_seconds, rig.postgres_seconds()
        sent = await load.closed_loop(floor.url, islice(calls, changes), clients=CLIENTS, seconds=ARRIVE_SECONDS)
        spent = _spent(floor.processor_seconds - ours, rig.postgres_seconds() - postgres, changes)
    return {"inserted_per_second": sent.per_second, "statements_each": 1.0, **spent}
