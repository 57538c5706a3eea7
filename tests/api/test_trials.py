"""Trying things out: tests go the way of every delivery, previews show what would be sent, what ended is sent again."""

from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.harness import Automations, GraphQLError, eventually
from tests.receivers import Receiver, reply

FIELDS = "action_id success error status_code rendered"


async def ledger(api: Automations) -> list[dict[str, Any]]:
    rows = await api.execute(
        "{ delivery(order_by: {created: asc}) { id status is_test attempt_count automation_id redelivery_of"
        " firing { is_test event } action { inline deleted_at } attempts { outcome } } }"
    )
    return list(rows["delivery"])


async def test_saved_action_is_tried_out_and_the_ledger_knows(server: Automations) -> None:
    async with Receiver(reply(202, b"thanks")) as receiver:
        action = (await server.write("create_action", config={"webhook": {"url": receiver.url}}))["id"]
        outcome = await server.write("test_action", FIELDS, action_id=action)
        [received] = receiver.requests
    body = orjson.loads(received.body)
    assert (outcome["action_id"], outcome["success"], outcome["error"], outcome["status_code"]) == (
        action,
        True,
        None,
        202,
    )
    assert outcome["rendered"]["body"] == body
    assert (body["event_name"], body["tenant_slug"]) == ("FlowRunStateChangedEvent", "default")
    [delivery] = await ledger(server)
    assert received.headers["webhook-id"] == delivery["id"]
    assert (delivery["status"], delivery["is_test"], delivery["firing"]["is_test"]) == ("DELIVERED", True, True)
    assert delivery["automation_id"] is None


async def test_config_that_is_not_saved_is_tried_out_and_stays_unsaved(server: Automations) -> None:
    async with Receiver() as receiver:
        config = {"webhook": {"url": receiver.url, "payload": "{flow_name} is {state}"}}
        outcome = await server.write("test_action", FIELDS, config=config)
        assert orjson.loads(receiver.requests[0].body) == "nightly-etl is Failed"
    assert outcome["success"]
    assert (await server.execute("{ action { id } }"))["action"] == []
    [delivery] = await ledger(server)
    assert delivery["action"]["deleted_at"] is not None


async def test_failing_test_says_why_and_is_tried_once(server: Automations) -> None:
    async with Receiver(reply(503)) as receiver:
        outcome = await server.write("test_action", FIELDS, config={"webhook": {"url": receiver.url}})
        assert len(receiver.requests) == 1
    assert (outcome["success"], outcome["status_code"]) == (False, 503)
    assert outcome["error"] == "The receiver answered 503; a test is tried once"
    [delivery] = await ledger(server)
    assert (delivery["status"], delivery["attempts"]) == ("FAILED", [{"outcome": "FAILED"}])


async def test_missing_secret_is_named(server: Automations) -> None:
    outcome = await server.write(
        "test_action", "success error", config={"slack_notification": {"webhook_url_secret": "NEVER_SET"}}
    )
    assert not outcome["success"]
    assert "NEVER_SET" in outcome["error"]


async def test_existing_clients_read_success_and_error_only(server: Automations) -> None:
    action = (await server.write("create_action", config={"cancel_flow_run": {}}))["id"]
    assert await server.write("test_action", "success error", action_id=action) == {"success": True, "error": None}


@pytest.mark.parametrize("given", [{}, {"action_id": str(uuid4()), "config": {"cancel_flow_run": {}}}])
async def test_action_or_config_is_needed_and_not_both(api: Automations, given: dict[str, Any]) -> None:
    with pytest.raises(GraphQLError, match="either action_id or config"):
        await api.write("test_action", "success", **given)


async def test_automation_is_tried_out_with_all_of_its_actions_in_order(server: Automations) -> None:
    event = {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 77}}
    async with Receiver() as receiver:
        webhook = {"webhook": {"url": receiver.url, "payload": "{kind} {duration_seconds}"}}
        automation = await server.automation({"cancel_flow_run": {}}, webhook, event=event, enabled=False)
        results = (await server.write("test_automation", f"results {{ {FIELDS} }}", automation_id=automation))[
            "results"
        ]
        assert orjson.loads(receiver.requests[0].body) == "SCHEDULED_NOT_STARTED 77"
    assert [result["success"] for result in results] == [True, True]
    steps = await server.execute("query($id: uuid!) { automation_by_pk(id: $id) { actions { id } } }", id=automation)
    assert [result["action_id"] for result in results] == [row["id"] for row in steps["automation_by_pk"]["actions"]]
    assert {delivery["automation_id"] for delivery in await ledger(server)} == {automation}


