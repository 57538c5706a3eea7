"""The demo: that it shows what it claims, would notice if it did not, and leaves nothing behind."""

import asyncio
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import aiosmtplib
import psutil
import pytest

from automations.actions.contract import Choices, Sent
from automations.actions.twilio import TwilioNotification
from automations.actions.webhook import sign
from automations.demo.gate import Gate
from automations.demo.ledger import Ledger
from automations.demo.lines import KIND_NAMES, duration
from automations.demo.listener import Listener
from automations.demo.mailbox import Mailbox
from automations.demo.providers import Providers, is_signed
from automations.demo.receiver import Receiver
from automations.demo.rules import (
    MAIL_FROM,
    MAIL_TO,
    MESSAGING_SERVICE,
    PHONE_NUMBER,
    ROGUE_FLOW,
    SMS_MESSAGE,
    TWILIO_ACCOUNT,
    Kind,
)
from automations.demo.summary import find_problems
from automations.demo.tally import Arrival, Phase, Tally, percentile
from automations.demo.wire import Message
from automations.events import FLOW_SLA_FAILED
from automations.http import Http
from tests.actions.stage import LOOPBACK, TLS, delivery, outcome, tools

LONGEST_SECONDS = 100
RUN = "c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05"
SETTLED = Ledger(delivered=2, failed=0, unfinished=0, lost_attempts=0, state_changes=1)


async def test_quick_demo_loses_nothing_through_a_kill() -> None:
    async with asyncio.timeout(LONGEST_SECONDS), demo() as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text

    rows = {name: numbers(text, name) for name in KIND_NAMES.values()}
    for name, (owed, arrived, lost, _repeats) in rows.items():
        assert owed == arrived > 0, name
        assert lost == 0, name
    assert sum(repeats for _, _, _, repeats in rows.values()) > 0, "the kill hit nothing on its way"
    assert rows["text messages"][3] == 0, "Twilio was not asked what had arrived"
    assert numbers(text, "ledger")[:3] == [sum(owed for owed, *_ in rows.values()), 0, 0]
    assert "Nothing was lost" in text
    assert_nothing_is_left(text)


async def test_interrupted_demo_ends_what_it_began() -> None:
    """At the worst moment: the server was killed, and its PostgreSQL goes on alone."""
    async with asyncio.timeout(LONGEST_SECONDS), demo() as process:
        assert process.stdout is not None
        text = ""
        while "kill -9" not in text:
            line = (await process.stdout.readline()).decode()
            assert line, f"the demo ended by itself:\n{text}"
            text += line
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
    assert {kind: tally.owed(kind) for kind in Kind if tally.owed(kind)} == {Kind.CANCEL: 1}


def test_demo_fails_where_something_was_lost() -> None:
    tally, run = Tally(), str(uuid4())
    tally.accept("etl", run, "Failed")
    tally.arrive(arrival(Kind.SLACK, run))
    assert find_problems(tally, SETTLED, refused=0) == ["1 owed and never seen"]
    tally.arrive(arrival(Kind.WEBHOOK, run))
    assert find_problems(tally, SETTLED, refused=0) == []
    assert find_problems(tally, SETTLED, refused=1) == ["1 arrived malformed, or with a wrong signature or password"]


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


def test_times_have_one_unit() -> None:
    assert duration(0.004) == "4.0 ms"
    assert duration(0.0041, 0.012) == "4.1 / 12 ms"
    assert duration(0.022, 2.31) == "0.02 / 2.3 s"


def test_late_run_or_lost_agents_are_owed_until_they_are_told_of() -> None:
    tally = Tally()
    tally.owe(Kind.SMS, "run", "Late")
    tally.owe(Kind.EMAIL, "config", "Quiet")
    assert tally.waiting == 2
    tally.arrive(replace(arrival(Kind.SMS, "run"), state="Late"))
    tally.arrive(replace(arrival(Kind.EMAIL, "config"), state="Quiet"))
    assert (tally.waiting, tally.surprises) == (0, 0)


