"""The watched side at work: agents that poll while tasks change states, and the registration of a large flow."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import uuid4

from bench import load, seed
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig, default_tenant

AGENTS, RUNS, TASKS = 50, 20, 200
POLLS_PER_SECOND = 50  # each agent once a second, ten times as often as an idle one asks
STATES_PER_SECOND = 200
LARGE, BATCH = 5000, 500  # tasks of the large flow, and how many a client sends at once

REGISTER = "mutation($input: create_flow_input!) { create_flow(input: $input) { id } }"
TASK_BATCH = "mutation($input: register_tasks_input!) { register_tasks(input: $input) { success } }"
EDGE_BATCH = "mutation($input: register_edges_input!) { register_edges(input: $input) { success } }"
PROJECT = 'mutation { create_project(input: {name: "bench"}) { id } }'
RUN = "mutation($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }"
FLOW_STATES = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
TASK_STATES = "mutation($input: set_task_run_states_input!) { set_task_run_states(input: $input) { states { id } } }"
POLL = "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }"
TASK_RUNS = "query($id: uuid!) { flow_run_by_pk(id: $id) { task_runs(limit: 1000) { id } } }"


async def run(rig: Rig) -> Outcome:
    """Open loop: a poll and four task states in turn, each a call of its own. Floor: `{ hello }` at the same pace."""
    seconds = rig.pick(3, 15)
    async with rig.database() as url, rig.connection(url) as connection:
        tenant_id = await default_tenant(connection)
        await seed.agents(connection, tenant_id, AGENTS)
        async with rig.server(url) as server:
            speaker = _Speaker(f"{server.url}/graphql")
            project_id = (await speaker.ask(PROJECT))["create_project"]["id"]
            large, large_seconds = await _register(speaker, project_id, "large", LARGE)
            started_at = time.perf_counter()
            await speaker.ask(RUN, input={"flow_id": large})
            run_seconds = time.perf_counter() - started_at
            task_run_ids = await _running(speaker, (await _register(speaker, project_id, "busy", TASKS))[0])
            await connection.execute("ANALYZE")
            pace = POLLS_PER_SECOND + STATES_PER_SECOND
            requests = list(islice(speaker.work(task_run_ids), pace * seconds))
            await load.open_loop(server.url, requests[:pace], per_second=pace)
            measured = spread((await load.open_loop(server.url, requests, per_second=pace)).waits)
            hello = [load.graphql(speaker.url, "{ hello }")] * (pace * seconds // 2)
            floor = spread((await load.open_loop(server.url, hello, per_second=pace)).waits)
    figures = {"call": measured, "register_5000_seconds": large_seconds, "run_of_5000_seconds": run_seconds}
    goals = [
        Goal(f"p99 of a call, {AGENTS} agents, {STATES_PER_SECOND} states/s, ms", measured["p99_ms"], at_most=100),
        Goal(f"registering {LARGE} tasks, s", large_seconds, at_most=3),
    ]
    return Outcome(figures, goals, {"hello": floor})


class _Speaker:
    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, query: str, **variables: Any) -> Any:
        return (await load.ask(self.url, load.graphql(self.url, query, **variables)))["data"]

    def work(self, task_run_ids: list[str]) -> Iterator[bytes]:
        """Calls of agents and of runs, without an end."""
        number = 0
        while True:
            for _ in range(POLLS_PER_SECOND):
                number += 1
                yield self._poll(1 + number % AGENTS)
                for step in range(STATES_PER_SECOND // POLLS_PER_SECOND):
                    place = number * 4 + step
                    state = {"type": ("Running", "Retrying", "Running", "Success")[place // len(task_run_ids) % 4]}
                    states = [{"task_run_id": task_run_ids[place % len(task_run_ids)], "state": state}]
                    yield load.graphql(self.url, TASK_STATES, input={"states": states})

    def _poll(self, agent: int) -> bytes:
        head, _, body = load.graphql(self.url, POLL, input={"labels": []}).partition(b"\r\n\r\n")
        return head + f"\r\nX-PREFECT-AGENT-ID: {seed.id_of('agent', agent)}\r\n\r\n".encode() + body


async def _register(speaker: _Speaker, project_id: str, name: str, count: int) -> tuple[str, float]:
    """Id of a flow of so many tasks in a row, registered as clients do it, and the seconds that it took."""
    tasks = [
        {"slug": f"task-{number}", "name": "task", "type": "prefect.tasks.core.function.FunctionTask", "tags": []}
        for number in range(count)
    ]
    edges = [
        {"upstream_task": {"slug": f"task-{number}"}, "downstream_task": {"slug": f"task-{number + 1}"}, "key": "x"}
        for number in range(count - 1)
    ]
    started_at = time.perf_counter()
    given = {"project_id": project_id, "serialized_flow": {"name": name}, "version_group_id": str(uuid4())}
    flow_id = str((await speaker.ask(REGISTER, input=given))["create_flow"]["id"])
    for start in range(0, count, BATCH):
        await speaker.ask(TASK_BATCH, input={"flow_id": flow_id, "serialized_tasks": tasks[start : start + BATCH]})
    for start in range(0, count, BATCH):
        await speaker.ask(EDGE_BATCH, input={"flow_id": flow_id, "serialized_edges": edges[start : start + BATCH]})
    return flow_id, time.perf_counter() - started_at


async def _running(speaker: _Speaker, flow_id: str) -> list[str]:
    """Ids of the task runs of runs that are Running."""
    found = []
    for _ in range(RUNS):
        flow_run_id = (await speaker.ask(RUN, input={"flow_id": flow_id}))["create_flow_run"]["id"]
        states = [{"flow_run_id": flow_run_id, "state": {"type": "Running"}}]
        await speaker.ask(FLOW_STATES, input={"states": states})
        rows = (await speaker.ask(TASK_RUNS, id=flow_run_id))["flow_run_by_pk"]["task_runs"]
        found += [row["id"] for row in rows]
    return found
