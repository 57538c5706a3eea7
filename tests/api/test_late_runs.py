"""Late runs and quiet agents from GraphQL to a receiver, by the first-class API and by hooks."""

from typing import Any

import orjson
import pytest

from tests.harness import Automations, GraphQLError, eventually
from tests.receivers import Receiver

NOBODY = "6f1b5a1e-0000-4000-8000-000000000000"
SLACK = {"slack_notification": {"webhook_url_secret": "NEVER_SET"}}


async def bodies(receiver: Receiver, count: int) -> list[Any]:
    """What has arrived, once it is so many."""

    async def arrived() -> bool:
        return len(receiver.requests) >= count

    await eventually(arrived, 20)
    return [orjson.loads(received.body) for received in receiver.requests]


async def saved_webhook(api: Automations, receiver: Receiver) -> str:
    return str((await api.write("create_action", config={"webhook": {"url": receiver.url}}))["id"])


async def flow_group(api: Automations, flow_id: str) -> str:
    rows = await api.execute("query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=flow_id)
    return str(rows["flow_by_pk"]["flow_group_id"])


async def test_run_that_is_late_to_finish_is_told_of_by_automation_and_by_hook(server: Automations) -> None:
    flow = await server.flow("etl")
    group = await flow_group(server, flow)
    async with Receiver() as receiver:
        event = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 1, "flow_group_ids": [group]}}
        automation = await server.automation({"webhook": {"url": receiver.url}}, event=event)
        action = await saved_webhook(server, receiver)
        config = await server.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=1)
        hook = await server.write("create_flow_sla_failed_hook", action_id=action, sla_config_ids=config["id"])
        run = await server.run(flow)
        await server.set_state(run, "Running", "started")
        await server.write("create_flow_group_sla", flow_sla_config_id=config["id"], flow_group_id=group)
        told = await bodies(receiver, 2)
    assert {(body["event_name"], body["flow_run_id"], body["kind"], body["state"]) for body in told} == {
        ("FlowSLAFailedEvent", run, "STARTED_NOT_FINISHED", "Running")
    }
    assert config["id"] in {body["flow_sla_config_id"] for body in told}
    assert f"failed STARTED_NOT_FINISHED SLA ({told[0]['flow_sla_config_id']}) after 1 seconds" in told[0]["message"]
    data = await server.execute(
        """query($id: uuid!) {
            firing { automation_id event_type }
            hook(where: {event_type: {_eq: "FlowSLAFailedEvent"}}) { id event_tags }
            flow_sla_config_by_pk(id: $id) { kind duration_seconds flow_groups { flow_group_id } }
        }""",
        id=config["id"],
    )
    assert {row["automation_id"] for row in data["firing"]} == {automation, hook["id"]}
    assert {"id": hook["id"], "event_tags": {"flow_sla_config_id": [config["id"]]}} in data["hook"]
    assert data["flow_sla_config_by_pk"] == {
        "kind": "STARTED_NOT_FINISHED",
        "duration_seconds": 1,
        "flow_groups": [{"flow_group_id": group}],
    }


async def test_automation_waits_for_saved_slas(server: Automations) -> None:
    flow = await server.flow()
    sla = (await server.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=1))["id"]
    await server.write("create_flow_group_sla", flow_sla_config_id=sla, flow_group_id=await flow_group(server, flow))
    async with Receiver() as receiver:
        event = {"flow_sla_failed": {"flow_sla_config_ids": [sla]}}
        await server.automation({"webhook": {"url": receiver.url}}, event=event)
        await server.set_state(await server.run(flow), "Running")
        [body] = await bodies(receiver, 1)
    assert (body["flow_sla_config_id"], body["duration_seconds"]) == (sla, 1)


async def test_automation_goes_from_its_own_sla_to_saved_ones_and_back(api: Automations) -> None:
    own = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60}}
    sla = (await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=90))["id"]
    saved = {"flow_sla_failed": {"flow_sla_config_ids": [sla]}}
    automation = await api.automation(SLACK, event=own)
    durations = []
    for event in (saved, own, saved):
        await api.write("update_automation", automation_id=automation, event=event)
        rows = await api.execute("{ flow_sla_config(order_by: {duration_seconds: asc}) { duration_seconds } }")
        durations.append([row["duration_seconds"] for row in rows["flow_sla_config"]])
    assert durations == [[90], [60, 90], [90]]
    [row] = (await api.execute("{ automation { event event_tags } }"))["automation"]
    assert row == {"event": saved["flow_sla_failed"], "event_tags": {"flow_sla_config_id": [sla]}}


async def test_own_sla_of_one_automation_is_not_for_another(api: Automations) -> None:
    own = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60}}
    await api.automation(SLACK, event=own)
    [row] = (await api.execute("{ flow_sla_config { id } }"))["flow_sla_config"]
    with pytest.raises(GraphQLError, match="do not exist"):
        await api.automation(SLACK, event={"flow_sla_failed": {"flow_sla_config_ids": [row["id"]]}})


async def test_run_that_is_late_to_start_is_told_of(server: Automations) -> None:
    async with Receiver() as receiver:
        event = {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}}
        await server.automation(
            {"webhook": {"url": receiver.url, "payload": "{flow_sla_type} {duration}"}}, event=event
        )
        await server.run(await server.flow())
        assert await bodies(receiver, 1) == ["SCHEDULED_NOT_STARTED 1"]