async def test_gate_lets_answers_wait_and_counts_them() -> None:
    gate = Gate()
    await gate.pass_through(Kind.SMS)
    gate.shut()
    waiting = [asyncio.create_task(gate.pass_through(kind)) for kind in (Kind.SMS, Kind.SLACK)]
    await gate.wait_for(Counter([Kind.SMS]), total=2, seconds=10)
    assert gate.waiting == {Kind.SMS: 1, Kind.SLACK: 1}
    gate.open()
    await asyncio.gather(*waiting)
    assert gate.waiting.total() == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"recipient": "else@example.com"}, "RCPT TO:<else@example.com>"),
        ({"From": "else@example.com"}, "the headers are wrong"),
        ({"Auto-Submitted": "no"}, "the headers are wrong"),
        ({"Message-ID": "<1@example.com>"}, "the Message-ID or the text is wrong"),
        ({"text": "Hello\n"}, "the Message-ID or the text is wrong"),
    ],
)
async def test_mailbox_takes_the_mail_that_is_owed_and_no_other(changes: dict[str, str], reason: str | None) -> None:
    arrived: list[Arrival] = []
    refused: list[str] = []
    mailbox = Mailbox(Gate(), on_arrival=arrived.append, on_refusal=refused.append)
    headers = {
        "From": MAIL_FROM,
        "To": MAIL_TO,
        "Subject": "Quiet",
        "Date": "Mon, 23 Nov 2026 09:30:00 +0000",
        "Message-ID": f"<{RUN}@example.com>",
        "Auto-Submitted": "auto-generated",
    } | {name: value for name, value in changes.items() if name[0].isupper()}
    text = changes.get("text", f".Too few\nagent config {RUN} (2026-11-23T09:30:00+00:00)\n\nmore\n")
    message = "\n".join([*(f"{name}: {value}" for name, value in headers.items()), "", text])
    async with Listener(mailbox.converse) as smtp:
        sending = aiosmtplib.send(
            message.replace("\n", "\r\n").encode(),
            sender=MAIL_FROM,
            recipients=[changes.get("recipient", MAIL_TO)],
            hostname="127.0.0.1",
            port=smtp.port,
        )
        if reason is None:
            await sending
        else:
            with pytest.raises(aiosmtplib.SMTPDataError):
                await sending
    assert refused == ([] if reason is None else [reason])
    if reason is None:
        [mail] = arrived
        assert (mail.kind, mail.subject_id, mail.message, mail.delivery_id) == (Kind.EMAIL, RUN, ".Too few", RUN)


@pytest.mark.parametrize(
    ("token", "to", "is_taken"), [("t", PHONE_NUMBER, True), ("x", PHONE_NUMBER, False), ("t", "+15555555556", False)]
)
async def test_texts_are_taken_as_twilio_does_and_listed(token: str, to: str, is_taken: bool) -> None:
    arrived: list[Arrival] = []
    refused: list[str] = []
    receiver = Receiver(
        Providers(signing_key=b"", twilio_token="t"),
        Gate(),
        on_arrival=arrived.append,
        on_refusal=refused.append,
    )
    action = TwilioNotification(
        account_sid=TWILIO_ACCOUNT,
        auth_token_secret="TWILIO",
        messaging_service_sid=MESSAGING_SERVICE,
        phone_numbers=[to],
        message=SMS_MESSAGE,
    )
    event = delivery(FLOW_SLA_FAILED, target=to, flow_run_link=f"http://localhost:8080/acme/flow-run/{RUN}")
    async with (
        Listener(receiver.converse) as listener,
        aclosing(Http(allowed_networks=LOOPBACK, ssl_context=TLS)) as http,
    ):
        choices = Choices(twilio_url=f"http://127.0.0.1:{listener.port}")
        ready = tools(http, {"TWILIO": token}, choices=choices)
        sent = await outcome(action, event, ready)
        if is_taken:
            again = await outcome(action, replace(event, may_have_arrived=True), ready)
            assert isinstance(again, Sent)
            assert "not sent again" in str(again.note)
    assert isinstance(sent, Sent) == is_taken
    assert [(text.kind, text.subject_id, text.state) for text in arrived] == [(Kind.SMS, RUN, "Late")] * is_taken
    assert bool(refused) != is_taken


def test_receiver_checks_the_signature_that_webhooks_carry() -> None:
    key, headers = bytes(range(32)), {"webhook-id": "d1", "webhook-timestamp": "1"}
    secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    headers["webhook-signature"] = sign(secret, "d1", "1", b"{}")
    assert is_signed(Message("POST / HTTP/1.1", headers, b"{}"), key)
    assert not is_signed(Message("POST / HTTP/1.1", headers, b"{ }"), key)


def arrival(kind: Kind, run: str, *, delivery_id: str = "one", at: tuple[float, float] = (1, 2)) -> Arrival:
    return Arrival(
        kind=kind,
        subject_id=run,
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
