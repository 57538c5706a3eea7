"""Runs that schedules make ahead: each time once whoever looks, followed up as time goes by, gone with the schedule."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from automations.database import Database, DedicatedConnection
from automations.engine.scheduler import REST, Scheduler
from automations.errors import InvalidInput
from automations.orchestration import flows, runs, scheduled_runs, tenants
from automations.orchestration.scheduled_runs import make_runs_ahead
from tests.harness import Automations, eventually, running
from tests.orchestration.asking import by_pk, history, refused

NOW = datetime(2026, 6, 1, 8, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = {"type": "CronClock", "cron": "0 * * * *"}


async def new_flow(
    connection: DedicatedConnection, tenant_id: UUID, *clocks: dict[str, Any], on: bool = True, **serialized: Any
) -> UUID:
    """A flow in the one project, with its schedule on since `NOW`."""
    serialized = {"name": "etl", "schedule": {"clocks": clocks}, **serialized}
    project = await connection.fetchval("SELECT id FROM project WHERE tenant_id = $1", tenant_id)
    if project is None:
        project = await tenants.create_project(connection, tenant_id, name="p", description=None)
    async with connection.transaction():
        flow = await flows.create_flow(
            connection, tenant_id, project_id=project, serialized_flow=serialized,
            version_group_id=None, set_schedule_active=False, description=None, idempotency_key=None,
        )  # fmt: skip
        if on:
            await switch(connection, tenant_id, flow, on=True)
    return flow


async def switch(
    connection: DedicatedConnection, tenant_id: UUID, flow: UUID, *, on: bool, now: datetime = NOW
) -> None:
    async with connection.transaction():
        await scheduled_runs.set_schedule_active(connection, tenant_id, flow, active=on, now=now)


async def look(connection: DedicatedConnection, now: datetime) -> int:
    """How many runs were made."""
    async with connection.transaction():
        return (await make_runs_ahead(connection, now=now)).runs


async def starts(connection: DedicatedConnection, flow: UUID, state: str = "Scheduled") -> list[datetime]:
    rows = await connection.fetch(
        "SELECT scheduled_start_time FROM flow_run WHERE flow_id = $1 AND auto_scheduled AND state = $2 ORDER BY 1",
        flow, state,
    )  # fmt: skip
    return [row["scheduled_start_time"] for row in rows]


def hours(first: int, last: int) -> list[datetime]:
    """The full hours of that day, these two included."""
    return [NOW.replace(hour=0, minute=0) + hour * HOUR for hour in range(first, last + 1)]


async def test_schedule_that_is_switched_on_has_ten_runs_ahead(
    connection: DedicatedConnection, tenant_id: UUID
) -> None:
    flow = await new_flow(connection, tenant_id, HOURLY)
    assert await starts(connection, flow) == hours(9, 18)
    [row, *_] = await connection.fetch("SELECT * FROM flow_run ORDER BY scheduled_start_time")
    assert (row["version"], row["state_start_time"], row["idempotency_key"]) == (
        1, row["scheduled_start_time"], "auto-scheduled:2026-06-01T09:00:00+00:00"
    )  # fmt: skip
    assert row["name"]


async def test_runs_follow_as_time_goes_by(connection: DedicatedConnection, tenant_id: UUID) -> None:
    flow = await new_flow(connection, tenant_id, HOURLY)
    assert await look(connection, NOW) == 0
    assert await look(connection, NOW + 2 * HOUR) == 2
    assert await look(connection, NOW + 2 * HOUR) == 0
    assert await starts(connection, flow) == hours(9, 20)
    # What nobody looked for in the meantime is not made up for; what was made before is still there to be late.
    assert await look(connection, NOW + 20 * HOUR) == 10
    assert await starts(connection, flow) == hours(9, 20) + hours(29, 38)


async def test_run_that_was_deleted_or_cancelled_is_not_made_again(
    connection: DedicatedConnection, tenant_id: UUID
) -> None:
    flow = await new_flow(connection, tenant_id, HOURLY)
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM flow_run ORDER BY scheduled_start_time")]
    await runs.delete_flow_run(connection, tenant_id, ids[1])
    await runs.cancel_flow_run(connection, tenant_id, ids[2], message="not wanted")
    assert await look(connection, NOW) == 2
    assert await starts(connection, flow) == [*hours(9, 9), *hours(12, 20)]


async def test_clock_gives_parameters_and_labels(connection: DedicatedConnection, tenant_id: UUID) -> None:
    clock = {**HOURLY, "parameter_defaults": {"size": 1}, "labels": ["gpu", "big"]}
    flow = await new_flow(connection, tenant_id, clock, HOURLY, run_config={"labels": ["cpu"]})
    rows = await connection.fetch(
        "SELECT labels, parameters FROM flow_run WHERE flow_id = $1 AND scheduled_start_time = $2 ORDER BY labels",
        flow, hours(9, 9)[0],
    )  # fmt: skip
    assert [(orjson.loads(row["labels"]), orjson.loads(row["parameters"])) for row in rows] == [
        (["cpu"], {}), (["big", "gpu"], {"size": 1})
    ]  # fmt: skip


async def test_schedule_of_the_flow_group_comes_first(connection: DedicatedConnection, tenant_id: UUID) -> None:
    flow = await new_flow(connection, tenant_id, HOURLY, on=False)
    await connection.execute(
        "UPDATE flow_group SET schedule = $1, default_parameters = $2",
        orjson.dumps({"clocks": [{"type": "DatesClock", "dates": ["2026-06-03T00:00:00Z"]}]}).decode(), '{"a": 1}',
    )  # fmt: skip
    await switch(connection, tenant_id, flow, on=True)
    assert await starts(connection, flow) == [datetime(2026, 6, 3, tzinfo=UTC)]
    assert await connection.fetchval("SELECT parameters FROM flow_run") == '{"a": 1}'


@pytest.mark.parametrize(
    "clocks", [[{"type": "RRuleClock"}], [HOURLY], [HOURLY, {**HOURLY, "parameter_defaults": {"n": 1}}]]
)
async def test_schedule_that_can_make_no_runs_is_not_switched_on(
    connection: DedicatedConnection, tenant_id: UUID, clocks: list[dict[str, Any]]
) -> None:
    flow = await new_flow(connection, tenant_id, *clocks, on=False, parameters=[{"name": "n", "required": True}])
    with pytest.raises(InvalidInput, match=r"RRuleClock|has required parameters: .* have to give n"):
        await switch(connection, tenant_id, flow, on=True)
    assert await connection.fetchval("SELECT count(*) FROM flow WHERE is_schedule_active") == 0


async def test_parameter_that_each_clock_gives_may_be_required(
    connection: DedicatedConnection, tenant_id: UUID
) -> None:
    clock = {**HOURLY, "parameter_defaults": {"n": None}}
    flow = await new_flow(connection, tenant_id, clock, parameters=[{"name": "n", "required": True}])
    assert len(await starts(connection, flow)) == 10


async def test_switching_off_deletes_what_did_not_start(connection: DedicatedConnection, tenant_id: UUID) -> None:
    flow, other = [await new_flow(connection, tenant_id, HOURLY, name=name) for name in ("one", "other")]
    by_hand = await runs.create_flow_run(connection, tenant_id, flow_id=flow)
    await connection.execute(
        "INSERT INTO flow_run_state (tenant_id, flow_run_id, state, version) SELECT tenant_id, id, 'Submitted', 2"
        " FROM flow_run WHERE flow_id = $1 AND auto_scheduled ORDER BY scheduled_start_time LIMIT 1",
        flow,
    )
    await switch(connection, tenant_id, flow, on=False)
    assert await connection.fetchval("SELECT count(*) FROM flow_run WHERE flow_id = $1", flow) == 2
    assert await starts(connection, flow, "Submitted") == hours(9, 9)
    assert await connection.fetchval("SELECT state FROM flow_run WHERE id = $1", by_hand) == "Scheduled"
    assert len(await starts(connection, other)) == 10
    assert await look(connection, NOW) == 0
    await switch(connection, tenant_id, flow, on=True)
    assert await starts(connection, flow) == hours(10, 19)


async def test_new_version_takes_over(connection: DedicatedConnection, tenant_id: UUID) -> None:
    older, newer = [await new_flow(connection, tenant_id, HOURLY) for _ in range(2)]
    assert (await starts(connection, older), await starts(connection, newer)) == ([], hours(9, 18))


async def test_two_who_look_at_once_make_each_run_once(
    database_url: str, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    made = [await new_flow(connection, tenant_id, HOURLY, name=f"flow {number}") for number in range(20)]
    later = NOW + 30 * HOUR
    others = [await Database(database_url).dedicated() for _ in range(3)]
    try:
        counts = await asyncio.gather(*(Scheduler(Database(database_url)).look(other, now=later) for other in others))
    finally:
        for other in others:
            await other.close()
    assert sum(counts) + await look(connection, later) == 200
    for flow in made:
        assert await starts(connection, flow) == hours(9, 18) + hours(39, 48)


async def test_schedule_that_is_switched_off_meanwhile_keeps_no_run(
    database_url: str, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    """Who switches it off waits for who is making runs, and deletes those as well."""
    flow = await new_flow(connection, tenant_id, HOURLY)
    other = await Database(database_url).dedicated()
    try:
        async with other.transaction():
            assert (await make_runs_ahead(other, now=NOW + 5 * HOUR)).runs == 5
            off = asyncio.create_task(switch(connection, tenant_id, flow, on=False))
            await eventually(lambda: _waits(other))
        await off
    finally:
        await other.close()
    assert await connection.fetchval("SELECT count(*) FROM flow_run") == 0


async def _waits(connection: DedicatedConnection) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))


async def test_all_schedules_are_looked_at_in_batches(connection: DedicatedConnection, tenant_id: UUID) -> None:
    for number in range(5):
        await new_flow(connection, tenant_id, HOURLY, name=f"flow {number}")
    seen, first = 0, scheduled_runs.FIRST
    async with connection.transaction():
        while (found := await make_runs_ahead(connection, now=NOW + HOUR, first=first, batch=2)).next is not None:
            seen, first = seen + found.runs, found.next
    assert seen + found.runs == 5


async def test_schedule_without_more_times_rests(
    database_url: str, connection: DedicatedConnection, tenant_id: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """A schedule that cannot be followed, from an earlier version of the server, is passed over as well."""
    ends = await new_flow(
        connection, tenant_id, {**HOURLY, "end_date": {"dt": "2026-06-01T10:00:00", "tz": "UTC"}}, name="ends"
    )
    broken = await new_flow(connection, tenant_id, HOURLY, name="broken")
    await connection.execute("UPDATE flow SET schedule = '{\"clocks\": [5]}' WHERE id = $1", broken)
    scheduler = Scheduler(Database(database_url))
    assert await scheduler.look(connection, now=NOW + HOUR) == 0
    assert await starts(connection, ends) == hours(9, 10)
    await connection.execute("UPDATE flow SET schedule = $1", orjson.dumps({"clocks": [HOURLY]}).decode())
    assert await scheduler.look(connection, now=NOW + HOUR) == 0
    assert await scheduler.look(connection, now=NOW + HOUR + REST) == 9 + 1


async def test_server_makes_runs_of_schedules_that_are_on(
    database_url: str, connection: DedicatedConnection, tenant_id: UUID, tmp_path: Path
) -> None:
    flow = await new_flow(connection, tenant_id, HOURLY, on=False)
    await connection.execute("UPDATE flow SET is_schedule_active = true")
    async with running(database_url, tmp_path):

        async def made() -> bool:
            return len(await starts(connection, flow)) == 10

        await eventually(made)


async def scheduled(api: Automations, **serialized: Any) -> tuple[str, list[str]]:
    """A flow with a schedule that is on, and the ids of its runs."""
    project = (await api.write("create_project", name="p"))["id"]
    flow = {"name": "etl", "schedule": {"clocks": [HOURLY]}, **serialized}
    made = await api.write("create_flow", project_id=project, serialized_flow=flow)
    return made["id"], await ahead(api, made["id"])


async def ahead(api: Automations, flow: str) -> list[str]:
    found = await by_pk(api, "flow", flow, "flow_runs(where: {auto_scheduled: {_eq: true}}) { id }")
    return [run["id"] for run in found["flow_runs"]]


async def test_flow_that_is_registered_with_a_schedule_has_runs_until_it_is_off(api: Automations) -> None:
    flow, made = await scheduled(api)
    assert len(made) == 10
    assert await history(api, made[0]) == [(1, "Scheduled")]
    assert (await api.write("set_schedule_inactive", "success error", flow_id=flow)) == {
        "success": True,
        "error": None,
    }
    assert await ahead(api, flow) == []
    await api.write("set_schedule_active", "success", flow_id=flow)
    assert len(await ahead(api, flow)) == 10
    await api.write("archive_flow", "success", flow_id=flow)
    assert await ahead(api, flow) == []
    assert "archived" in await refused(api, "BAD_USER_INPUT", "set_schedule_active", flow_id=flow)


async def test_flow_whose_schedule_can_make_no_runs_is_registered_without(api: Automations) -> None:
    flow, made = await scheduled(api, schedule={"clocks": [{"type": "RRuleClock"}]})
    assert made == []
    assert (await by_pk(api, "flow", flow, "is_schedule_active")) == {"is_schedule_active": False}
    assert "RRuleClock" in await refused(api, "BAD_USER_INPUT", "set_schedule_active", flow_id=flow)


async def test_automation_that_pauses_the_schedule_deletes_its_runs(server: Automations) -> None:
    await server.automation({"pause_schedule": {}})
    flow, made = await scheduled(server)
    await server.set_state(made[0], "Failed")
    await server.settled(1)
    assert await ahead(server, flow) == [made[0]]
