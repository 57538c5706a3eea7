"""Deliveries about one subject go out one after the other; those about another one do not wait for them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from automations.actions.webhook import Webhook
from automations.database import Database
from tests.delivery.ledger import Ledger, dispatching
from tests.receivers import Hold, Received, Receiver, in_turn, reply

URL = "https://hooks.example.com"


async def owe(ledger: Ledger, subjects: str, url: str = URL, *, counts: int = 1) -> list[UUID]:
    """Ids of deliveries of one action about each of these subjects, a letter each, in this order."""
    action = Webhook(url, payload="{event_name}")
    action_id = await ledger.act(action)
    return [
        delivery
        for subject in subjects
        for delivery in await ledger.owe(action=action, action_id=action_id, subject=subject, count=counts)
    ]


def ids(requests: list[Received]) -> list[UUID]:
    return [UUID(request.headers["webhook-id"]) for request in requests]


# What a claim gives


async def test_later_one_is_claimed_once_the_earlier_one_has_ended(ledger: Ledger) -> None:
    a1, a2, b1 = await owe(ledger, "aab")
    at = datetime.now(UTC) + timedelta(minutes=1)
    first = await ledger.claim(at=at)
    assert set(first.ids) == {a1, b1}
    assert (await ledger.claim(at=at)).ids == []
    await ledger.end(first.claims, at=at)
    assert (await ledger.claim(at=at)).ids == [a2]


async def test_other_actions_do_not_wait(ledger: Ledger) -> None:
    [one] = await owe(ledger, "a")
    [other] = await owe(ledger, "a")
    assert set((await ledger.claim()).ids) == {one, other}


async def test_later_one_waits_while_the_earlier_one_is_tried_again(ledger: Ledger) -> None:
    a1, a2, b1 = await owe(ledger, "aab")
    at = datetime.now(UTC) + timedelta(minutes=1)
    first = await ledger.claim(at=at)
    await ledger.end([claim for claim in first.claims if claim.id == a1], "FAILS", at=at)
    await ledger.end([claim for claim in first.claims if claim.id == b1], at=at)
    found = await ledger.claim(at=at)
    assert (found.ids, found.look_at) == ([], at + timedelta(hours=1))
    again = await ledger.claim(at=at + timedelta(hours=1))
    assert again.ids == [a1]
    await ledger.end(again.claims, at=at + timedelta(hours=1))
    assert (await ledger.claim(at=at + timedelta(hours=1))).ids == [a2]


async def test_one_that_failed_for_good_lets_the_next_one_go(ledger: Ledger, database_url: str) -> None:
    async with Receiver(in_turn(reply(404), reply(200))) as receiver:
        first, second = await owe(ledger, "aa", receiver.url)
        async with dispatching(database_url, poll_seconds=30):
            await ledger.wait_for("DELIVERED")
        assert ids(receiver.requests) == [first, second]
    assert (await ledger.delivery(first))["status"] == "FAILED"


async def test_one_whose_process_died_is_sent_before_the_next(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        owed = await owe(ledger, "aaa", receiver.url)
        await ledger.claim(lease_seconds=-0.1)
        async with dispatching(database_url):
            await ledger.wait_for("DELIVERED", 3)
        assert ids(receiver.requests) == owed


# With dispatchers


async def test_order_is_kept_by_two_processes_through_failures(ledger: Ledger, database_url: str) -> None:
    """Every third attempt fails: each subject's deliveries arrive in their order all the same."""
    behaviours = [reply(500) if number % 3 == 0 else reply(200) for number in range(400)]
    async with Receiver(in_turn(*behaviours, reply(200))) as receiver:
        owed = await owe(ledger, "abcabcabcabcabc" * 4, receiver.url)
        subjects = {delivery: (await ledger.delivery(delivery))["subject"] for delivery in owed}
        async with (
            dispatching(database_url, retry_seconds=(0.02,) * 50),
            dispatching(database_url, retry_seconds=(0.02,) * 50),
        ):
            await ledger.wait_for("DELIVERED", len(owed))
        for subject in "abc":
            arrived = [delivery for delivery in ids(receiver.requests) if subjects[delivery] == subject]
            assert list(dict.fromkeys(arrived)) == [delivery for delivery in owed if subjects[delivery] == subject]
            assert arrived == sorted(arrived, key=owed.index), "a repeat comes before the next, too"


async def test_slow_one_holds_up_its_own_subject_only(ledger: Ledger, database_url: str) -> None:
    hold = Hold()
    async with Receiver() as receiver:
        a1, a2, *others = await owe(ledger, "aabcdefbcdef", receiver.url)

        async def slow_for_the_first(received: Received, writer: asyncio.StreamWriter) -> None:
            await (hold if received.headers["webhook-id"] == str(a1) else reply())(received, writer)

        receiver.behaviour = slow_for_the_first
        async with dispatching(database_url, poll_seconds=30):
            await ledger.wait_for("DELIVERED", len(others))
            assert a1 in ids(receiver.requests)
            assert a2 not in ids(receiver.requests)
            hold.release()
            await ledger.wait_for("DELIVERED", len(others) + 2)
        assert ids(receiver.requests)[-1] == a2


async def test_long_order_needs_no_polling_to_go_on(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        owed = await owe(ledger, "a" * 100, receiver.url)
        async with dispatching(database_url, poll_seconds=30):
            await ledger.wait_for("DELIVERED", 100)
        assert ids(receiver.requests) == owed


# Deep queues


@pytest.mark.parametrize("is_sending", [True, False])
async def test_deep_queue_behind_one_is_passed_over_once(ledger: Ledger, is_sending: bool) -> None:
    """20,000 wait for one that is on its way: the claims after the first few look at none of them."""
    [first, *_] = await owe(ledger, "a", counts=20_000)
    at = datetime.now(UTC) + timedelta(minutes=1)
    if is_sending:
        assert (await ledger.claim(at=at, lease_seconds=600)).ids == [first]
    else:
        await ledger.connection.execute(
            "UPDATE automations.delivery SET due_at = $2 WHERE id = $1", first, at + timedelta(hours=1)
        )
    [other] = await owe(ledger, "b")
    assert (await ledger.claim(at=at)).ids == [other], "it does not wait for them"
    for _ in range(25):
        assert (await ledger.claim(at=at)).ids == []
    due = await ledger.connection.fetchval(
        "SELECT count(*) FROM automations.delivery WHERE status = 'PENDING' AND due_at <= $1", at
    )
    assert due == 0, "put off until something becomes of the first"


async def test_deep_queue_goes_on_when_the_first_has_ended(ledger: Ledger) -> None:
    owed = await owe(ledger, "a", counts=50)
    at = datetime.now(UTC) + timedelta(minutes=1)
    for delivery in owed[:5]:
        found = await ledger.claim(at=at)
        assert found.ids == [delivery]
        assert (await ledger.claim(at=at)).ids == [], "the others are put off"
        await ledger.end(found.claims, at=at)


async def test_claim_that_puts_off_waits_for_nobody(ledger: Ledger, database_url: str) -> None:
    """The end of the first is being recorded: those behind it are left as they are, and due at once."""
    first, second = await owe(ledger, "aa")
    at = datetime.now(UTC) + timedelta(minutes=1)
    found = await ledger.claim(at=at)
    connection = await Database(database_url).dedicated()
    other = Ledger(connection, ledger.tenant_id)
    async with connection.transaction():
        await other.end(found.claims, at=at)
        assert (await ledger.claim(at=at)).ids == []
    assert (await ledger.claim(at=at)).ids == [second]
    assert first != second
    await connection.close()
