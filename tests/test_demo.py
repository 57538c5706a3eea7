"""The demo: that it shows what it claims, would notice if it did not, and leaves nothing behind."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psutil

from automations.actions.webhook import sign
from automations.demo.ledger import Ledger
from automations.demo.receiver import is_signed
from automations.demo.rules import ROGUE_FLOW, Kind
from automations.demo.summary import find_problems
from automations.demo.tally import Arrival, Phase, Tally, percentile
from automations.demo.wire import Message

LONGEST_SECONDS = 100
SETTLED = Ledger(delivered=2, failed=0, unfinished=0, lost_attempts=0, state_changes=1)


async def test_quick_demo_loses_nothing_through_a_kill() -> None:
    async with asyncio.timeout(LONGEST_SECONDS), demo() as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text

    rows = {name: numbers(text, name) for name in ("Slack messages", "signed webhooks", "runs cancelled")}
    for name, (owed, arrived, lost, _repeats) in rows.items():
        assert owed == arrived > 0, name
        assert lost == 0, name
    assert sum(repeats for _, _, _, repeats in rows.values()) > 0, "the kill hit nothing on its way"
    assert numbers(text, "ledger")[:3] == [sum(owed for owed, *_ in rows.values()), 0, 0]
    assert "Nothing was lost" in text
    assert_nothing_is_left(text)


async def test_interrupted_demo_ends_what_it_began() -> None:
    """At the worst moment: the server was killed, and its PostgreSQL goes on alone."""
    async with asyncio.timeout(LONGEST_SECONDS), demo() as process:
        assert process.stdout is not None
        text = ""
        while "kill -9" not in text:
            text += (await process.stdout.readline()).decode()
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
    assert process.returncode == 130, text + output.decode()
    assert "Traceback" not in output.decode()
    assert_nothing_is_left(text)


def test_tally_tells_first_arrival_from_repeat_and_from_surprise() -> None:
    tally, run = Tally(), str(uuid4())
    tally.accept("etl", run, "Failed")
    assert (tally.owed(Kind.SLACK), tally.owed(Kind.WEBHOOK), tally.owed(Kind.CANCEL)) == (1, 1, 0)
    assert tally.waiting == 2

    assert tally.arrive(arrival(Kind.WEBHOOK, run))
    assert not tally.arrive(arrival(Kind.WEBHOOK, run))
    assert (tally.arrived(Kind.WEBHOOK), tally.lost(Kind.WEBHOOK), tally.repeats(Kind.WEBHOOK)) == (1, 0, 1)
    assert (tally.lost(Kind.SLACK), tally.surprises) == (1, 0)

    assert not tally.arrive(arrival(Kind.WEBHOOK, run, delivery_id="another"))
    assert tally.arrive(arrival(Kind.SLACK, str(uuid4())))
    assert tally.surprises == 2


def test_only_rogue_flow_owes_cancellation() -> None:
    tally = Tally()
    tally.accept("etl", str(uuid4()), "Running")
    tally.accept(ROGUE_FLOW, str(uuid4()), "Running")
    assert [tally.owed(kind) for kind in Kind] == [0, 0, 1]


def test_demo_fails_where_something_was_lost() -> None:
    tally, run = Tally(), str(uuid4())
    tally.accept("etl", run, "Failed")
    tally.arrive(arrival(Kind.SLACK, run))
    assert find_problems(tally, SETTLED, refused=0) == ["1 owed and never seen"]
    tally.arrive(arrival(Kind.WEBHOOK, run))
    assert find_problems(tally, SETTLED, refused=0) == []
    assert find_problems(tally, SETTLED, refused=1) == ["1 arrived malformed or with a wrong signature"]


def test_arrivals_are_timed_apart_around_the_kill() -> None:
    tally = Tally()
    tally.arrive(arrival(Kind.SLACK, "before", at=(1, 2)))
    tally.begin_outage(at=3)
    tally.end_outage(at=5)
    tally.arrive(arrival(Kind.SLACK, "across", at=(1, 4)))
    tally.arrive(arrival(Kind.SLACK, "late", at=(4, 6)))
    tally.arrive(arrival(Kind.SLACK, "after", at=(6, 10)))
    assert [tally.seconds(Kind.SLACK, phase) for phase in Phase] == [[1], [3, 2], [4]]


def test_percentile_is_nearest_rank() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7], 99) == 7


def test_receiver_checks_the_signature_that_webhooks_carry() -> None:
    key, headers = bytes(range(32)), {"webhook-id": "d1", "webhook-timestamp": "1"}
    secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    headers["webhook-signature"] = sign(secret, "d1", "1", b"{}")
    assert is_signed(Message("POST / HTTP/1.1", headers, b"{}"), key)
    assert not is_signed(Message("POST / HTTP/1.1", headers, b"{ }"), key)


def arrival(kind: Kind, run: str, *, delivery_id: str = "one", at: tuple[float, float] = (1, 2)) -> Arrival:
    return Arrival(
        kind=kind,
        flow_run_id=run,
        state="Failed",
        flow="etl",
        run="brave-otter",
        message="disk full",
        happened_at=at[0],
        arrived_at=at[1],
        delivery_id=delivery_id,
    )


@asynccontextmanager
async def demo() -> AsyncIterator[asyncio.subprocess.Process]:
    """The quick demo in a process of its own, which is gone at the end in any case."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "automations", "demo", "--quick"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


def numbers(text: str, name: str) -> list[int]:
    """The first four numbers of the summary's line of this name."""
    [line] = re.findall(rf"^ *{name} +(\D*\d.*)$", text, re.MULTILINE)
    return [int(number) for number in re.findall(r"\d+", line)[:4]]


def assert_nothing_is_left(text: str) -> None:
    """No file in the demo's folder, no process that uses it."""
    [folder] = set(re.findall(r"\S*automations-demo-\w+", text))
    assert not Path(folder).exists()
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if folder in " ".join(process.info["cmdline"] or [])
    ]
