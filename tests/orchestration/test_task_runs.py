"""Task runs exist as soon as their flow run does, and show their newest state."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from automations.database import DedicatedConnection
from tests.harness import Automations
from tests.orchestration.asking import by_pk, refused

TASKS = """
INSERT INTO task (tenant_id, flow_id, name, slug)
SELECT tenant_id, id, 'task ' || number, 'task-' || number FROM flow, generate_series(1, 3) AS number WHERE id = $1
"""
STATE = """
INSERT INTO task_run_state (tenant_id, task_run_id, version, state, message, serialized_state)
SELECT tenant_id, id, $2, $3, $4, '{}' FROM task_run WHERE id = $1
"""


async def test_run_of_a_flow_has_a_pending_task_run_for_each_task(
    server: Automations, connection: DedicatedConnection
) -> None:
    flow = await server.flow()
    await connection.execute(TASKS, UUID(flow))
    run = await server.run(flow)
    data = await server.execute(
        """query($id: uuid!) {
            flow_run_by_pk(id: $id) {
                flow { tasks(order_by: {slug: asc}) { slug } }
                task_runs {
                    map_index version state task { slug } states { state version } } } }""",
        id=run,
    )
    assert [task["slug"] for task in data["flow_run_by_pk"]["flow"]["tasks"]] == ["task-1", "task-2", "task-3"]
    task_runs = sorted(data["flow_run_by_pk"]["task_runs"], key=lambda task_run: task_run["task"]["slug"])
    assert task_runs == [
        {
            "map_index": -1,
            "version": 0,
            "state": "Pending",
            "task": {"slug": f"task-{number}"},
            "states": [{"state": "Pending", "version": 0}],
        }
        for number in (1, 2, 3)
    ]


async def test_task_run_shows_its_newest_state(server: Automations, connection: DedicatedConnection) -> None:
    flow = await server.flow()
    await connection.execute(TASKS, UUID(flow))
    await server.run(flow)
    task_run = await connection.fetchval("SELECT id FROM task_run LIMIT 1")
    for version, state in ((1, "Running"), (3, "Success"), (2, "Failed")):
        await connection.execute(STATE, task_run, version, state, f"now {state}")
    data = await server.execute(
        "query($id: uuid!) { task_run_by_pk(id: $id) { state state_message version start_time end_time } }",
        id=str(task_run),
    )
    shown = data["task_run_by_pk"]
    assert (shown["state"], shown["state_message"], shown["version"]) == ("Success", "now Success", 3)
    assert shown["start_time"] <= shown["end_time"]


async def running(api: Automations) -> tuple[str, str, str]:
    """Ids of a running flow run, of its one task and of its task run."""
    project = (await api.write("create_project", name="p"))["id"]
    serialized = {"name": "etl", "tasks": [{"slug": "extract"}]}
    flow = (await api.write("create_flow", project_id=project, serialized_flow=serialized))["id"]
    run = await api.run(flow)
    await api.set_state(run, "Running")
    [task_run] = (await by_pk(api, "flow_run", run, "task_runs { id task_id }"))["task_runs"]
    return run, task_run["task_id"], task_run["id"]


async def set_state(api: Automations, task_run: str, state: str, **more: Any) -> None:
    states = [{"task_run_id": task_run, "state": {"type": state}, **more}]
    await api.write("set_task_run_states", "states { id status }", states=states)


async def test_child_of_a_mapped_task_is_made_once(api: Automations) -> None:
    run, task, parent = await running(api)
    given = {"flow_run_id": run, "task_id": task}
    assert (await api.write("get_or_create_task_run", **given))["id"] == parent
    fields = "id version state serialized_state"
    made = await asyncio.gather(
        *(api.write("get_or_create_task_run_info", fields, **given, map_index=0) for _ in range(8))
    )
    assert len({item["id"] for item in made}) == 1
    assert (made[0]["version"], made[0]["state"], made[0]["serialized_state"]["type"]) == (0, "Pending", "Pending")
    await set_state(api, made[0]["id"], "Running", version=0)
    seen = await api.write("get_or_create_task_run_info", fields, **given, map_index=0)
    assert (seen["version"], seen["state"]) == (1, "Running")


async def test_stale_version_of_a_task_run_is_refused(api: Automations) -> None:
    _, _, task_run = await running(api)
    await set_state(api, task_run, "Running", version=0)
    states = [{"task_run_id": task_run, "state": {"type": "Failed"}, "version": 0}]
    assert "is at version 1" in await refused(api, "VERSION_LOCKING_ERROR", "set_task_run_states", states=states)


async def test_task_of_a_run_that_is_over_does_not_begin(api: Automations) -> None:
    run, _, task_run = await running(api)
    await api.set_state(run, "Failed")
    states = [{"task_run_id": task_run, "state": {"type": "Running"}}]
    message = await refused(api, "CONFLICT", "set_task_run_states", states=states)
    assert message.startswith("State update failed")
    await set_state(api, task_run, "Cancelled")


async def test_agents_hear_of_a_retry_three_seconds_after_it_was_due(api: Automations) -> None:
    run, _, task_run = await running(api)
    for seconds, expected in ((60, []), (-1, []), (-4, [run])):
        start = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        states = [{"task_run_id": task_run, "state": {"type": "Retrying", "start_time": start}}]
        await api.write("set_task_run_states", "states { id }", states=states)
        before = (datetime.now(UTC) + timedelta(seconds=10)).isoformat()
        found = await api.write("get_runs_in_queue", "flow_run_ids", before=before, labels=[])
        assert found["flow_run_ids"] == expected, seconds


async def test_lines_of_runs_that_are_gone_are_dropped(api: Automations) -> None:
    run, _, task_run = await running(api)
    lines = [{"flow_run_id": str(uuid4()), "message": "gone"}, {"task_run_id": task_run, "message": "a\0b"}]
    await api.write("write_run_logs", "success", logs=lines)
    await api.write("write_run_logs", "success", logs={"flow_run_id": run, "message": "one", "level": "INFO"})
    shown = await by_pk(api, "flow_run", run, "logs(order_by: {timestamp: asc}) { message task_run_id }")
    assert shown["logs"] == [
        {"message": "a\N{REPLACEMENT CHARACTER}b", "task_run_id": task_run},
        {"message": "one", "task_run_id": None},
    ]
    assert "none of the runs" in await refused(api, "NOT_FOUND", "write_run_logs", logs=lines[:1])


async def test_heartbeats_and_names_are_kept(api: Automations) -> None:
    run, _, task_run = await running(api)
    for noun, id_ in (("flow_run", run), ("task_run", task_run)):
        await api.write(f"update_{noun}_heartbeat", "success", **{f"{noun}_id": id_})
        await api.write(f"set_{noun}_name", "success", **{f"{noun}_id": id_, "name": "mine"})
        shown = await by_pk(api, noun, id_, "name heartbeat")
        assert shown["name"] == "mine"
        assert shown["heartbeat"] is not None
