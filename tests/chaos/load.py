"""What happens in the watched backend meanwhile: runs fail, runs are slow, an agent goes quiet and one does not."""

import asyncio
import itertools
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.chaos.fleet import Fleet
from tests.harness import GraphQLError

CALLERS = 10
RUNS = 50
SLA_SECONDS = 3
QUIET_SECONDS = 15
LOUD_SECONDS = 60
"""The agent that goes quiet does so by then."""


@dataclass
class Load:
    """The backend. `acknowledged` are the numbers of the changes that a server said it has.

    `answered_at` has the times of time.monotonic() at which they were sent and acknowledged, one a request.
    """

    fleet: Fleet
    random: Random
    url: str
    acknowledged: set[int] = field(default_factory=set)
    answered_at: list[tuple[float, float]] = field(default_factory=list)
    reported: int = 0
    automations: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    slow_flow: str = ""
    agents: dict[str, str] = field(default_factory=dict)
    _until: float = 0

    async def prepare(self) -> None:
        """Flows, runs, agents, and the automations that watch them."""
        project = (await self.fleet.call("create_project", name="chaos"))["id"]
        flows = [
            (await self.fleet.call("create_flow", project_id=project, serialized_flow={"name": name}))["id"]
            for name in ("etl", "slow")
        ]
        self.slow_flow = flows[1]
        self.runs = [(await self.fleet.call("create_flow_run", flow_id=flows[0]))["id"] for _ in range(RUNS)]
        configs = {
            name: (await self.fleet.call("create_agent_config", name=name, settings={}))["id"]
            for name in ("quiet", "steady")
        }
        self.agents = {
            name: (await self.fleet.call("register_agent", type="LocalAgent", name=name, agent_config_id=config))["id"]
            for name, config in configs.items()
        }
        late = {"kind": "STARTED_NOT_FINISHED", "duration_seconds": SLA_SECONDS}
        events = {
            "failed": {"flow_run_state_changed": {"states": ["Failed"]}},
            "late": {"flow_sla_failed": late},
        } | {
            name: {"agent_sla_failed": {"agent_config_ids": [config], "unhealthy_after_seconds": QUIET_SECONDS}}
            for name, config in configs.items()
        }
        for name, event in events.items():
            made = await self.fleet.call(
                "create_automation", name=name, event=event, actions=[{"webhook": {"url": f"{self.url}/{name}"}}]
            )
            self.automations[name] = made["id"]

    async def run(self, seconds: float, rate: float) -> None:
        """Everything at once, for so long or until it is stopped: `rate` state changes a second."""
        now = time.monotonic()
        self._until = now + seconds
        async with asyncio.TaskGroup() as tasks:
            for number in range(CALLERS):
                tasks.create_task(self._fail(number, rate))
            tasks.create_task(self._be_slow())
            tasks.create_task(self._poll("quiet", now + min(seconds * 0.4, LOUD_SECONDS)))

    def stop(self) -> None:
        """End `run` early."""
        self._until = time.monotonic()

    async def keep_steady(self) -> None:
        """The steady agent asks for work until it is cancelled."""
        await self._poll("steady", math.inf)

    async def _fail(self, caller: int, rate: float) -> None:
        """Report changes ten at a time: half of the runs fail, the others succeed."""
        interval = 10 * CALLERS / rate
        numbers = itertools.count(caller * 1_000_000)
        due_at = time.monotonic() + interval * caller / CALLERS
        while due_at < self._until:
            await asyncio.sleep(max(0, due_at - time.monotonic()))
            due_at += interval
            changes = list(itertools.islice(numbers, 10))
            states = [
                {
                    "flow_run_id": self.random.choice(self.runs),
                    "state": {"type": "Failed" if change % 2 else "Success", "message": str(change)},
                }
                for change in changes
            ]
            self.reported += len(changes)
            server, sent_at = self.fleet.any(), time.monotonic()
            if server is not None:
                with suppress(httpx.TransportError, GraphQLError, ValueError):
                    await server.write("set_flow_run_states", "states { id }", states=states)
                    self.acknowledged.update(changes)
                    self.answered_at.append((sent_at, time.monotonic()))

    async def _be_slow(self) -> None:
        """Start runs of which every third never ends, and the others in time."""
        ends: list[asyncio.Task[None]] = []
        for number in itertools.count():
            if time.monotonic() > self._until:
                break
            run = (await self.fleet.call("create_flow_run", flow_id=self.slow_flow, idempotency_key=str(number)))["id"]
            await self._set(run, "Running")
            if number % 3:
                ends.append(asyncio.create_task(self._set(run, "Success", after=1)))
            await asyncio.sleep(0.5)
        await asyncio.gather(*ends)

    async def _set(self, run: str, state: str, after: float = 0) -> None:
        await asyncio.sleep(after)
        await self.fleet.call(
            "set_flow_run_states", "states { id }", states=[{"flow_run_id": run, "state": {"type": state}}]
        )

    async def _poll(self, agent: str, until: float) -> None:
        """Ask for work, which is an agent's only sign of life; another server at once where one does not answer."""
        while time.monotonic() < until:
            server = self.fleet.any()
            if server is not None:
                server.headers["X-PREFECT-AGENT-ID"] = self.agents[agent]
                with suppress(httpx.TransportError, GraphQLError, ValueError):
                    await server.write("get_runs_in_queue", "flow_run_ids", labels=[])
                    await asyncio.sleep(1)
            await asyncio.sleep(0.1)
