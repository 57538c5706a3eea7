"""Runs whose process died are ended once; those that never beat, and those that do, stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from automations.database import DedicatedConnection
from automations.engine.heartbeats import MESSAGE, end_silent_runs
from tests.harness import Automations, eventually, running

SILENT = timedelta(seconds=60)


async def working(server: Automations, *, state: str = "Running", beats: bool = True) -> str:
    """Id of a run that is at work on its one task."""
    project = (await server.write("create_project", name=f"p {datetime.now(UTC).timestamp()}"))["id"]
    serialized = {"name": "etl", "tasks": [{"slug": "extract"}]}
    flow = (await server.write("create_flow", project_id=project, serialized_flow=serialized))["id"]
    run = await server.run(flow)
    await server.set_state(run, "Running")
    [task_run] = (await server.execute(f'{{ task_run(where: {{flow_run_id: {{_eq: "{run}"}}}}) {{ id }} }}'))[
        "task_run"
    ]
    states = [{"task_run_id": task_run["id"], "state": {"type": "Running"}}]
    await server.write("set_task_run_states", "states { id }", states=states)
    if state != "Running":
        await server.set_state(run, state)
    if beats:
        await server.write("update_flow_run_heartbeat", "success", flow_run_id=run)
    return run


async def states_of(server: Automations, run: str) -> tuple[str, str, str]:
    data = await server.execute(f'{{ flow_run_by_pk(id: "{run}") {{ state state_message task_runs {{ state }} }} }}')
    shown = data["flow_run_by_pk"]
    return shown["state"], shown["state_message"], shown["task_runs"][0]["state"]


async def look(connection: DedicatedConnection, *, after: timedelta) -> int:
    return await end_silent_runs(connection, now=datetime.now(UTC) + after, silent_seconds=SILENT.total_seconds())


@pytest.mark.parametrize(("state", "end"), [("Running", "Failed"), ("Cancelling", "Cancelled")])
async def test_silent_run_ends_with_its_tasks_once(
    server: Automations, connection: DedicatedConnection, state: str, end: str
) -> None:
    run = await working(server, state=state)
    assert await look(connection, after=SILENT / 2) == 0
    assert await look(connection, after=2 * SILENT) == 1
    assert await look(connection, after=2 * SILENT) == 0
    assert await states_of(server, run) == (end, MESSAGE, end)


async def test_run_that_never_beat_is_left_alone(server: Automations, connection: DedicatedConnection) -> None:
    await working(server, beats=False)
    assert await look(connection, after=2 * SILENT) == 0


async def test_flow_that_wants_no_heartbeat_is_left_alone(server: Automations, connection: DedicatedConnection) -> None:
    await working(server)
    await connection.execute("UPDATE flow SET settings = '{\"heartbeat_enabled\": false}'")
    assert await look(connection, after=2 * SILENT) == 0


async def test_automations_hear_of_a_dead_process(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path, heartbeat_seconds=0.2) as server:
        await server.automation({"slack_notification": {"webhook_url_secret": "NEVER"}})
        run = await working(server)

        async def failed() -> bool:
            return (await states_of(server, run))[0] == "Failed"

        await eventually(failed)
        await server.settled(1)
