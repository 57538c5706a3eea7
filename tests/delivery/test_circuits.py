"""A destination that fails again and again rests; nothing of what is owed to it is dropped or overtaken."""

from datetime import UTC, datetime, timedelta

from automations.delivery.rates import Circuit, Rate
from tests.delivery.ledger import Ledger, dispatching
from tests.harness import eventually
from tests.receivers import Receiver, in_turn, never_answer, reply

CIRCUIT = Circuit(failures=3, seconds=30, most_seconds=100)
NAME = "webhook:https://hooks.example.com:https"


def after(start: datetime, seconds: float) -> datetime:
    return start + timedelta(seconds=seconds)


async def fail(ledger: Ledger, count: int, *, at: datetime) -> None:
    """So many attempts fail, one after the other."""
    claims = (await ledger.claim(at=at)).claims
    for claim in claims[:count]:
        await ledger.end([claim], "FAILS", at=at, circuit=CIRCUIT)
    await give_back(ledger)


async def give_back(ledger: Ledger) -> None:
    await ledger.connection.execute(
        "UPDATE automations.delivery SET status = 'PENDING', due_at = started_at, lease_until = NULL"
        " WHERE status = 'SENDING'"
    )


async def test_failures_in_a_row_open_it_and_nothing_is_claimed_until_then(ledger: Ledger) -> None:
    await ledger.owe(count=10)
    start = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 2, at=start)
    known = await ledger.destination(NAME)
    assert (known["failures"], known["open_until"], known["reason"]) == (2, None, "It is down")

    await fail(ledger, 1, at=start)
    known = await ledger.destination(NAME)
    assert (known["failures"], known["open_until"]) == (3, after(start, 30))
    found = await ledger.claim(at=after(start, 29))
    assert (found.claims, found.look_at) == ([], after(start, 30))
    assert await ledger.count("PENDING") == 10


async def test_success_in_between_begins_the_count_anew(ledger: Ledger) -> None:
    await ledger.owe(count=10)
    start = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 2, at=start)
    [first, *_] = (await ledger.claim(at=start)).claims
    await ledger.end([first], at=start, circuit=CIRCUIT)
    await give_back(ledger)
    assert (await ledger.destination(NAME))["failures"] == 0
    await fail(ledger, 2, at=start)
    assert (await ledger.destination(NAME))["open_until"] is None


async def test_success_and_failures_of_one_batch_count_in_their_order(ledger: Ledger) -> None:
    await ledger.owe(count=4)
    start = datetime.now(UTC) + timedelta(minutes=1)
    claims = (await ledger.claim(at=start)).claims
    await ledger.end(claims[:2], "FAILS", at=start, circuit=CIRCUIT)
    await ledger.end(claims[2:3], at=after(start, 1), circuit=CIRCUIT)
    await ledger.end(claims[3:], "FAILS", at=after(start, 2), circuit=CIRCUIT)
    assert (await ledger.destination(NAME))["failures"] == 1


async def test_one_at_a_time_tries_it_out_and_each_failure_doubles_the_rest(ledger: Ledger) -> None:
    await ledger.owe(count=10)
    at = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 3, at=at)
    for rest in (60, 100, 100):
        at = (await ledger.destination(NAME))["open_until"]
        [probe] = (await ledger.claim(at=at)).claims
        assert (await ledger.claim(at=after(at, 1))).claims == [], "one at a time, whoever asks"
        at = after(at, 2)
        await ledger.end([probe], "FAILS", at=at, circuit=CIRCUIT)
        assert (await ledger.destination(NAME))["open_until"] == after(at, rest)
    at = (await ledger.destination(NAME))["open_until"]
    [probe] = (await ledger.claim(at=at)).claims
    await ledger.end([probe], at=at, circuit=CIRCUIT)
    known = await ledger.destination(NAME)
    assert (known["failures"], known["openings"], known["open_until"], known["reason"]) == (0, 0, None, None)
    assert len((await ledger.claim(at=at)).claims) == 3


async def test_failures_of_what_was_under_way_do_not_lengthen_the_rest(ledger: Ledger) -> None:
    await ledger.owe(count=10)
    start = datetime.now(UTC) + timedelta(minutes=1)
    claims = (await ledger.claim(at=start)).claims
    await ledger.end(claims[:3], "FAILS", at=start, circuit=CIRCUIT)
    await ledger.end(claims[3:], "FAILS", at=after(start, 5), circuit=CIRCUIT)
    assert (await ledger.destination(NAME))["open_until"] == after(start, 30)


async def test_process_that_dies_while_it_tries_a_destination_out_blocks_it_no_longer(ledger: Ledger) -> None:
    await ledger.owe(count=5)
    start = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 3, at=start)
    assert len((await ledger.claim(at=after(start, 30))).claims) == 1
    assert (await ledger.claim(at=after(start, 40))).claims == []
    await give_back(ledger)  # as a take-over does
    assert len((await ledger.claim(at=after(start, 50))).claims) == 1


async def test_what_says_nothing_about_the_destination_changes_nothing(ledger: Ledger) -> None:
    await ledger.owe(count=5)
    start = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 2, at=start)
    claims = (await ledger.claim(at=start)).claims
    await ledger.end(claims, None, at=start, circuit=CIRCUIT)
    assert (await ledger.destination(NAME))["failures"] == 2


async def test_rate_holds_after_a_circuit_closed(ledger: Ledger) -> None:
    rates = {"WebhookAction": Rate(1.0, 2)}
    await ledger.owe(count=10)
    start = datetime.now(UTC) + timedelta(minutes=1)
    await fail(ledger, 3, at=start)
    at = after(start, 30)
    [probe] = (await ledger.claim(at=at, rates=rates)).claims
    await ledger.end([probe], at=at, circuit=CIRCUIT)
    assert len((await ledger.claim(at=at, rates=rates)).claims) == 1


