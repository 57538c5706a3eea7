"""What people do with the real client and its command line, runs apart."""

from typing import Any

import pytest

from tests.harness import Automations
from tests.prefect.client import FLOWS, ClientFailed, Prefect
from tests.prefect.test_runs import reach, show


async def test_calls_of_the_client_that_no_run_makes(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("success"))["success"]
    made = await prefect.script("calls", flow)
    first, second = made["keyed"]
    assert first == second
    assert made["stale"] == "VersionLockMismatchSignal"
    assert (made["child_state"], made["cached"], made["default_tenant"]) == ("Success", 0, "default")
    data = await server.execute(
        "query($run: uuid!, $child: uuid!) { flow_run_by_pk(id: $run) { name heartbeat"
        " logs(order_by: {timestamp: asc}) { message } } task_run_by_pk(id: $child) { name map_index } }",
        run=first, child=made["child"],
    )  # fmt: skip
    assert data["task_run_by_pk"] == {"name": "third child", "map_index": 3}
    assert data["flow_run_by_pk"]["name"] == "called by hand"
    assert data["flow_run_by_pk"]["heartbeat"] is not None
    assert [line["message"] for line in data["flow_run_by_pk"]["logs"]] == ["one", "not in a list"]


async def test_views_show_a_flow_and_its_run(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("success"))["success"]
    async with prefect.agent():
        run = await server.run(flow)
        await reach(server, run, "Success")
    shown = await prefect.script("views", flow, run)
    assert shown.pop("logs")
    assert shown == {
        "tenant": "default", "flow": "success", "project": "real", "by_name": flow, "storage": "Local",
        "state": "Success", "states": 4, "total": 6, "doubled": [0, 2, 4],
        "tasks": ["count", "double-1", "double-1", "double-1", "double-1", "numbers-1", "total-1"],
    }  # fmt: skip


async def test_prefect_run_watches_a_run_to_its_end(server: Automations, prefect: Prefect) -> None:
    await prefect.register("success", "named")
    async with prefect.agent():
        said = await prefect.cli("run", "--project", "real", "--name", "success", "--param", "count=5", "--watch")
        assert "Flow run succeeded" in said
        assert "the total is 20" in said
        await prefect.cli("run", "--project", "real", "--name", "named", "--run-name", "by hand", "--watch")
    rows = (await server.execute('{ flow_run(where: {name: {_eq: "by hand"}}) { task_runs { name } } }'))["flow_run"]
    assert [row["name"] for row in rows[0]["task_runs"]] == ["renamed 7"]


async def test_run_without_a_required_parameter_is_refused(prefect: Prefect) -> None:
    await prefect.register("required")
    with pytest.raises(ClientFailed, match="Required parameters were not supplied: count"):
        await prefect.cli("run", "--project", "real", "--name", "required")


async def test_command_line_registers_again_only_what_changed(server: Automations, prefect: Prefect) -> None:
    await prefect.cli("create", "project", "by hand")
    arguments = ("register", "--project", "by hand", "--path", str(FLOWS / "shelf.py"), "--name", "failure")
    assert "1 registered" in await prefect.cli(*arguments)
    assert "1 skipped" in await prefect.cli(*arguments)
    for command in ("flows", "projects", "flow-runs", "tasks"):
        await prefect.cli("get", command)
    assert "by hand" in await prefect.cli("get", "projects")
    await prefect.cli("describe", "flows", "--name", "failure")
    assert "fail" in await prefect.cli("describe", "tasks", "--name", "failure")


async def test_flow_of_a_thousand_tasks_is_registered(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("large"))["large"]
    data: Any = await server.execute(
        "query($id: uuid!) { flow_by_pk(id: $id) {"
        " tasks_aggregate { aggregate { count } } edges_aggregate { aggregate { count } }"
        " first: tasks(where: {is_root_task: {_eq: true}, auto_generated: {_eq: false}}) { slug }"
        " last: tasks(where: {is_reference_task: {_eq: true}}) { slug } } }",
        id=flow,
    )
    shown = data["flow_by_pk"]
    assert shown["tasks_aggregate"]["aggregate"]["count"] == 1001
    assert shown["edges_aggregate"]["aggregate"]["count"] == 1000
    assert [task["slug"] for task in shown["first"]] == ["numbers-1"]
    assert len(shown["last"]) == 100  # of a thousand, a page
    run = await server.run(flow)
    assert (await show(server, run))["state"] == "Scheduled"
