"""A delivery that waits says what for, and a destination in trouble says what it is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.delivery.ledger import Ledger
from tests.harness import Automations, running

NAME = "webhook:https://hooks.example.com:https"
EARLIER = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def idle_server(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Automations]:
    """A server that sends nothing: what waits, waits."""

    async def rest(_self: object) -> None:
        """Send nothing."""

    monkeypatch.setattr("automations.delivery.dispatcher.Dispatcher.run", rest)
    async with running(database_url, tmp_path) as automations:
        yield automations


async def waits_for(server: Automations, delivery: UUID) -> str | None:
    data = await server.execute("query($id: uuid!) { delivery_by_pk(id: $id) { waits_for } }", id=str(delivery))
    answer: str | None = data["delivery_by_pk"]["waits_for"]
    return answer


async def know(ledger: Ledger, **columns: object) -> None:
    """What is known about the destination, and nothing else."""
    await ledger.connection.execute("DELETE FROM automations.destination")
    names = ", ".join(columns)
    places = ", ".join(f"${number}" for number in range(3, 3 + len(columns)))
    await ledger.connection.execute(
        f"INSERT INTO automations.destination (tenant_id, name, {names}) VALUES ($1, $2, {places})",
        ledger.tenant_id,
        NAME,
        *columns.values(),
    )


async def test_what_each_delivery_waits_for(idle_server: Automations, ledger: Ledger) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    at = f"{later:%Y-%m-%dT%H:%M:%SZ}"
    [delivery] = await ledger.owe()
    assert await waits_for(idle_server, delivery) == "a free place"

    await know(ledger, per_second=2.0, spent_until=later)
    assert await waits_for(idle_server, delivery) == "its turn: its destination is sent 2 a second at most"
    await know(ledger, held_until=later)
    assert await waits_for(idle_server, delivery) == f"its destination, which asked to wait until {at}"
    await know(ledger, open_until=later, openings=1, failures=5, reason="The receiver answered 503")
    assert await waits_for(idle_server, delivery) == (
        f"its destination, which failed 5 times in a row and is tried again at {at}: The receiver answered 503"
    )
    await know(ledger, open_until=EARLIER, openings=1, failures=5, reason="The receiver answered 503")
    assert await waits_for(idle_server, delivery) == (
        "its destination, which failed 5 times in a row and is tried out with one delivery at a time: "
        "The receiver answered 503"
    )

    await ledger.connection.execute("UPDATE automations.delivery SET due_at = $1", later)
    assert await waits_for(idle_server, delivery) == f"its time, {at}"
    await ledger.connection.execute("UPDATE automations.delivery SET attempt_count = 1")
    assert await waits_for(idle_server, delivery) == f"its next try at {at}"


async def test_one_that_keeps_its_order_names_the_one_before(idle_server: Automations, ledger: Ledger) -> None:
    [first] = await ledger.owe(subject="run")
    action_id = (await ledger.delivery(first))["action_id"]
    [second] = await ledger.owe(subject="run", action_id=action_id)
    assert await waits_for(idle_server, first) == "a free place"
    assert await waits_for(idle_server, second) == f"the delivery {first}, an earlier one about the same subject"
    await ledger.claim()
    assert await waits_for(idle_server, first) is None, "it is being sent"
    assert await waits_for(idle_server, second) == f"the delivery {first}, an earlier one about the same subject"


async def test_destination_in_trouble_can_be_read(idle_server: Automations, ledger: Ledger) -> None:
    await know(ledger, open_until=EARLIER, openings=1, failures=5, reason="The receiver answered 503")
    data = await idle_server.execute(
        "{ destination(where: {failures: {_gt: 0}}) { name failures open_until held_until reason } }"
    )
    assert data["destination"] == [
        {
            "name": NAME,
            "failures": 5,
            "open_until": "2026-01-02T03:04:05+00:00",
            "held_until": None,
            "reason": "The receiver answered 503",
        }
    ]
