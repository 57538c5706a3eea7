"""Real agents execute real runs, in the server and in the cloud mode of the client."""

from typing import Any

import orjson
import psutil
import pytest

from automations.database import DedicatedConnection
from tests.harness import Automations, eventually
from tests.prefect.client import Prefect
from tests.receivers import Receiver

pytestmark = pytest.mark.parametrize("mode", ["server", "cloud"])

SECONDS = 60.0

RUN = """query($id: uuid!) { flow_run_by_pk(id: $id) {
    id state state_message version agent_id heartbeat start_time end_time
    states(order_by: {version: asc}) { state }
    task_runs(order_by: [{task: {slug: asc}}, {map_index: asc}]) { name state map_index task { slug } states { state } }
    logs(order_by: {timestamp: asc}) { level message } } }"""


async def show(server: Automations, flow_run_id: str) -> dict[str, Any]:
    """A run with its states, its task runs and its logs."""
    return dict((await server.execute(RUN, id=flow_run_id))["flow_run_by_pk"])


async def reach(server: Automations, flow_run_id: str, *states: str, seconds: float = SECONDS) -> dict[str, Any]:
    """The run, once it is in one of these states."""

    async def found() -> dict[str, Any] | None:
        run = await show(server, flow_run_id)
        return run if run["state"] in states else None

    return dict(await eventually(found, seconds))


def states(run: dict[str, Any]) -> list[str]:
    return [state["state"] for state in run["states"]]


def children(run: dict[str, Any], slug: str) -> list[tuple[int, str]]:
    """Map index and state of the runs of a task."""
    return [(item["map_index"], item["state"]) for item in run["task_runs"] if item["task"]["slug"] == slug]


async def test_run_succeeds_with_mapped_tasks_and_logs(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("success"))["success"]
    async with prefect.agent():
        run = await reach(server, await server.run(flow, parameters={"count": 4}), "Success", "Failed")
        assert states(run) == ["Scheduled", "Submitted", "Running", "Success"]
        assert run["agent_id"] is not None
        assert run["start_time"] < run["end_time"]
        assert children(run, "double-1") == [(-1, "Mapped"), *((index, "Success") for index in range(4))]
        assert children(run, "total-1") == [(-1, "Success")]

        async def logged() -> bool:
            return "the total is 12" in [line["message"] for line in (await show(server, run["id"]))["logs"]]

        await eventually(logged)


async def test_task_that_fails_makes_the_run_fail_and_a_webhook_arrives(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("failure"))["failure"]
    async with Receiver() as receiver, prefect.agent():
        payload = {"run": "{flow_run_name}", "flow": "{flow_name}", "state": "{state}", "why": "{state_message}"}
        await server.automation({"webhook": {"url": receiver.url, "payload": payload}})
        flow_run_id = await server.run(flow, flow_run_name="nightly")
        [received] = await receiver.wait_for(1, SECONDS)
        assert orjson.loads(received.body) == {
            "run": "nightly", "flow": "failure", "state": "Failed", "why": "Some reference tasks failed."
        }  # fmt: skip
        run = await show(server, flow_run_id)
        assert states(run) == ["Scheduled", "Submitted", "Running", "Failed"]
        assert children(run, "fail-1") == [(-1, "Failed")]


async def test_task_is_tried_again_in_the_process_of_its_run(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("retry"))["retry"]
    async with prefect.agent():
        run = await reach(server, await server.run(flow), "Success", "Failed")
        assert states(run) == ["Scheduled", "Submitted", "Running", "Success"]
        [task_run] = run["task_runs"]
        tried = [state["state"] for state in task_run["states"]]
        assert sorted(tried) == sorted(["Pending", "Running", "Failed", "Retrying", "Running", "Success"])


async def test_retry_far_ahead_is_another_process_s_work(
    server: Automations, prefect: Prefect, connection: DedicatedConnection
) -> None:
    """A process does not wait for longer than ten minutes: an agent starts another one when the time has come."""
    flow = (await prefect.register("later"))["later"]
    async with prefect.agent():
        flow_run_id = await server.run(flow)

        async def waits() -> bool:
            run = await show(server, flow_run_id)
            return run["state"] == "Running" and children(run, "much_later-1") == [(-1, "Retrying")]

        await eventually(waits, SECONDS)
        await connection.execute(
            "UPDATE task_run SET state_start_time = now() - interval '4 seconds', serialized_state ="
            " jsonb_set(serialized_state, '{start_time}', to_jsonb(now() - interval '4 seconds'))"
        )
        run = await reach(server, flow_run_id, "Success", "Failed")
        assert run["state"] == "Success", run
        assert "Submitted" in [state["state"] for state in run["task_runs"][0]["states"]]


async def test_running_run_is_cancelled_and_its_process_stops(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("long"))["long"]
    async with prefect.agent():
        flow_run_id = await server.run(flow)
        run = await reach(server, flow_run_id, "Running")

        async def beats() -> bool:
            return (await show(server, flow_run_id))["heartbeat"] not in {None, run["heartbeat"]}

        await eventually(beats, SECONDS)
        assert (await server.write("cancel_flow_run", "state", flow_run_id=flow_run_id))["state"] == "Cancelling"
        run = await reach(server, flow_run_id, "Cancelled")
        assert states(run) == ["Scheduled", "Submitted", "Running", "Cancelling", "Cancelled"]
        await eventually(lambda: gone(flow_run_id), SECONDS)


async def test_scheduled_run_that_is_cancelled_never_starts(server: Automations, prefect: Prefect) -> None:
    ids = await prefect.register("success", "failure")
    cancelled = await server.run(ids["success"])
    assert (await server.write("cancel_flow_run", "state", flow_run_id=cancelled))["state"] == "Cancelled"
    async with prefect.agent():
        await reach(server, await server.run(ids["failure"]), "Failed")
        assert states(await show(server, cancelled)) == ["Scheduled", "Cancelled"]


async def test_agent_takes_runs_whose_labels_it_has(server: Automations, prefect: Prefect) -> None:
    ids = await prefect.register("labelled", "success")
    async with prefect.agent("--label", "cpu"):
        labelled, plain = await server.run(ids["labelled"]), await server.run(ids["success"])
        fitting = await server.run(ids["success"], labels=["cpu"])
        await reach(server, fitting, "Success")
        assert states(await show(server, labelled)) == states(await show(server, plain)) == ["Scheduled"]
        async with prefect.agent("--label", "gpu", "--label", "cpu"):
            await reach(server, labelled, "Success")
        await server.write("set_flow_run_labels", "success", flow_run_id=plain, labels=["cpu"])
        await reach(server, plain, "Success")


async def test_two_agents_that_race_execute_each_run_once(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("failure"))["failure"]
    async with prefect.agent("--name", "one"), prefect.agent("--name", "two"):
        run_ids = [await server.run(flow) for _ in range(6)]
        for run_id in run_ids:
            run = await reach(server, run_id, "Failed", seconds=2 * SECONDS)
            assert states(run) == ["Scheduled", "Submitted", "Running", "Failed"]


async def gone(flow_run_id: str) -> bool:
    """Whether no process executes the run any more."""
    return not processes(flow_run_id)


def processes(flow_run_id: str) -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("PREFECT__CONTEXT__FLOW_RUN_ID") == flow_run_id
    ]  # fmt: skip
