"""How many deliveries may be under way to a destination holds for all processes together, whoever comes and goes."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from automations.database import Database
from automations.delivery.claims import Claim
from tests.delivery.ledger import Ledger
from tests.harness import eventually, serving
from tests.receivers import Received, Receiver, encode

AT_ONCE = 3
LATER = timedelta(seconds=1)
LEASE_SECONDS = 30


async def home_and_other(ledger: Ledger) -> tuple[int, int]:
    """Ranks among two processes: of the one where the only destination has its home, and of the other."""
    home = await ledger.connection.fetchval(
        "SELECT abs(hashtext(tenant_id || destination)::bigint) % 2 FROM automations.delivery LIMIT 1"
    )
    return home, 1 - home


async def test_one_that_is_alone_at_home_claims_ahead_and_the_other_waits(ledger: Ledger) -> None:
    await ledger.owe(count=30)
    at = datetime.now(UTC) + LATER
    home, other = await home_and_other(ledger)
    elsewhere = Ledger(ledger.connection, ledger.tenant_id)
    claimed = (await ledger.claim(at=at, at_once=AT_ONCE, processes=2, rank=home)).claims
    assert len(claimed) == 30
    await ledger.owe(count=5)
    await ledger.end(claimed[AT_ONCE:], at=at)
    assert (await elsewhere.claim(at=at, at_once=AT_ONCE, processes=2, rank=other)).claims == []
    await ledger.end(claimed[:AT_ONCE], at=at)
    assert len((await elsewhere.claim(at=at, at_once=AT_ONCE, processes=2, rank=other)).claims) == AT_ONCE


async def test_queue_is_left_to_its_home_and_what_is_new_is_anybodys(ledger: Ledger) -> None:
    await ledger.owe(count=30)
    now = datetime.now(UTC)
    home, other = await home_and_other(ledger)
    elsewhere = Ledger(ledger.connection, ledger.tenant_id)
    claimed = (await elsewhere.claim(at=now + LATER, at_once=AT_ONCE, processes=2, rank=other)).claims
    assert len(claimed) == AT_ONCE, "nobody is there: as many as start at once"
    await elsewhere.end(claimed[1:], at=now + LATER)
    assert len((await ledger.claim(at=now + LATER, at_once=AT_ONCE, processes=2, rank=home)).claims) == AT_ONCE - 1
    await elsewhere.end(claimed[:1], at=now + LATER)
    assert (await elsewhere.claim(at=now + LATER, at_once=AT_ONCE, processes=2, rank=other)).claims == []
    assert len((await elsewhere.claim(at=now, at_once=AT_ONCE, processes=2, rank=other)).claims) == 1


async def test_two_that_look_at_the_same_time_do_not_both_claim(ledger: Ledger, database_url: str) -> None:
    await ledger.owe(count=5)
    at = datetime.now(UTC)
    connection = await Database(database_url).dedicated()
    other = Ledger(connection, ledger.tenant_id)
    async with connection.transaction():
        assert len((await other.claim(at=at, at_once=5, processes=2)).claims) > 0
        found = await ledger.claim(at=at, at_once=5, processes=2)
        assert found.claims == []
        assert found.look_at is not None
        assert found.look_at <= at + timedelta(milliseconds=5)
    await connection.close()


async def test_places_of_one_that_died_come_back_with_its_lease(ledger: Ledger) -> None:
    await ledger.owe(count=AT_ONCE + 1)
    at = datetime.now(UTC)
    other = Ledger(ledger.connection, ledger.tenant_id)
    died = await other.claim(at=at, at_once=AT_ONCE, places=AT_ONCE, lease_seconds=LEASE_SECONDS)
    assert len(died.claims) == AT_ONCE + 1
    assert (await ledger.claim(at=at, at_once=AT_ONCE)).claims == []
    await ledger.take_over(at=at + timedelta(seconds=LEASE_SECONDS - 1))
    assert (await ledger.claim(at=at, at_once=AT_ONCE)).claims == []
    await ledger.take_over(at=at + timedelta(seconds=LEASE_SECONDS + 1))
    later = at + timedelta(seconds=LEASE_SECONDS + 1)
    assert sorted((await ledger.claim(at=later, at_once=AT_ONCE)).ids) == sorted(died.ids)


@pytest.mark.parametrize("seed", range(5))
async def test_no_more_are_under_way_whatever_processes_believe_of_each_other(
    ledger: Ledger, database_url: str, seed: int
) -> None:
    """Two claim at the same time, again and again; who is whose home, and how many there are, is made up each time."""
    await ledger.owe(count=150)
    chance = random.Random(seed)
    connections = [await Database(database_url).dedicated() for _ in range(3)]
    processes = [Ledger(connection, ledger.tenant_id) for connection in connections]
    held: dict[UUID, list[Claim]] = {process.claimer: [] for process in processes}
    at = datetime.now(UTC)

    async def claim(process: Ledger) -> None:
        mine = held[process.claimer]
        at_most = chance.randint(0, 40)
        found = await process.claim(
            at=at + LATER * chance.randint(0, 1),
            at_once=AT_ONCE,
            places=chance.randint(1, AT_ONCE),
            share=at_most,
            processes=(count := chance.randint(1, 4)),
            rank=chance.randrange(count),
            sending={mine[0].destination: len(mine)} if mine else {},
        )
        held[process.claimer] += found.claims

    claims = 0
    while await ledger.count("DELIVERED") < 150:
        claims += 1
        assert claims < 1000
        await asyncio.gather(*map(claim, chance.sample(processes, 2)))
        assert sum(min(len(mine), AT_ONCE) for mine in held.values()) <= AT_ONCE
        for process in processes:
            mine = held[process.claimer]
            ended = chance.sample(mine, chance.randint(0, len(mine)))
            await process.end(ended, at=at)
            held[process.claimer] = [claim for claim in mine if claim not in ended]
    for connection in connections:
        await connection.close()


# With real processes


@dataclass
class Turnstile:
    """A behaviour that counts what is under way at once, and takes so long for each."""

    seconds: float
    now: int = 0
    most: int = 0
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: Received, writer: asyncio.StreamWriter) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            await self.is_open.wait()
        finally:
            self.now -= 1
        writer.write(encode(200, b"ok"))


SETTINGS = {
    "destination_concurrency": f"{AT_ONCE}",
    "lease_seconds": "1",
    "roles": "delivery",
    "send_timeout_seconds": "60",
    "shutdown_seconds": "1",
}


def full(turnstile: Turnstile) -> Callable[[], Awaitable[bool]]:
    async def is_full() -> bool:
        return turnstile.now >= AT_ONCE

    return is_full


async def test_receiver_never_sees_more_from_processes_that_come_go_and_are_killed(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    quick, slow = Turnstile(0.01), Turnstile(0)
    quick.is_open.set()
    async with AsyncExitStack() as stack, Receiver(quick) as quick_one, Receiver(slow) as slow_one:
        one, other = await asyncio.gather(
            *(stack.enter_async_context(serving(tmp_path / n, database_url, **SETTINGS)) for n in "ab")
        )
        await ledger.owe(slow_one.url, 20)
        await eventually(full(slow))
        await ledger.owe(quick_one.url, 300)
        await ledger.wait_for("DELIVERED", 100, 30)
        await one.kill()
        await stack.enter_async_context(serving(tmp_path / "c", database_url, workers="2", **SETTINGS))
        await ledger.wait_for("DELIVERED", 300, 30)
        assert await other.stop() == 0
        await eventually(full(slow))
        slow.is_open.set()
        await ledger.wait_for("DELIVERED", 320, 30)
    assert slow.most == AT_ONCE
    assert quick.most == AT_ONCE


async def test_process_that_slept_beyond_its_lease_sends_nothing_that_others_took_over(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """It had claimed ahead, and comes back to a queue that is no longer its own."""
    turnstile = Turnstile(0)
    async with Receiver(turnstile) as receiver, serving(tmp_path / "a", database_url, **SETTINGS) as sleeper:
        owed = await ledger.owe(receiver.url, 20)
        await eventually(full(turnstile))
        sleeper.process.send_signal(signal.SIGSTOP)
        async with serving(tmp_path / "b", database_url, **SETTINGS):
            turnstile.is_open.set()
            await ledger.wait_for("DELIVERED", 20, 30)
            sleeper.process.send_signal(signal.SIGCONT)
            await ledger.owe(receiver.url, 1)
            await ledger.wait_for("DELIVERED", 21, 30)
            assert await sleeper.stop() == 0
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(set(ids)) == len(owed) + 1
    assert len(ids) <= len(owed) + 1 + AT_ONCE
