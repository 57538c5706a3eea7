"""Claim, send, record: on a real PostgreSQL with real receivers, some of them bad."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog

from automations.actions.webhook import Webhook
from automations.database import DedicatedConnection
from automations.definitions.actions import update_action
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, Ended
from automations.delivery.rates import Circuit
from automations.delivery.recorder import queries, record
from automations.postgres import EmbeddedPostgres
from tests.canaries import CANARY
from tests.delivery.ledger import Ledger, dispatching
from tests.harness import eventually
from tests.outages import close_database, terminate_others
from tests.receivers import Behaviour, Hold, Receiver, drip, in_turn, never_answer, refusing_port, reply, reset

OUTCOMES: dict[str, tuple[Behaviour, str, int | None, str, tuple[float, float] | None]] = {
    # what it does: (how, status then, status code, in the reason, when the next try is due)
    "takes it": (reply(202), "DELIVERED", 202, "", None),
    "does not know it": (reply(404), "FAILED", 404, "answered 404", None),
    "redirects": (reply(307, headers={"Location": "/"}), "FAILED", 307, "not followed", None),
    "fails": (reply(500), "PENDING", 500, "answered 500", (4, 6)),
    "is busy": (reply(429, headers={"Retry-After": "40"}), "PENDING", 429, "answered 429", (40, 40)),
    "is busy for days": (reply(503, headers={"Retry-After": "99999"}), "PENDING", 503, "answered 503", (3600, 3600)),
    "is in a hurry": (reply(429, headers={"Retry-After": "0"}), "PENDING", 429, "answered 429", (4, 6)),
    "drips": (drip(), "PENDING", None, "in full within 1 seconds", (4, 6)),
    "is silent": (never_answer, "PENDING", None, "in full within 1 seconds", (4, 6)),
    "resets": (reset, "PENDING", None, "broke the connection off", (4, 6)),
}


async def test_outcome_reason_and_next_try_are_recorded(ledger: Ledger, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        owed: dict[str, UUID] = {}
        for name, (behaviour, *_) in OUTCOMES.items():
            receiver = await stack.enter_async_context(Receiver(behaviour))
            [owed[name]] = await ledger.owe(receiver.url)
        [refused] = await ledger.owe(f"http://127.0.0.1:{stack.enter_context(refusing_port())}")
        async with dispatching(database_url, timeout_seconds=1):
            await eventually(lambda: all_tried(ledger, [*owed.values(), refused]))

    for name, (_, status, code, reason, wait) in OUTCOMES.items():
        row, [attempt] = await ledger.delivery(owed[name]), await ledger.attempts(owed[name])
        assert (row["status"], row["status_code"], row["attempt_count"]) == (status, code, 1), name
        assert reason in (row["reason"] or ""), name
        assert attempt["outcome"] == ("RETRY" if status == "PENDING" else status)
        assert (attempt["number"], attempt["status_code"], attempt["reason"]) == (1, code, row["reason"])
        assert attempt["started_at"] <= attempt["finished_at"]
        if wait is not None:
            due_in = (row["due_at"] - attempt["finished_at"]).total_seconds()
            assert wait[0] - 0.01 <= due_in <= wait[1] + 0.01, name
    row = await ledger.delivery(refused)
    assert (row["status"], "refused" in row["reason"]) == ("PENDING", True)


async def all_tried(ledger: Ledger, ids: list[UUID]) -> bool:
    tried = await ledger.connection.fetchval(
        "SELECT count(DISTINCT delivery_id) FROM automations.attempt WHERE delivery_id = ANY($1)", ids
    )
    return bool(tried == len(ids))


# Trying again


async def test_every_try_is_kept_until_one_succeeds(ledger: Ledger, database_url: str) -> None:
    async with Receiver(in_turn(reply(500), reply(429), reply(200, b"thanks"))) as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with dispatching(database_url, retry_seconds=(0.05, 0.05)):
            await ledger.wait_for("DELIVERED")
        assert {received.headers["webhook-id"] for received in receiver.requests} == {str(owed)}
    row, attempts = await ledger.delivery(owed), await ledger.attempts(owed)
    assert [attempt["outcome"] for attempt in attempts] == ["RETRY", "RETRY", "DELIVERED"]
    assert [attempt["number"] for attempt in attempts] == [1, 2, 3]
    assert (row["attempt_count"], row["reason"], row["status_code"]) == (3, None, 200)
    assert attempts[2]["answer"] == "thanks"


async def test_delivery_fails_with_its_last_reason_once_its_tries_are_used_up(
    ledger: Ledger, database_url: str
) -> None:
    async with Receiver(reply(503)) as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with dispatching(database_url, retry_seconds=(0.05, 0.05)):
            await ledger.wait_for("FAILED")
        assert len(receiver.requests) == 3
    row = await ledger.delivery(owed)
    assert row["reason"] == "The receiver answered 503; gave up after 3 attempts"
    assert (row["attempt_count"], row["finished_at"] is not None) == (3, True)
    assert [attempt["outcome"] for attempt in await ledger.attempts(owed)] == ["RETRY", "RETRY", "FAILED"]


async def test_action_mended_between_two_tries_is_used_as_it_is_now(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(500)) as wrong, Receiver() as right:
        [owed] = await ledger.owe(wrong.url)
        async with dispatching(database_url, retry_seconds=(0.5, 0.5)):
            await wrong.wait_for(1)
            await eventually(lambda: all_tried(ledger, [owed]))
            row = await ledger.delivery(owed)
            async with ledger.connection.transaction():
                mended = Webhook(url=right.url, payload={"mended": "{state}"})
                await update_action(ledger.connection, ledger.tenant_id, row["action_id"], action=mended, name=None)
            await ledger.wait_for("DELIVERED")
        assert right.requests[0].body == b'{"mended":"Failed"}'
        assert len(wrong.requests) == 1


async def test_missing_secret_fails_and_names_it(ledger: Ledger, database_url: str) -> None:
    [owed] = await ledger.owe(action=Webhook(url_secret="HOOK"))
    async with dispatching(database_url):
        await ledger.wait_for("FAILED")
    assert "'HOOK'" in (await ledger.delivery(owed))["reason"]


async def test_secret_is_used_and_never_recorded(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        await ledger.set_secret("HOOK", f"{receiver.url}/{CANARY}-of-mine")

        async def echo(received: Any, writer: asyncio.StreamWriter) -> None:
            await reply(404, f"no page {received.path}".encode())(received, writer)

        receiver.behaviour = echo
        [owed] = await ledger.owe(action=Webhook(url_secret="HOOK"))
        async with dispatching(database_url):
            await ledger.wait_for("FAILED")
        assert receiver.requests[0].path == f"/{CANARY}-of-mine"
    [attempt] = await ledger.attempts(owed)
    assert attempt["answer"] == "no page [secret HOOK]"


# Slow destinations


@pytest.mark.parametrize(("slow", "backlog"), [(1, 20), (1, 300), (15, 60)])
async def test_slow_destinations_do_not_hold_up_a_healthy_one(
    ledger: Ledger, database_url: str, slow: int, backlog: int
) -> None:
    async with AsyncExitStack() as stack:
        hold = Hold()
        slow_ones = [await stack.enter_async_context(Receiver(hold)) for _ in range(slow)]
        healthy = await stack.enter_async_context(Receiver())
        for receiver in slow_ones:
            await ledger.owe(receiver.url, backlog)
        dispatcher = await stack.enter_async_context(
            dispatching(database_url, timeout_seconds=30, shutdown_seconds=0, poll_seconds=10)
        )
        for receiver in slow_ones:
            await receiver.wait_for(1)
        waits = []
        for number in range(1, 21):
            await ledger.owe(healthy.url)
            owed_at = time.monotonic()
            dispatcher.wake()
            waits.append((await healthy.wait_for(number))[-1].received_at - owed_at)
        hold.release()
    assert median(waits) < 0.1


async def test_more_than_a_hundred_destinations_are_all_served(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        names = [f"destination {number:03}" for number in range(250)]
        await ledger.owe(receiver.url, 2, destinations=names)
        async with dispatching(database_url, poll_seconds=30):
            await ledger.wait_for("DELIVERED", 500)
        assert len(receiver.requests) == 500


async def test_wake_up_in_the_middle_of_a_walk_is_not_lost(ledger: Ledger, database_url: str) -> None:
    """Hundreds of destinations wait for a later time: each walk over them takes several claims."""
    async with Receiver() as receiver:
        names = [f"destination {number:03}" for number in range(0, 700, 2)]
        await ledger.owe(receiver.url, destinations=names, in_seconds=3600)
        async with dispatching(database_url, poll_seconds=30) as dispatcher:
            for number in range(1, 13):
                dispatcher.wake()
                await asyncio.sleep(number * 0.004)
                await ledger.owe(receiver.url, destinations=[f"destination {number * 2 + 1:03}"])
                dispatcher.wake()
                await receiver.wait_for(number, 5)


async def test_long_queues_do_not_starve_the_last_destination(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        await ledger.owe(receiver.url, 150, destinations=["a", "b"])
        await ledger.owe(receiver.url, 1, action=Webhook(url=receiver.url, payload="last"), destinations=["z"])
        async with dispatching(database_url, concurrency=2, total=2, poll_seconds=30):
            await ledger.wait_for("DELIVERED", 301)
        place = [received.body for received in receiver.requests].index(b'"last"')
        assert place < 100


@pytest.mark.parametrize(("total", "concurrency"), [(1, 1), (1, 10), (5, 2)])
async def test_smallest_limits_need_no_polling_to_go_on(
    ledger: Ledger, database_url: str, total: int, concurrency: int
) -> None:
    async with Receiver() as receiver:
        await ledger.owe(receiver.url, 15, destinations=["a", "b", "c"])
        async with dispatching(database_url, total=total, concurrency=concurrency, poll_seconds=30):
            await ledger.wait_for("DELIVERED", 45, 10)


async def test_tenants_with_the_same_destination_do_not_wait_for_each_other(
    ledger: Ledger, database_url: str, connection: DedicatedConnection
) -> None:
    other = Ledger(connection, uuid4())
    hold = Hold()
    async with Receiver(hold) as slow, Receiver() as healthy:
        await ledger.owe(slow.url, 50, destinations=["same"])
        async with dispatching(database_url, poll_seconds=30, shutdown_seconds=0) as dispatcher:
            await slow.wait_for(1)
            await other.owe(healthy.url, destinations=["same"])
            dispatcher.wake()
            await healthy.wait_for(1, 2)
            hold.release()


async def test_two_dispatchers_send_each_delivery_once(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver, Receiver() as other:
        owed = [*await ledger.owe(receiver.url, 150), *await ledger.owe(other.url, 150)]
        async with dispatching(database_url), dispatching(database_url):
            await ledger.wait_for("DELIVERED", 300)
        sent = Counter(received.headers["webhook-id"] for received in (*receiver.requests, *other.requests))
    assert sent == Counter(str(delivery_id) for delivery_id in owed)


# Leases


async def test_delivery_of_a_process_that_died_is_taken_over_and_its_attempt_kept(
    ledger: Ledger, database_url: str
) -> None:
    async with Receiver() as receiver:
        [owed] = await ledger.owe(receiver.url)
        await ledger.claim(lease_seconds=-0.1)
        async with dispatching(database_url):
            await ledger.wait_for("DELIVERED")
        assert len(receiver.requests) == 1
    lost, delivered = await ledger.attempts(owed)
    assert (lost["outcome"], lost["number"]) == ("LOST", 1)
    assert "stopped before" in lost["reason"]
    assert (delivered["outcome"], delivered["number"]) == ("DELIVERED", 2)


async def test_lease_that_still_runs_is_left_to_its_holder(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        [owed] = await ledger.owe(receiver.url)
        await ledger.claim()
        await ledger.owe(receiver.url)
        async with dispatching(database_url, lease_seconds=1):
            await ledger.wait_for("DELIVERED")
            await asyncio.sleep(0.5)  # more than one look at the leases
        assert len(receiver.requests) == 1
    assert (await ledger.delivery(owed))["status"] == "SENDING"


async def test_delivery_that_kills_its_processes_fails_in_the_end(ledger: Ledger, database_url: str) -> None:
    [owed] = await ledger.owe()
    for _ in range(3):
        await ledger.claim(lease_seconds=-0.1)
        lost = [row async for row in queries.take_over(ledger.connection, now=datetime.now(UTC), most_attempts=3)]
        assert len(lost) == 1
    row = await ledger.delivery(owed)
    assert (row["status"], row["attempt_count"]) == ("FAILED", 3)
    assert row["reason"].endswith("gave up after 3 attempts")
    assert [attempt["outcome"] for attempt in await ledger.attempts(owed)] == ["LOST"] * 3


async def test_end_after_a_lost_lease_changes_nothing(ledger: Ledger) -> None:
    [owed] = await ledger.owe()
    [first] = (await ledger.claim(lease_seconds=-0.1)).claims
    [_] = [row async for row in queries.take_over(ledger.connection, now=datetime.now(UTC), most_attempts=8)]
    before = await ledger.delivery(owed)
    await record(ledger.connection, [delivered(first)], Circuit(), now=datetime.now(UTC))
    assert await ledger.delivery(owed) == before

    [second] = (await ledger.claim()).claims
    before = await ledger.delivery(owed)
    await record(ledger.connection, [delivered(first)], Circuit(), now=datetime.now(UTC))
    assert await ledger.delivery(owed) == before
    assert [attempt["outcome"] for attempt in await ledger.attempts(owed)] == ["LOST"]

    await record(ledger.connection, [delivered(second)], Circuit(), now=datetime.now(UTC))
    assert (await ledger.delivery(owed))["status"] == "DELIVERED"
    before = await ledger.delivery(owed)
    await record(ledger.connection, [delivered(second)], Circuit(), now=datetime.now(UTC))
    assert await ledger.delivery(owed) == before


async def test_long_send_keeps_its_lease(ledger: Ledger, database_url: str) -> None:
    hold = Hold()
    async with Receiver(hold) as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with (
            dispatching(database_url, lease_seconds=1, poll_seconds=30),
            dispatching(database_url, lease_seconds=1, poll_seconds=0.05),
        ):
            await receiver.wait_for(1)
            await asyncio.sleep(2)  # two leases long
            assert (await ledger.delivery(owed))["status"] == "SENDING"
            hold.release()
            await ledger.wait_for("DELIVERED")
        assert len(receiver.requests) == 1
    assert len(await ledger.attempts(owed)) == 1


# Stopping


async def test_stop_waits_for_sends_and_gives_unspent_leases_back_at_once(ledger: Ledger, database_url: str) -> None:
    hold = Hold()
    async with Receiver(hold) as receiver:
        await ledger.owe(receiver.url, 50)
        async with dispatching(database_url) as dispatcher:
            await receiver.wait_for(10)
            await ledger.wait_for("SENDING", 50)
            dispatcher.stop()
            await ledger.wait_for("PENDING", 40)
            unspent = await ledger.connection.fetch("SELECT * FROM automations.delivery WHERE status = 'PENDING'")
            assert {row["attempt_count"] for row in unspent} == {0}
            assert await ledger.count("SENDING") == 10
            hold.release()
        assert len(receiver.requests) == 10
    assert (await ledger.count("DELIVERED"), await ledger.count("PENDING")) == (10, 40)
    outcomes = await ledger.connection.fetch("SELECT outcome, number FROM automations.attempt")
    assert [tuple(row) for row in outcomes] == [("DELIVERED", 1)] * 10


async def test_sends_under_way_keep_their_leases_while_stopping(ledger: Ledger, database_url: str) -> None:
    hold = Hold()
    async with Receiver(hold) as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with dispatching(database_url, lease_seconds=1) as dispatcher:
            await receiver.wait_for(1)
            dispatcher.stop()
            async with dispatching(database_url, lease_seconds=1):
                await asyncio.sleep(2)  # two leases long
            hold.release()
        assert len(receiver.requests) == 1
    assert [attempt["outcome"] for attempt in await ledger.attempts(owed)] == ["DELIVERED"]


async def test_stop_does_not_wait_forever(ledger: Ledger, database_url: str) -> None:
    async with Receiver(never_answer) as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with asyncio.timeout(5), dispatching(database_url, timeout_seconds=60, shutdown_seconds=0.1):
            await receiver.wait_for(1)
    assert (await ledger.delivery(owed))["status"] == "SENDING", "sent again when its lease runs out"


async def test_stop_needs_no_database(ledger: Ledger, database_url: str, postgres: EmbeddedPostgres) -> None:
    """What cannot be recorded any more is sent again by another process."""
    hold = Hold()
    async with Receiver(hold) as receiver:
        await ledger.owe(receiver.url)
        async with asyncio.timeout(5), dispatching(database_url, shutdown_seconds=0.3):
            await receiver.wait_for(1)
            await close_database(postgres.url, ledger.connection, is_open=False)
            await terminate_others(ledger.connection)
            hold.release()
    await close_database(postgres.url, ledger.connection, is_open=True)
    assert await ledger.count("SENDING") == 1


# Trouble


async def test_everything_is_delivered_through_lost_connections(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        owed = await ledger.owe(receiver.url, 150, destinations=["a", "b", "c"])
        async with dispatching(database_url, lease_seconds=1, retry_seconds=(0.1,) * 5):
            for count in (20, 100, 200, 300):
                await receiver.wait_for(count)
                await eventually(lambda: terminate_others(ledger.connection))
            await ledger.wait_for("DELIVERED", 450)
        sent = {received.headers["webhook-id"] for received in receiver.requests}
    assert sent == {str(delivery_id) for delivery_id in owed}


async def test_end_that_cannot_be_recorded_keeps_no_other_from_it(ledger: Ledger) -> None:
    await ledger.owe(count=3)
    first, second, third = (await ledger.claim()).claims
    bad = replace(delivered(second), request="{not JSON")
    with structlog.testing.capture_logs() as lines:
        await record(ledger.connection, [delivered(first), bad, delivered(third)], Circuit(), now=datetime.now(UTC))
    assert (await ledger.count("DELIVERED"), await ledger.count("SENDING")) == (2, 1)
    assert [line["log_level"] for line in lines] == ["error"]


async def test_attempt_that_breaks_down_is_made_again_when_its_lease_runs_out(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = Sender.attempt
    broken = [True]

    async def break_down(self: Sender, claim: Claim) -> Ended:
        if broken and broken.pop():
            raise RuntimeError("a bug in the sender itself")
        return await attempt(self, claim)

    monkeypatch.setattr(Sender, "attempt", break_down)
    async with Receiver() as receiver:
        [owed] = await ledger.owe(receiver.url)
        async with dispatching(database_url, lease_seconds=1):
            await ledger.wait_for("DELIVERED")
    assert [attempt["outcome"] for attempt in await ledger.attempts(owed)] == ["LOST", "DELIVERED"]


@pytest.mark.parametrize(
    ("table", "column", "value", "reason"),
    [
        ("action", "action_type", "CarrierPigeonAction", "no action CarrierPigeonAction"),
        ("secret", "sealed", b"damaged", "damaged"),
    ],
)
async def test_claim_that_cannot_be_opened_fails_with_its_reason(
    ledger: Ledger, database_url: str, table: str, column: str, value: Any, reason: str
) -> None:
    await ledger.set_secret("HOOK", "https://hooks.example.com/")
    [owed] = await ledger.owe(action=Webhook(url_secret="HOOK"))
    await ledger.connection.execute(f"UPDATE automations.{table} SET {column} = $1", value)
    async with dispatching(database_url):
        await ledger.wait_for("FAILED")
    assert reason in (await ledger.delivery(owed))["reason"]


def delivered(claim: Claim) -> Ended:
    now = datetime.now(UTC)
    return Ended(claim=claim, started_at=now, finished_at=now, outcome="DELIVERED", status_code=200)