async def test_automation_is_tried_out_with_a_run_and_leaves_the_run_alone(server: Automations) -> None:
    run = await server.run(await server.flow("invoices"))
    await server.set_state(run, "Running", "working")
    async with Receiver() as receiver:
        automation = await server.automation({"cancel_flow_run": {}}, {"webhook": {"url": receiver.url}})
        await server.write("test_automation", "results { success }", automation_id=automation, flow_run_id=run)
        body = orjson.loads(receiver.requests[0].body)
    assert (body["flow_run_id"], body["flow_name"], body["state_message"]) == (run, "invoices", "working")
    rows = await server.execute("query($id: uuid!) { flow_run_by_pk(id: $id) { state firings { is_test } } }", id=run)
    assert rows["flow_run_by_pk"] == {"state": "Running", "firings": [{"is_test": True}]}


async def test_preview_shows_a_sample_or_a_run_and_the_names_it_lacks(api: Automations) -> None:
    template = "{flow_name}/{flow_run_name}: {state} {kind} {{x}}"
    preview = await api.write(
        "preview_message", "rendered unknown_fields", event_type="FlowRunStateChangedEvent", template=template
    )
    assert preview == {"rendered": "nightly-etl/amber-otter: Failed {kind} {x}", "unknown_fields": ["kind"]}
    run = await api.run(await api.flow("invoices"), flow_run_name="calm-crab")
    preview = await api.write(
        "preview_message", "rendered", event_type="FlowSLAFailedEvent", template=template, flow_run_id=run
    )
    assert preview == {"rendered": "invoices/calm-crab: Scheduled STARTED_NOT_FINISHED {x}"}
    link = await api.write(
        "preview_message", "rendered", event_type="FlowSLAFailedEvent", template="{flow_run_link}", flow_run_id=run
    )
    assert link["rendered"].endswith(f"/flow-run/{run}")


async def test_problem_of_the_server_is_tried_out_and_shown(server: Automations) -> None:
    preview = await server.write(
        "preview_message",
        "rendered unknown_fields",
        event_type="ServerProblemEvent",
        template="{problem} {affected} {state}",
    )
    assert preview == {"rendered": 'SECRET_MISSING ["SLACK_URL"] {state}', "unknown_fields": ["state"]}
    async with Receiver() as receiver:
        webhook = {"webhook": {"url": receiver.url, "payload": "{problem}: {message}"}}
        event = {"server_problem": {"problems": ["TIMERS_LATE"]}}
        automation = await server.automation(webhook, event=event)
        await server.write("test_automation", "results { success }", automation_id=automation)
        assert orjson.loads(receiver.requests[0].body) == "TIMERS_LATE: Automations has a problem: Timers are late."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"event_type": "Birthday", "template": ""}, "no event type 'Birthday'"),
        ({"event_type": "FlowSLAFailedEvent", "template": "{state.upper}"}, "not the name of an attribute"),
        ({"event_type": "FlowSLAFailedEvent", "template": "", "flow_run_id": str(uuid4())}, "no flow run"),
    ],
)
async def test_preview_of_what_cannot_be_is_refused(api: Automations, given: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphQLError, match=message):
        await api.write("preview_message", "rendered", **given)


async def test_failed_delivery_is_sent_again_with_the_action_as_it_is_now(server: Automations) -> None:
    async with Receiver(reply(400)) as broken, Receiver() as mended:
        action = (await server.write("create_action", config={"webhook": {"url": broken.url}}))["id"]
        await server.automation({"action_id": action})
        await server.set_state(await server.run(await server.flow()), "Failed")
        [failed] = await server.settled(1)
        await server.write("update_action", action_id=action, config={"webhook": {"url": mended.url}})
        again = (await server.write("redeliver", delivery_id=failed["id"]))["id"]

        async def arrived() -> bool:
            return len(mended.requests) == 1

        await eventually(arrived)
        assert mended.requests[0].headers["webhook-id"] == again != failed["id"]
        await server.settled(2)
    first, second = await ledger(server)
    assert (first["status"], second["status"]) == ("FAILED", "DELIVERED")
    assert second["redelivery_of"] == failed["id"]
    assert first["firing"] == second["firing"]


async def test_delivery_that_is_on_its_way_is_not_sent_again(server: Automations) -> None:
    async with Receiver(reply(503)) as receiver:
        await server.automation({"webhook": {"url": receiver.url}})
        await server.set_state(await server.run(await server.flow()), "Failed")
        [delivery] = await server.settled(1)
        with pytest.raises(GraphQLError, match="on its way already") as caught:
            await server.write("redeliver", delivery_id=delivery["id"])
    assert caught.value.code == "CONFLICT"
    with pytest.raises(GraphQLError, match="no delivery"):
        await server.write("redeliver", delivery_id=str(uuid4()))
