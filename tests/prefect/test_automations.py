"""Automations hear of real runs and real agents, and act on them."""

from pathlib import Path
from typing import Any

import orjson

from automations.database import DedicatedConnection
from tests.harness import Automations, eventually, running
from tests.prefect.client import Prefect
from tests.prefect.test_runs import SECONDS, children, gone, processes, reach, show, states
from tests.providers.slack import PATH, Slack
from tests.receivers import Receiver


async def test_agent_that_stops_is_told_of_and_again_after_it_was_there(server: Automations, prefect: Prefect) -> None:
    config = (await server.write("create_agent_config", name="group", settings={"note": "kept"}))["id"]
    async with Receiver() as receiver:
        event = {"agent_sla_failed": {"agent_config_ids": [config], "unhealthy_after_seconds": 13}}
        payload = {"config": "{agent_config_id}", "agents": "{unhealthy_agent_ids}"}
        await server.automation({"webhook": {"url": receiver.url, "payload": payload}}, event=event)
        last_heard = None
        for count in (1, 2):
            async with prefect.agent("--agent-config-id", config):
                agent = await asks_since(server, last_heard)
                assert (agent["agent_config_id"], agent["type"]) == (config, "LocalAgent")
                assert len(receiver.requests) == count - 1
            told = orjson.loads((await receiver.wait_for(count, SECONDS))[-1].body)
            assert told["config"] == config
            assert agent["id"] in told["agents"]
            last_heard = (await asks_since(server, None))["last_queried"]


async def asks_since(server: Automations, last_heard: str | None) -> dict[str, Any]:
    """The agent, once it was heard of at another time than that."""

    async def found() -> dict[str, Any] | None:
        rows = (await server.execute("{ agent { id agent_config_id type last_queried } }"))["agent"]
        return next((row for row in rows if row["last_queried"] and row["last_queried"] != last_heard), None)

    return dict(await eventually(found, SECONDS))


async def test_flow_that_fails_is_told_of_in_slack(server: Automations, prefect: Prefect) -> None:
    async with Receiver(played := Slack()) as receiver:
        await server.write("set_secret", "success", name="SLACK", value=receiver.url.rstrip("/") + PATH)
        message = "{flow_name} is {state}: {state_message}"
        await server.automation({"slack_notification": {"webhook_url_secret": "SLACK", "message": message}})
        flow = (await prefect.register("failure"))["failure"]
        async with prefect.agent():
            await server.run(flow)
            await receiver.wait_for(1, SECONDS)
    assert played.refused == []
    assert "failure is Failed: Some reference tasks failed." in str(played.messages)


async def test_run_that_a_schedule_makes_is_executed(
    server: Automations, prefect: Prefect, connection: DedicatedConnection
) -> None:
    flow = (await prefect.register("scheduled"))["scheduled"]
    rows = await connection.fetch("SELECT id FROM flow_run WHERE auto_scheduled ORDER BY scheduled_start_time")
    assert len(rows) == 10
    # The time has come.
    await connection.execute(
        "UPDATE flow_run SET state_start_time = now(), scheduled_start_time = now() WHERE id = $1", rows[0]["id"]
    )
    await connection.execute(
        "UPDATE flow_run SET serialized_state = jsonb_set(serialized_state, '{start_time}', to_jsonb(now()))"
        " WHERE id = $1",
        rows[0]["id"],
    )
    async with prefect.agent("--label", "nights"):
        run = await reach(server, str(rows[0]["id"]), "Success", "Failed")
        assert states(run) == ["Scheduled", "Submitted", "Running", "Success"]

        async def logged() -> bool:
            return "counting to 4" in [line["message"] for line in (await show(server, run["id"]))["logs"]]

        await eventually(logged)
    await server.write("set_schedule_inactive", "success", flow_id=flow)
    assert await connection.fetchval("SELECT count(*) FROM flow_run WHERE state = 'Scheduled'") == 0


async def test_run_that_is_late_to_finish_is_cancelled_by_its_automation(server: Automations, prefect: Prefect) -> None:
    flow = (await prefect.register("long"))["long"]
    await server.automation(
        {"cancel_flow_run": {}}, event={"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 3}}
    )
    async with prefect.agent():
        run = await reach(server, await server.run(flow), "Cancelled")
        assert states(run) == ["Scheduled", "Submitted", "Running", "Cancelling", "Cancelled"]
        await eventually(lambda: gone(run["id"]), SECONDS)


async def test_run_whose_process_is_killed_is_heard_of(database_url: str, prefect: Prefect, tmp_path: Path) -> None:
    async with running(database_url, tmp_path, heartbeat_seconds=5) as server:
        prefect.api = server.url
        flow = (await prefect.register("long"))["long"]
        async with prefect.agent():
            run = await reach(server, await server.run(flow), "Running")

            async def beats() -> bool:
                shown = await show(server, run["id"])
                at_work = children(shown, "sleep-1") == [(-1, "Running")]
                return bool(at_work and shown["heartbeat"] and shown["heartbeat"] > shown["start_time"])

            await eventually(beats, SECONDS)
            at_work = processes(run["id"])
            assert at_work
            for process in at_work:
                process.kill()
            run = await reach(server, run["id"], "Failed")
            assert run["state_message"].startswith("No heartbeat detected")
            assert children(run, "sleep-1") == [(-1, "Failed")]
