"""What is old goes, in steps; what is still needed stays. Ids tell how old a row is, so tests look from the future."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from automations import retention
from automations.database import DedicatedConnection
from automations.retention import Keep, prune
from tests.delivery.ledger import Ledger
from tests.harness import Automations, eventually, running

IN_100_DAYS = timedelta(days=100)


async def removed(connection: DedicatedConnection, keep: Keep, *, later: timedelta = IN_100_DAYS) -> dict[str, int]:
    """What a look removes that long from now."""
    counts: Counter[str] = Counter()
    async for table, count in prune(connection, keep, now=datetime.now(UTC) + later):
        counts[table] += count
    return {table: count for table, count in counts.items() if count}


async def rows(connection: DedicatedConnection, *tables: str) -> list[int]:
    """How many rows tables have."""
    return [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


LEDGER = ("automations.firing", "automations.delivery", "automations.attempt")


async def end_all(ledger: Ledger) -> None:
    at = datetime.now(UTC) + timedelta(seconds=10)
    await ledger.end((await ledger.claim(at=at)).claims, at=at)


async def test_ledger_goes_as_a_whole(ledger: Ledger) -> None:
    for _ in range(3):
        await ledger.owe(count=2)
    await end_all(ledger)
    assert await rows(ledger.connection, *LEDGER) == [3, 6, 6]
    assert await removed(ledger.connection, Keep(ledger_days=90)) == {"firing": 3}
    assert await rows(ledger.connection, *LEDGER) == [0, 0, 0]


async def test_nothing_goes_before_its_time_or_without_being_asked(ledger: Ledger) -> None:
    await ledger.owe()
    await end_all(ledger)
    assert await removed(ledger.connection, Keep(ledger_days=101)) == {}
    assert await removed(ledger.connection, Keep()) == {}
    assert await rows(ledger.connection, *LEDGER) == [1, 1, 1]


async def test_what_is_owed_still_stays(ledger: Ledger) -> None:
    await ledger.owe(count=2)
    await end_all(ledger)
    [pending] = await ledger.owe()
    await ledger.owe()
    sending = (await ledger.claim(at=datetime.now(UTC) + timedelta(seconds=10))).ids
    assert pending in sending
    [waiting] = await ledger.owe(in_seconds=1000)
    assert await removed(ledger.connection, Keep(ledger_days=90)) == {"firing": 1}
    left = await ledger.connection.fetch("SELECT id FROM automations.delivery")
    assert {row["id"] for row in left} == {*sending, waiting}
    assert await rows(ledger.connection, "automations.firing") == [3]


async def test_what_was_sent_again_since_stays(ledger: Ledger) -> None:
    await ledger.owe()
    await end_all(ledger)
    resent = UUID(int=int((datetime.now(UTC) + timedelta(days=50)).timestamp() * 1000) << 80)
    await ledger.connection.execute(
        """
        INSERT INTO automations.delivery
            (tenant_id, id, firing_id, action_id, action_type, destination, status, finished_at)
        SELECT tenant_id, $1, firing_id, action_id, action_type, destination, 'DELIVERED', now()
        FROM automations.delivery
        """,
        resent,
    )
    assert await removed(ledger.connection, Keep(ledger_days=90)) == {}
    assert await rows(ledger.connection, *LEDGER) == [1, 2, 1]


@pytest.mark.parametrize("batch", [1, 2, 5])
async def test_steps_miss_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(retention, "BATCH", batch)
    for number in range(5):
        await ledger.owe(in_seconds=1000 if number == 1 else 0)
    await end_all(ledger)
    assert await removed(ledger.connection, Keep(ledger_days=90)) == {"firing": 4}


async def test_audit_goes_by_retention_only(connection: DedicatedConnection, tenant_id: UUID) -> None:
    await connection.execute("INSERT INTO automations.secret VALUES ($1, 'S', now(), now(), '')", tenant_id)
    assert await removed(connection, Keep(audit_days=90)) == {"audit_event": 1}
    await connection.execute("INSERT INTO automations.secret VALUES ($1, 'T', now(), now(), '')", tenant_id)
    with pytest.raises(asyncpg.RaiseError, match="never changed or removed"):
        await connection.execute("DELETE FROM automations.audit_event")
    assert await rows(connection, "automations.audit_event") == [1]


async def test_idempotency_keys_go(connection: DedicatedConnection, server: Automations) -> None:
    await server.write("create_project", name="P", idempotency_key="once")
    assert await removed(connection, Keep(idempotency_key_days=101)) == {}
    assert await removed(connection, Keep(idempotency_key_days=30)) == {"idempotency_key": 1}


async def test_runs_go_once_they_have_ended(
    connection: DedicatedConnection, server: Automations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RUNS_BATCH", 2)
    flow = await server.flow()
    ended = [await server.run(flow) for _ in range(5)]
    going = await server.run(flow)
    for run in ended:
        await server.set_state(run, "Success")
        await server.write("write_run_logs", "success", logs=[{"flow_run_id": run, "message": "done"}])
    assert await removed(connection, Keep(flow_run_days=101)) == {}
    assert await removed(connection, Keep(flow_run_days=30)) == {"flow_run": 5}
    assert [str(row["id"]) for row in await connection.fetch("SELECT id FROM public.flow_run")] == [going]
    assert await rows(connection, "public.flow_run_state", "public.log") == [1, 0]


async def test_running_server_removes_what_is_old(ledger: Ledger, database_url: str, tmp_path: Path) -> None:
    await ledger.owe()
    await end_all(ledger)
    async with running(database_url, tmp_path, keep_ledger_days=1e-9):

        async def is_gone() -> bool:
            return await rows(ledger.connection, *LEDGER) == [0, 0, 0]

        await eventually(is_gone)


async def test_other_tenants_are_looked_after_too(connection: DedicatedConnection, ledger: Ledger) -> None:
    other = uuid4()
    await connection.execute("INSERT INTO public.tenant (id, name, slug) VALUES ($1, 'Other', 'other')", other)
    for each in (ledger, Ledger(connection, other)):
        await each.owe()
        await end_all(each)
    assert await removed(connection, Keep(ledger_days=90)) == {"firing": 2}


@pytest.mark.parametrize(("days", "seconds"), [(90, 600), (0, 600), (0.01, 86.4), (0.000_001, 1)])
def test_what_is_kept_for_minutes_is_looked_at_more_often(days: float, seconds: float) -> None:
    assert Keep(ledger_days=days, idempotency_key_days=30).look_seconds == pytest.approx(seconds)
