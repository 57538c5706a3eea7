"""Task runs exist as soon as their flow run does, and show their newest state."""

from uuid import UUID

from automations.database import DedicatedConnection
from tests.harness import Automations

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