async def test_late_run_is_cancelled_by_its_automation(server: Automations) -> None:
    event = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 1}}
    await server.automation({"cancel_flow_run": {}}, event=event)
    run = await server.run(await server.flow())
    await server.set_state(run, "Running")

    async def state() -> bool:
        rows = await server.execute("query($id: uuid!) { flow_run_by_pk(id: $id) { state } }", id=run)
        return bool(rows["flow_run_by_pk"]["state"] == "Cancelling")

    await eventually(state, 20)


async def test_agents_that_went_quiet_are_told_of_by_automation_and_by_hook(server: Automations) -> None:
    config = (await server.write("create_agent_config", name="nightly", settings={"region": "eu"}))["id"]
    agent = (await server.write("register_agent", name="one", agent_config_id=config))["id"]
    async with Receiver() as receiver:
        event = {"agent_sla_failed": {"agent_config_ids": [config], "unhealthy_after_seconds": 1}}
        automation = await server.automation({"webhook": {"url": receiver.url}}, event=event)
        hook = await server.write(
            "create_agent_sla_failed_hook", action_id=await saved_webhook(server, receiver), agent_config_ids=[config]
        )
        [body] = await bodies(receiver, 1)
    assert (body["event_name"], body["agent_config_id"], body["unhealthy_agent_ids"]) == (
        "AgentSLAFailedEvent",
        config,
        [agent],
    )
    data = await server.execute(
        """{ automation(where: {event_type: {_eq: "AgentSLAFailedEvent"}}, order_by: {created: asc}) { id event }
             agent_config { name settings agents { id } } }"""
    )
    assert data["automation"] == [
        {"id": automation, "event": {"agent_config_ids": [config], "min_healthy": 1, "unhealthy_after_seconds": 1}},
        {"id": hook["id"], "event": {"agent_config_ids": [config], "min_healthy": 1, "unhealthy_after_seconds": 60}},
    ]
    assert data["agent_config"] == [{"name": "nightly", "settings": {"region": "eu"}, "agents": [{"id": agent}]}]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 0}}, "whole number from 1"),
        ({"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 2**31 - 1}}, "whole number from 1"),
        ({"flow_sla_failed": {"kind": "SOMETIMES", "duration_seconds": 1}}, "flow_sla_kind"),
        ({"flow_sla_failed": {}}, "Give kind and duration_seconds, or the SLAs"),
        ({"flow_sla_failed": {"duration_seconds": 1}}, "Give kind and duration_seconds, or the SLAs"),
        ({"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED"}}, "duration_seconds must be a whole number"),
        ({"flow_sla_failed": {"flow_sla_config_ids": []}}, "one id at least"),
        ({"flow_sla_failed": {"flow_sla_config_ids": [NOBODY]}}, "do not exist"),
        (
            {"flow_sla_failed": {"flow_sla_config_ids": [NOBODY], "flow_group_ids": [NOBODY]}},
            "either flow_sla_config_ids",
        ),
        (
            {
                "flow_sla_failed": {
                    "flow_sla_config_ids": [NOBODY],
                    "kind": "STARTED_NOT_FINISHED",
                    "duration_seconds": 1,
                }
            },
            "either flow_sla_config_ids",
        ),
        ({"agent_sla_failed": {"agent_config_ids": []}}, "one at least"),
        ({"agent_sla_failed": {"agent_config_ids": [NOBODY]}}, "do not exist"),
        ({"flow_sla_failed": None}, "exactly one"),
    ],
)
async def test_event_that_makes_no_sense_is_refused(api: Automations, event: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphQLError, match=message) as caught:
        await api.automation(SLACK, event=event)
    assert caught.value.code == "BAD_USER_INPUT"


async def test_cancelling_for_agents_is_refused(api: Automations) -> None:
    config = (await api.write("create_agent_config"))["id"]
    with pytest.raises(GraphQLError, match="needs an event with a flow run"):
        await api.automation({"cancel_flow_run": {}}, event={"agent_sla_failed": {"agent_config_ids": [config]}})


async def test_agent_config_is_changed_and_deleted(api: Automations) -> None:
    config = (await api.write("create_agent_config", name="a", settings={"x": 1}))["id"]
    await api.write("update_agent_config", "success", agent_config_id=config, name="b")
    rows = await api.execute("query($id: uuid!) { agent_config_by_pk(id: $id) { name settings } }", id=config)
    assert rows["agent_config_by_pk"] == {"name": "b", "settings": {"x": 1}}
    with pytest.raises(GraphQLError, match="must be an object"):
        await api.write("update_agent_config", "success", agent_config_id=config, settings=[1])
    await api.write("delete_agent_config", "success", agent_config_id=config)
    with pytest.raises(GraphQLError, match="no agent config"):
        await api.write("delete_agent_config", "success", agent_config_id=config)


async def test_same_idempotency_key_gives_the_same_sla(api: Automations) -> None:
    first, second = [
        await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=60, idempotency_key="k")
        for _ in range(2)
    ]
    assert first == second
