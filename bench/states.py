"""What the benchmarks of state changes share: a server with watched runs, and the calls that let runs fail."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

import orjson

from bench import load, seed
from bench.rig import Child, Receiver, Rig, default_tenant

FLOWS = 10
MATCHED, UNMATCHED = "Failed", "Running"

MUTATION = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"


@dataclass
class Watched:
    """A server, numbers of runs that nobody touched yet, and the receiver that hears of those that fail."""

    database_url: str
    server: Child
    receiver: Receiver
    runs_left: Iterator[int]

    def call(self, numbers: list[int], state: str = MATCHED) -> bytes:
        """A call of set_flow_run_states for these runs."""
        new = {"type": state, "message": "Some reference tasks failed."}
        items = [{"flow_run_id": run_id(number), "state": new} for number in numbers]
        return load.graphql(f"{self.server.url}/graphql", MUTATION, input={"states": items})

    def calls(self, *, states: int, state: str = MATCHED) -> Iterator[bytes]:
        """Calls for so many runs each, until no run is left."""
        while numbers := list(islice(self.runs_left, states)):
            yield self.call(numbers, state)


@asynccontextmanager
async def watched(rig: Rig, *, runs: int, flows: int = FLOWS) -> AsyncIterator[Watched]:
    """Runs of some flows, each flow with an automation that sends a webhook when a run of it fails."""
    async with rig.database() as url, rig.receiver() as receiver:
        async with rig.connection(url) as connection:
            tenant_id = await default_tenant(connection)
            await seed.flows(connection, tenant_id, flows)
            await seed.runs(connection, tenant_id, runs, flows=flows)
            await seed.automations(connection, tenant_id, flows, receiver.urls)
            await connection.execute("ANALYZE")
        async with rig.server(url) as server:
            yield Watched(url, server, receiver, iter(range(1, runs + 1)))


def run_id(number: int) -> str:
    return str(seed.id_of("flow_run", number))


def floor_calls(url: str, *, states: int = 1) -> Iterator[bytes]:
    """Requests that let the bare app insert so many rows in one statement."""
    run, state = run_id(1), MATCHED
    if states == 1:
        request = load.post(f"{url}/insert", orjson.dumps({"run": run, "state": state}))
    else:
        request = load.post(f"{url}/insert-many", orjson.dumps({"run": [run] * states, "state": [state] * states}))
    while True:
        yield request
