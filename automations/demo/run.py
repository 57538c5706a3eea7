"""The demo from its start to its exit code."""

import asyncio
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.text import Text

from automations.demo.api import Api, GraphQLError
from automations.demo.fleet import AGENTS, Fleet
from automations.demo.flows import FLOWS
from automations.demo.gate import Gate
from automations.demo.ledger import read_settled_ledger
from automations.demo.listener import Listener
from automations.demo.mailbox import Mailbox
from automations.demo.process import LEASE_SECONDS, RATES, Server, ServerFailed, temporary_data_folder
from automations.demo.providers import Providers
from automations.demo.receiver import Receiver
from automations.demo.rules import MAIL_FROM, RULES, Credentials, Kind, create_automations
from automations.demo.screen import Screen
from automations.demo.summary import find_problems, summarize
from automations.demo.tally import Arrival, Tally

LONGEST_SECONDS = 120.0
SETTLE_SECONDS = 15.0
POLL_SECONDS = 0.05
KILL_AT_UNANSWERED = 12
KILL_AT_LEAST = Counter([Kind.SMS, Kind.EMAIL])
HANGING_RUNS = 2


@dataclass(frozen=True)
class Pace:
    """How long the fleet works undisturbed before the kill and after it, and how many runs it has."""

    seconds: float
    runs_per_second: float
    outage_runs: int


QUICK = Pace(seconds=0.8, runs_per_second=9, outage_runs=24)
FULL = Pace(seconds=6.5, runs_per_second=7, outage_runs=40)


def run_demo(*, quick: bool, record: Path | None = None) -> int:
    """Play the demo; `record` takes a picture (SVG) of the terminal at its end.

    Returns:
        0 if nothing was lost, 1 if something was or the demo failed, 130 after Ctrl-C and 143 after SIGTERM.
    """
    tally = Tally()
    screen = Screen(tally, record=record)
    with temporary_data_folder() as data_dir:
        code = asyncio.run(_play(Demo(tally, screen, data_dir, QUICK if quick else FULL)))
    screen.save()
    return code


async def _play(demo: "Demo") -> int:
    code = 1
    signals: list[int] = []
    playing = asyncio.create_task(demo.play())

    def stop(number: int) -> None:
        signals.append(number)
        if len(signals) == 1:  # a second one would break off the stopping
            playing.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            code = 0 if await playing else 1
    except* asyncio.CancelledError:
        code = 128 + signals[0]
        demo.screen.show("[yellow]Stopped.[/]")
    except* ServerFailed as failures:
        demo.screen.show(Text(f"The server did not start:\n{failures.exceptions[0]}", "red"))
    except* GraphQLError as failures:
        demo.screen.show(Text(f"The server refused a call: {failures.exceptions[0]}", "red"))
    except* TimeoutError:
        demo.screen.show(f"[red]Not done after {LONGEST_SECONDS:.0f} seconds: something hangs.[/]")
    return code


