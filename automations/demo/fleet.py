"""Simulated agents and flow runs: they speak to the server exactly as those of Prefect 1 do, only faster."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle

from automations.demo.api import Api, GraphQLError
from automations.demo.flows import FLOWS, HANGING, OUTAGE, OUTAGE_VICTIM, PLANNED, ROGUE, Flow
from automations.demo.rules import Kind, Subjects
from automations.demo.tally import Arrival, Tally

# A real agent asks every 10 seconds, a real run every 30 whether it was cancelled.
POLL_SECONDS = 0.15
SHORTEST_RUN_SECONDS, LONGEST_RUN_SECONDS = 0.1, 0.6


@dataclass(frozen=True)
class Agent:
    """An agent takes runs whose labels it has."""

    name: str
    type: str
    label: str


AGENTS = (
    Agent("prod-1", "KubernetesAgent", "prod"),
    Agent("prod-2", "KubernetesAgent", "prod"),
    Agent("gpu-box", "DockerAgent", "gpu"),
)
# Machines that are to be lost, one config after the other, each with so many agents.
LOST_CONFIGS = ("spot-a", "spot-b", "spot-c")
LOST_AGENTS = 2


@dataclass
class Run:
    """A run as its own process knows it."""

    id: str
    version: int
    name: str
    flow: str


class Fleet:
    """Everything that uses the server. `tasks` holds what goes on until `finish`."""

    def __init__(
        self, api: Api, tally: Tally, tasks: asyncio.TaskGroup, *, on_cancelled: Callable[[Arrival], None]
    ) -> None:
        self._api, self._tally, self._tasks, self._on_cancelled = api, tally, tasks, on_cancelled
        self._flow_ids: dict[str, str] = {}
        self._endings = {flow.name: cycle(flow.endings) for flow in FLOWS}
        self._outage, self._mended = asyncio.Event(), asyncio.Event()
        self._agent_config_ids: list[str] = []
        self._scheduling = self._working = True
        self._created = self._ended = self._victims = 0
        self._news = asyncio.Condition()

    async def register(self) -> Subjects:
        """Register the flows, and agent configs that have no agents yet."""
        project = await self._api.write("create_project", name="demo")
        for flow in FLOWS:
            made = await self._api.write("create_flow", project_id=project["id"], serialized_flow={"name": flow.name})
            self._flow_ids[flow.name] = made["id"]
        for name in LOST_CONFIGS:
            self._agent_config_ids.append((await self._api.write("create_agent_config", name=name))["id"])
        return Subjects(await self._group(ROGUE), await self._group(HANGING), tuple(self._agent_config_ids))

    async def _group(self, flow: Flow) -> str:
        query = "query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }"
        return str((await self._api.execute(query, id=self._flow_ids[flow.name]))["flow_by_pk"]["flow_group_id"])

    async def start_agents(self) -> None:
        """Register the agents and let them ask for work."""
        for agent in AGENTS:
            made = await self._api.write("register_agent", name=agent.name, type=agent.type, labels=[agent.label])
            self._tasks.create_task(self._work_as(agent, made["id"]))

    def start_scheduling(self, runs_per_second: float) -> None:
        """Make runs of the planned flows, one after another, until `finish`."""
        self._tasks.create_task(self._schedule(1 / runs_per_second))

    async def lose_agents(self) -> None:
        """Agents of the next agent config register, which is a sign of life, and are never heard of again."""
        config_id = self._agent_config_ids.pop(0)
        names = [f"spot {config_id} {number}" for number in range(LOST_AGENTS)]
        # At the same time: with a second between them, the group would go down twice.
        await asyncio.gather(
            *[
                self._api.write("register_agent", name=name, type="DockerAgent", agent_config_id=config_id)
                for name in names
            ]
        )
        self._tally.owe(Kind.EMAIL, config_id, "Quiet")

    async def hang_runs(self, count: int) -> None:
        """Make runs that do not finish in time. They go on until `finish`."""
        await asyncio.gather(*[self._create(HANGING) for _ in range(count)])

    async def prepare_outage(self, count: int) -> None:
        """Have so many runs under way that the outage will fail."""
        await asyncio.gather(*[self._create(OUTAGE_VICTIM) for _ in range(count)])
        async with self._news:
            await self._news.wait_for(lambda: self._victims == count)

    def begin_outage(self) -> None:
        """Fail those runs, all at once."""
        self._outage.set()

    def stop_scheduling(self) -> None:
        """Make no more runs."""
        self._scheduling = False

    async def finish(self) -> None:
        """Make no more runs, wait until every run has ended, those that hang included, and let the agents go."""
        self.stop_scheduling()
        self._mended.set()
        async with self._news:
            await self._news.wait_for(lambda: self._created == self._ended)
        self._working = False

    async def _schedule(self, interval_seconds: float) -> None:
        for flow in cycle(PLANNED):
            if not self._scheduling:
                break
            await self._create(flow)
            await asyncio.sleep(interval_seconds)

    async def _create(self, flow: Flow) -> None:
        self._created += 1
        # The key makes a call that is repeated give the same run.
        key = f"{flow.name} {self._created}"
        made = await self._api.write(
            "create_flow_run", flow_id=self._flow_ids[flow.name], labels=[flow.label], idempotency_key=key
        )
        self._tally.accept(flow.name, made["id"], "Scheduled")

    async def _work_as(self, agent: Agent, agent_id: str) -> None:
        taken: set[str] = set()
        while self._working:
            queue = await self._api.write("get_runs_in_queue", "flow_run_ids", agent_id=agent_id, labels=[agent.label])
            if new := set(queue["flow_run_ids"]) - taken:
                taken |= new
                data = await self._api.execute(
                    """query($ids: [uuid!]!) { flow_run(where: {id: {_in: $ids}, state: {_eq: "Scheduled"}}) {
                        id version name flow { name } } }""",
                    ids=sorted(new),
                )
                for row in data["flow_run"]:
                    run = Run(row["id"], row["version"], row["name"], row["flow"]["name"])
                    self._tasks.create_task(self._submit(run, agent_id))
            await asyncio.sleep(POLL_SECONDS)

    async def _submit(self, run: Run, agent_id: str) -> None:
        if await self._set_state(run, "Submitted", "Submitted for execution", agent_id=agent_id):
            await self._execute(run)

    async def _execute(self, run: Run) -> None:
        """What the process of a run does."""
        await self._set_state(run, "Running", "Running flow.")
        if run.flow == ROGUE.name:
            await self._run_until_cancelled(run)
        elif run.flow == OUTAGE_VICTIM.name:
            await self._tell(victims=1)
            await self._outage.wait()
            await self._set_state(run, OUTAGE.state, OUTAGE.message)
        else:
            ending = next(self._endings[run.flow])
            if run.flow == HANGING.name:
                self._tally.owe(Kind.SMS, run.id, "Late")
                await self._mended.wait()
            await asyncio.sleep(random.uniform(SHORTEST_RUN_SECONDS, LONGEST_RUN_SECONDS))  # noqa: S311
            await self._set_state(run, ending.state, ending.message)
        await self._tell(ended=1)

    async def _run_until_cancelled(self, run: Run) -> None:
        query = """query($id: uuid!) { flow_run_by_pk(id: $id) {
            state state_message state_timestamp version start_time } }"""
        while True:
            row = (await self._api.execute(query, id=run.id))["flow_run_by_pk"]
            if row["state"] == "Cancelling":
                break
            await asyncio.sleep(POLL_SECONDS)
        run.version = row["version"]
        self._tally.state_changes += 1
        self._on_cancelled(
            Arrival(
                kind=Kind.CANCEL,
                subject_id=run.id,
                state="Running",
                flow=run.flow,
                run=run.name,
                message=row["state_message"],
                happened_at=datetime.fromisoformat(row["start_time"]).timestamp(),
                arrived_at=datetime.fromisoformat(row["state_timestamp"]).timestamp(),
            )
        )
        await self._set_state(run, "Cancelled", "Flow run was cancelled.")

    async def _set_state(self, run: Run, state: str, message: str, *, agent_id: str | None = None) -> bool:
        """Set a run's state; false where another agent was first.

        A call whose answer was lost is repeated, and refused if the first one was carried out: nobody but the run's
        agent and process set its states. Should that ever be wrong, the server has fewer states than the tally.
        """
        new_state = {"type": state, "message": message}
        states = [{"flow_run_id": run.id, "version": run.version, "state": new_state}]
        try:
            await self._api.write("set_flow_run_states", "states { id }", agent_id=agent_id, states=states)
        except GraphQLError as error:
            if error.code not in {"CONFLICT", "VERSION_LOCKING_ERROR"}:
                raise
            query = "query($id: uuid!) { flow_run_by_pk(id: $id) { agent_id } }"
            row = (await self._api.execute(query, id=run.id))["flow_run_by_pk"]
            if agent_id not in {None, row["agent_id"]}:
                return False
        run.version += 1
        self._tally.accept(run.flow, run.id, state)
        return True

    async def _tell(self, *, victims: int = 0, ended: int = 0) -> None:
        self._victims += victims
        self._ended += ended
        async with self._news:
            self._news.notify_all()