# With dispatchers


async def test_destination_that_is_down_is_left_alone_and_works_again_after(ledger: Ledger, database_url: str) -> None:
    """Two processes, a hundred deliveries: few attempts while it is down, all of them once it is up."""
    circuit = Circuit(failures=3, seconds=0.2, most_seconds=0.4)
    async with Receiver(reply(503)) as sick, Receiver() as healthy:
        await ledger.owe(sick.url, 100)
        async with (
            dispatching(database_url, retry_seconds=(0.1,) * 50, circuit=circuit, concurrency=2),
            dispatching(database_url, retry_seconds=(0.1,) * 50, circuit=circuit, concurrency=2),
        ):
            await sick.wait_for(3)
            await ledger.owe(healthy.url, 50)
            await healthy.wait_for(50)

            async def opened_again() -> bool:
                row = await ledger.connection.fetchrow("SELECT max(openings) AS openings FROM automations.destination")
                return bool(row and row["openings"] and row["openings"] >= 3)

            await eventually(opened_again)
            assert len(sick.requests) < 50, "it is tried out, not battered"
            sick.behaviour = reply(200)
            await ledger.wait_for("DELIVERED", 150)
    assert await ledger.connection.fetchval("SELECT count(*) FROM automations.destination WHERE failures > 0") == 0


async def test_what_was_claimed_ahead_is_given_back_when_the_circuit_opens(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(500)) as receiver:
        await ledger.owe(receiver.url, 30)
        async with dispatching(database_url, circuit=Circuit(failures=2, seconds=60), concurrency=2, poll_seconds=30):

            async def all_wait() -> bool:
                return await ledger.count("PENDING") == 30 and await ledger.count("SENDING") == 0

            await receiver.wait_for(2)
            await eventually(all_wait)
            attempts = len(receiver.requests)
        assert attempts == 2
    untouched = await ledger.connection.fetchval(
        "SELECT count(*) FROM automations.delivery WHERE attempt_count = 0 AND due_at < now()"
    )
    assert untouched == 30 - attempts, "as if they had never been claimed"


async def test_refusals_and_deliveries_that_cannot_be_made_open_nothing(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(404)) as receiver:
        await ledger.owe(receiver.url, 20)
        async with dispatching(database_url, circuit=Circuit(failures=2, seconds=60)):
            await ledger.wait_for("FAILED", 20)
    assert await ledger.connection.fetchval("SELECT count(*) FROM automations.destination") == 0


async def test_silent_destination_opens_its_circuit(ledger: Ledger, database_url: str) -> None:
    async with Receiver(never_answer) as receiver:
        await ledger.owe(receiver.url, 5)
        async with dispatching(database_url, timeout_seconds=0.2, circuit=Circuit(failures=3, seconds=60)):

            async def opened() -> bool:
                return bool(
                    await ledger.connection.fetchval(
                        "SELECT EXISTS (SELECT FROM automations.destination WHERE open_until IS NOT NULL)"
                    )
                )

            await eventually(opened)


async def test_one_that_asks_to_wait_is_sent_nothing_until_then(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(429, headers={"Retry-After": "40"})) as busy, Receiver() as other:
        owed = await ledger.owe(busy.url, 20)
        async with dispatching(database_url, concurrency=1, poll_seconds=30) as dispatcher:
            await busy.wait_for(1)

            async def all_wait() -> bool:
                return await ledger.count("PENDING") == 20

            await eventually(all_wait)
            await ledger.owe(other.url)
            dispatcher.wake()
            await ledger.wait_for("DELIVERED")
            [known] = await ledger.connection.fetch("SELECT * FROM automations.destination")
            assert len(busy.requests) == 1
    assert (known["failures"], known["open_until"]) == (0, None), "it works: it is only busy"
    found = await ledger.claim(at=known["held_until"] - timedelta(seconds=1))
    assert (found.claims, found.look_at) == ([], known["held_until"])
    assert len((await ledger.claim(at=known["held_until"])).claims) >= len(owed) - 1
    [attempt, *_] = await ledger.connection.fetch("SELECT * FROM automations.attempt ORDER BY started_at")
    assert known["held_until"] - attempt["finished_at"] >= timedelta(seconds=39)


async def test_one_that_asks_for_days_is_waited_for_an_hour(ledger: Ledger, database_url: str) -> None:
    async with Receiver(reply(429, headers={"Retry-After": "999999"})) as busy:
        await ledger.owe(busy.url)
        async with dispatching(database_url):
            await busy.wait_for(1)

            async def recorded() -> bool:
                return bool(await ledger.connection.fetchval("SELECT EXISTS (SELECT FROM automations.destination)"))

            await eventually(recorded)
    [known] = await ledger.connection.fetch("SELECT * FROM automations.destination")
    assert known["held_until"] <= datetime.now(UTC) + timedelta(hours=1)


async def test_order_is_kept_through_an_open_circuit(ledger: Ledger, database_url: str) -> None:
    async with Receiver(in_turn(*[reply(503)] * 4, reply(200))) as receiver:
        action_id = None
        owed = []
        for _ in range(6):
            [delivery] = await ledger.owe(receiver.url, subject="run", action_id=action_id)
            action_id = (await ledger.delivery(delivery))["action_id"]
            owed.append(str(delivery))
        async with dispatching(
            database_url, retry_seconds=(0.05,) * 20, circuit=Circuit(failures=2, seconds=0.1, most_seconds=0.2)
        ):
            await ledger.wait_for("DELIVERED", 6)
        assert [request.headers["webhook-id"] for request in receiver.requests[4:]] == owed
