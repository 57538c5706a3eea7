"""Rates of destinations: kept in the database, so that no number of processes or restarts exceeds them."""

from datetime import UTC, datetime, timedelta

import pytest

from automations.actions import CLIENTS
from automations.actions.slack import SlackNotification
from automations.database import Database
from automations.delivery.rates import Rate, at_once_of, rates_of
from automations.settings import SettingsError
from tests.delivery.ledger import Ledger, dispatching
from tests.receivers import Received, Receiver

HOOK = "WebhookAction"
LIMITED = {HOOK: Rate(1.0, 1)}


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


# What is set


def test_client_declares_its_rate_and_a_setting_replaces_it() -> None:
    slack = SlackNotification.TYPE
    assert rates_of()[slack] == Rate(1.0, 5)
    assert HOOK not in rates_of()
    rates = rates_of([("slack_notification", None), ("webhook", 50.0)])
    assert slack not in rates
    assert rates[HOOK] == Rate(50.0, 3), "50 a second with 20 claims a second"


def test_rate_of_an_action_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="AUTOMATIONS_DESTINATION_RATES: the actions are slack_notification"):
        rates_of([("slakc", 1.0)])


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
def test_declared_rates_make_sense(client: type) -> None:
    rate = rates_of().get(client.TYPE)  # type: ignore[attr-defined]
    assert rate is None or (rate.per_second > 0 and rate.burst >= 1)


# What a claim gives, on a clock of the test's own


async def test_claim_gives_what_the_rate_allows_and_says_when_there_is_more(ledger: Ledger) -> None:
    await ledger.owe(count=10)
    start, rates = datetime.now(UTC) + seconds(1), {HOOK: Rate(2.0, 3)}
    found = await ledger.claim(at=start, rates=rates)
    assert (found.claims, found.look_at) == ([], start), "nothing was known about it yet"

    first = await ledger.claim(at=start, rates=rates)
    assert (len(first.claims), first.look_at) == (3, start + seconds(0.5))
    again = await ledger.claim(at=start + seconds(0.49), rates=rates)
    assert (again.claims, again.look_at) == ([], start + seconds(0.5))
    assert len((await ledger.claim(at=start + seconds(0.5), rates=rates)).claims) == 1
    assert len((await ledger.claim(at=start + seconds(1.6), rates=rates)).claims) == 2
    last = await ledger.claim(at=start + seconds(100), rates=rates)
    assert len(last.claims) == 3, "the burst, however long it was quiet"


async def test_rate_is_what_is_claimed_in_the_long_run(ledger: Ledger) -> None:
    await ledger.owe(count=100)
    rates = {HOOK: Rate(3.0, 2)}
    at = start = datetime.now(UTC) + seconds(1)
    claimed: list[datetime] = []
    while at < start + seconds(10):
        found = await ledger.claim(at=at, rates=rates)
        claimed += [at] * len(found.claims)
        assert found.look_at is not None
        at = max(found.look_at, at + seconds(0.001))
    assert len(claimed) == 2 + 29
    for earlier, later in zip(claimed, claimed[2:], strict=False):
        assert later - earlier >= seconds(1 / 3 - 0.001)


async def test_process_claims_no_more_of_a_limited_destination_than_it_sends_at_once(ledger: Ledger) -> None:
    """What it held longer it would send together later, faster than the rate."""
    await ledger.owe("https://limited.example.com", 30)
    [delivery] = await ledger.owe("https://limited.example.com")
    name = (await ledger.delivery(delivery))["destination"]
    start, rates = datetime.now(UTC) + seconds(1), {HOOK: Rate(10.0, 20)}
    await ledger.claim(at=start, rates=rates)
    assert len((await ledger.claim(at=start, rates=rates, places=4)).claims) == 4
    assert (await ledger.claim(at=start, rates=rates, places=4, sending={name: 4})).claims == []
    assert len((await ledger.claim(at=start, rates=rates, places=4, sending={name: 1})).claims) == 3


