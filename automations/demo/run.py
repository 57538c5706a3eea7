"""The demo from its start to its exit code."""

import asyncio
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from automations.demo.api import Api
from automations.demo.fleet import AGENTS, Fleet
from automations.demo.flows import FLOWS, OUTAGE_FLOW
from automations.demo.ledger import Ledger, read_settled_ledger
from automations.demo.process import LEASE_SECONDS, Server, ServerFailed, temporary_data_folder
from automations.demo.receiver import Receiver
from automations.demo.rules import RULES, Kind, create_automations
from automations.demo.screen import Screen
from automations.demo.tally import Arrival, Tally

LONGEST_SECONDS = 120.0
SETTLE_SECONDS = 15.0
SLOW_ANSWER_SECONDS = 2.0
KILL_AT_UNANSWERED = 12


@dataclass(frozen=True)
class Pace:
    """How long the fleet works undisturbed before the kill and after it, and how many runs it has."""

    seconds: float
    runs_per_second: float
    outage_runs: int


QUICK = Pace(seconds=1.2, runs_per_second=9, outage_runs=24)
FULL = Pace(seconds=6.5, runs_per_second=7, outage_runs=40)


def run_demo(*, quick: bool, record: Path | None = None) -> int:
    """Play the demo; `record` takes a picture (SVG) of the terminal at its end.

    Returns:
        0 if nothing was lost, 1 if something was or the demo failed, 130 after Ctrl-C and 143 after SIGTERM.
    """
    tally = Tally()
    screen = Screen(tally, record=record)
    try:
        with temporary_data_folder() as data_dir, asyncio.Runner() as runner:
            is_fine = runner.run(_play(Demo(tally, screen, data_dir, QUICK if quick else FULL)))
    except KeyboardInterrupt:
        screen.fail("Stopped.")
        return 130
    except asyncio.CancelledError:
        screen.fail("Stopped.")
        return 143
    screen.save()
    return 0 if is_fine else 1


async def _play(demo: "Demo") -> bool:
    playing = asyncio.current_task()
    assert playing is not None  # noqa: S101
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            return await demo.play()
    except* ServerFailed as failures:
        demo.screen.fail(f"The server did not start:\n{failures.exceptions[0]}")
    except* TimeoutError:
        demo.screen.fail(f"Not done after {LONGEST_SECONDS:.0f} seconds: something hangs.")
    return False


class Demo:
    """The story, and those who play in it."""

    def __init__(self, tally: Tally, screen: Screen, data_dir: Path, pace: Pace) -> None:
        self.tally, self.screen, self.data_dir, self.pace = tally, screen, data_dir, pace
        self._signing_key = secrets.token_bytes(32)
        self._server: Server | None = None

    async def play(self) -> bool:
        """Tell it; true if nothing was lost."""
        self.screen.title("automations demo", f"a server, a fleet and two receivers, for a moment in {self.data_dir}")
        try:
            async with Receiver(signing_key=self._signing_key, on_arrival=self._arrive) as receiver:
                self.screen.say(
                    f"Starting the server and its own PostgreSQL [dim](AUTOMATIONS_LEASE_SECONDS={LEASE_SECONDS}, "
                    "not 15: what a dead process held is soon taken over)[/]"
                )
                server = await self._start_server()
                self.screen.say(f"Ready: {server.url}, process {server.pid}")
                api = Api(server.url)
                with self.screen.live():
                    await self._watch_fleet(api, receiver)
                    ledger = await read_settled_ledger(api, seconds=SETTLE_SECONDS)
        finally:
            if self._server:
                await self._server.stop()
        problems = self._problems(ledger, receiver)
        self.screen.summarize(ledger, problems, repeated_calls=api.repeated_calls)
        return not problems

    async def _watch_fleet(self, api: Api, receiver: Receiver) -> None:
        async with asyncio.TaskGroup() as tasks:
            fleet = Fleet(api, self.tally, tasks, on_cancelled=self._arrive)
            rogue_flow_group_id = await fleet.register_flows()
            await create_automations(
                api,
                receiver_url=receiver.url,
                signing_key=self._signing_key,
                rogue_flow_group_id=rogue_flow_group_id,
            )
            for name, when, then in RULES:
                self.screen.say(f"Automation [bold]{name}[/]: when {when}, {then}")
            await fleet.start_agents()
            await fleet.prepare_outage(self.pace.outage_runs)
            self.screen.say(f"{len(FLOWS)} flows and {len(AGENTS)} agents are at work")
            fleet.start_scheduling(self.pace.runs_per_second)
            await asyncio.sleep(self.pace.seconds)
            await self._kill_in_the_middle(fleet, receiver)
            await self._start_again(api, receiver)
            await asyncio.sleep(self.pace.seconds)
            await fleet.finish()

    async def _kill_in_the_middle(self, fleet: Fleet, receiver: Receiver) -> None:
        assert self._server is not None  # noqa: S101
        receiver.delay_seconds = SLOW_ANSWER_SECONDS
        self.tally.begin_outage()
        fleet.begin_outage()
        self.screen.say(
            f"The warehouse goes down: {self.pace.outage_runs} runs of {OUTAGE_FLOW} fail at once, "
            "while both receivers are slow to answer"
        )
        await receiver.wait_for_unanswered(KILL_AT_UNANSWERED)
        await self._server.kill()
        self.screen.server = Text("✗ killed", "bold red")
        self.screen.say(
            f"[bold red]kill -9 {self._server.pid}[/], with {receiver.unanswered} deliveries under way "
            f"and {self.tally.waiting} more owed"
        )
        receiver.delay_seconds = 0

    async def _start_again(self, api: Api, receiver: Receiver) -> None:
        self.screen.say("Starting it again; the fleet gets connection errors meanwhile, and calls again")
        server = await self._start_server()
        api.url = server.url
        self.tally.end_outage()
        self.screen.say(f"Ready again: process {server.pid}; PostgreSQL had gone on")

    async def _start_server(self) -> Server:
        self.screen.server = Text("… starting", "bold yellow")
        self._server = await Server.start(self.data_dir, self._hear)
        self.screen.server = Text(f"● process {self._server.pid}", "bold green")
        return self._server

    def _arrive(self, arrival: Arrival) -> None:
        self.screen.show_arrival(arrival, is_first=self.tally.arrive(arrival))

    def _hear(self, entry: Mapping[str, Any]) -> None:
        if entry.get("event") == "took over deliveries of a process that stopped":
            self.screen.say(
                f"The new process takes over {entry['count']} deliveries of the old one: their lease has run out"
            )

    def _problems(self, ledger: Ledger, receiver: Receiver) -> list[str]:
        owed = sum(self.tally.owed(kind) for kind in Kind)
        found = {
            "owed and never seen": self.tally.waiting,
            "arrived without being owed, or came again under another id": self.tally.surprises,
            "arrived malformed or with a wrong signature": receiver.refused,
            "FAILED in the ledger": ledger.failed,
            "unfinished in the ledger": ledger.unfinished,
            "off between the ledger's DELIVERED and what was owed": abs(ledger.delivered - owed),
            "off between the states that were accepted and those in the database": abs(
                ledger.state_changes - self.tally.state_changes
            ),
        }
        return [f"{count} {what}" for what, count in found.items() if count]