class Demo:
    """The story, and those who play in it."""

    def __init__(self, tally: Tally, screen: Screen, data_dir: Path, pace: Pace) -> None:
        self.tally, self.screen, self.data_dir, self.pace = tally, screen, data_dir, pace
        self._gate = Gate()
        self._refused = 0
        self._server: Server | None = None
        self._settings: Mapping[str, Any] = {}

    async def play(self) -> bool:
        """Tell it; true if nothing was lost."""
        self.screen.title("automations demo", "a server, a fleet of flows and agents, and receivers that count")
        signing_key, twilio_token = secrets.token_bytes(32), secrets.token_hex(16)
        providers = Providers(signing_key=signing_key, twilio_token=twilio_token)
        receiver = Receiver(providers, self._gate, on_arrival=self._arrive, on_refusal=self._refuse)
        mailbox = Mailbox(self._gate, on_arrival=self._arrive, on_refusal=self._refuse)
        async with Listener(receiver.converse) as http, Listener(mailbox.converse) as smtp:
            url = f"http://127.0.0.1:{http.port}"
            self._settings = {
                "TWILIO_URL": url,
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": smtp.port,
                "SMTP_FROM": MAIL_FROM,
                "SMTP_TLS": "none",
            }
            async with self._serving() as api:
                with self.screen.live():
                    await self._watch_fleet(api, Credentials(url, signing_key, twilio_token))
                    ledger = await read_settled_ledger(api, seconds=SETTLE_SECONDS)
        problems = find_problems(self.tally, ledger, refused=self._refused)
        self.screen.show(summarize(self.tally, ledger, problems, repeated_calls=api.repeated_calls))
        return not problems

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[Api]:
        """The API of a server, which is stopped at the end: this one, or the one that was started after it."""
        try:
            self.screen.say(f"Starting a server with its own PostgreSQL in {escape(str(self.data_dir))}")
            server = await self._start_server()
            self.screen.say(f"Ready on {server.url}, process {server.pid}")
            self.screen.say(
                f"AUTOMATIONS_LEASE_SECONDS={LEASE_SECONDS}, not 15: what a dead process held is taken over soon"
            )
            self.screen.say(f"AUTOMATIONS_DESTINATION_RATES={RATES}, not 1/s: the real one takes no more")
            yield Api(server.url)
        finally:
            if self._server:
                await self._server.stop()

    async def _watch_fleet(self, api: Api, receiver: Credentials) -> None:
        async with asyncio.TaskGroup() as tasks:
            fleet = Fleet(api, self.tally, tasks, on_cancelled=self._arrive)
            await create_automations(api, await fleet.register(), receiver)
            for name, when, then in RULES:
                self.screen.say(f"Automation [bold]{name}[/]: {when} → {then}")
            await fleet.start_agents()
            await fleet.prepare_outage(self.pace.outage_runs)
            self.screen.say(f"{len(FLOWS)} flows and {len(AGENTS)} agents are at work")
            fleet.start_scheduling(self.pace.runs_per_second)
            await self._go_wrong(fleet)
            await asyncio.sleep(self.pace.seconds)
            await self._kill_in_the_middle(fleet)
            await self._start_again(api)
            await self._go_wrong(fleet)
            await asyncio.sleep(self.pace.seconds)
            fleet.stop_scheduling()
            await self._wait_for_arrivals()
            await fleet.finish()
            await self._wait_for_arrivals()

    async def _go_wrong(self, fleet: Fleet) -> None:
        await asyncio.gather(fleet.hang_runs(HANGING_RUNS), fleet.lose_agents())
        self.screen.say(f"{HANGING_RUNS} runs hang, and a machine is lost with all agents of its config")

    async def _wait_for_arrivals(self) -> None:
        """Return once everything has arrived that is owed now, or after so long."""
        for _ in range(round(SETTLE_SECONDS / POLL_SECONDS)):
            if not self.tally.waiting:
                break
            await asyncio.sleep(POLL_SECONDS)

    async def _kill_in_the_middle(self, fleet: Fleet) -> None:
        self._gate.shut()
        self.tally.begin_outage(time.time())
        fleet.begin_outage()
        self.screen.say(
            f"The warehouse goes down: {self.pace.outage_runs} runs fail at once, and the receivers are slow to answer"
        )
        await self._go_wrong(fleet)
        await self._gate.wait_for(KILL_AT_LEAST, total=KILL_AT_UNANSWERED, seconds=SETTLE_SECONDS)
        assert self._server is not None  # noqa: S101
        await self._server.kill()
        self.screen.server = Text("✗ killed", "bold red")
        self.screen.say(
            f"[bold red]kill -9 {self._server.pid}[/] with {self._gate.waiting.total()} deliveries on their way "
            f"and {self.tally.waiting} more owed"
        )
        self._gate.open()

    async def _start_again(self, api: Api) -> None:
        self.screen.say("Starting it again; the fleet gets connection errors meanwhile, and calls again")
        server = await self._start_server()
        api.url = server.url
        self.tally.end_outage(time.time())
        self.screen.say(f"Ready again: process {server.pid}; PostgreSQL had gone on")

    async def _start_server(self) -> Server:
        self.screen.server = Text("… starting", "bold yellow")
        self._server = await Server.start(self.data_dir, self._settings, self._hear)
        self.screen.server = Text(f"● process {self._server.pid}", "bold green")
        return self._server

    def _arrive(self, arrival: Arrival) -> None:
        self.screen.show_arrival(arrival, is_first=self.tally.arrive(arrival))

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        self.screen.show(Text(f"Refused: {reason}", "red"))

    def _hear(self, entry: Mapping[str, Any]) -> None:
        if entry.get("level") == "error":
            self.screen.show(Text(f"The server logged an error: {entry.get('event')}. {_cause(entry)}", "red"))
        elif entry.get("event") == "took over deliveries of a process that stopped":
            self.screen.say(
                f"The new process takes over {entry['count']} deliveries of the old one: their lease has run out"
            )


def _cause(entry: Mapping[str, Any]) -> str:
    """The exception of a line of the log, if it has one."""
    return " ".join(f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("exception", []))