async def test_what_is_not_limited_or_in_trouble_has_no_row(ledger: Ledger) -> None:
    await ledger.owe(count=3)
    at = datetime.now(UTC)
    claims = (await ledger.claim(at=at, rates={"SlackNotificationAction": Rate(1, 1)})).claims
    await ledger.end(claims, at=at)
    assert len(claims) == 3
    assert await ledger.connection.fetchval("SELECT count(*) FROM automations.destination") == 0


async def test_two_claims_at_once_share_the_rate(ledger: Ledger, database_url: str) -> None:
    """One holds the row while the other looks: that one passes over it, and looks again soon."""
    await ledger.owe(count=5)
    start = datetime.now(UTC) + seconds(1)
    await ledger.claim(at=start, rates=LIMITED)
    connection = await Database(database_url).dedicated()
    other = Ledger(connection, ledger.tenant_id)
    async with connection.transaction():
        assert len((await other.claim(at=start, rates=LIMITED)).claims) == 1
        found = await ledger.claim(at=start, rates=LIMITED)
        assert found.claims == []
        assert found.look_at is not None
        assert found.look_at <= start + seconds(0.01)
    found = await ledger.claim(at=start, rates=LIMITED)
    assert (found.claims, found.look_at) == ([], start + seconds(1))
    await connection.close()


async def test_claim_says_when_the_next_delivery_is_due(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    await ledger.owe("https://a.example.com", in_seconds=50)
    await ledger.owe("https://b.example.com", in_seconds=20)
    found = await ledger.claim(at=now)
    assert found.look_at is not None
    assert abs(found.look_at - now - seconds(20)) < seconds(5)


# With dispatchers


def took(requests: list[Received]) -> float:
    """Seconds from the first request to the last."""
    times = [request.received_at for request in requests]
    return max(times) - min(times)


async def test_two_dispatchers_do_not_exceed_a_rate(ledger: Ledger, database_url: str) -> None:
    rate = Rate(10.0, 1)
    async with Receiver() as receiver:
        await ledger.owe(receiver.url, 12)
        async with (
            dispatching(database_url, rates={HOOK: rate}, poll_seconds=30),
            dispatching(database_url, rates={HOOK: rate}, poll_seconds=30),
        ):
            await ledger.wait_for("DELIVERED", 12)
        assert len(receiver.requests) == 12
        assert took(receiver.requests) > 0.7 * 11 / rate.per_second


async def test_restart_does_not_exceed_a_rate(ledger: Ledger, database_url: str) -> None:
    rate = Rate(2.0, 1)
    async with Receiver() as receiver:
        await ledger.owe(receiver.url, 4)
        for count in range(1, 5):
            async with dispatching(database_url, rates={HOOK: rate}, poll_seconds=30):
                await ledger.wait_for("DELIVERED", count)
        assert took(receiver.requests) > 0.7 * 3 / rate.per_second


async def test_limited_destination_holds_up_no_other(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as limited, Receiver() as other:
        await ledger.owe(limited.url, 50, destinations=["limited"], action=SlackNotification("HOOK"))
        await ledger.set_secret("HOOK", limited.url)
        await ledger.owe(other.url, 200)
        async with dispatching(database_url, rates={SlackNotification.TYPE: Rate(0.1, 1)}, poll_seconds=30):
            await other.wait_for(200)
            await limited.wait_for(1)
        assert len(limited.requests) == 1


async def test_retry_is_made_when_it_is_due_and_not_when_it_is_polled(ledger: Ledger, database_url: str) -> None:
    async with Receiver() as receiver:
        await ledger.owe(receiver.url, in_seconds=0.5)
        async with dispatching(database_url, poll_seconds=30):
            await receiver.wait_for(1, 5)


def test_kinds_that_take_few_at_once_are_declared_or_set() -> None:
    def most(action_type: str, *settings: tuple[str, int]) -> int:
        return at_once_of(settings, default=10)[action_type]

    assert (most("EmailNotificationAction"), most("WebhookAction")) == (4, 10)
    assert most("EmailNotificationAction", ("email_notification", 1)) == 1
    assert most("WebhookAction", ("webhook", 50)) == 10, "no kind takes more than the setting for all"
    with pytest.raises(SettingsError, match="AUTOMATIONS_DESTINATION_CONCURRENCIES: the actions are slack"):
        at_once_of([("slakc", 1)], default=10)
