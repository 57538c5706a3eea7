"""Actions over the API."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from automations.actions import CLIENTS, parse_config
from automations.definitions.actions import check_event_feeds
from automations.errors import InvalidInput
from automations.events import AGENT_SLA_FAILED, FLOW_RUN_STATE_CHANGED
from tests.api.firing import run_enters
from tests.api.test_automations import refused
from tests.harness import Automations, running
from tests.receivers import Receiver, reply

SLACK = {"slack_notification": {"webhook_url_secret": "SLACK", "message": "{flow_name}"}}


async def read(api: Automations) -> list[dict[str, Any]]:
    data = await api.execute("{ action(order_by: {created: asc}) { id name action_type action_config inline } }")
    return list(data["action"])


async def test_created_action_is_read_with_the_inner_object_of_its_config(api: Automations) -> None:
    made = await api.write("create_action", "id warnings", name="tell", config=SLACK)
    assert made["warnings"] == ['The secret "SLACK" does not exist; sending fails until it is set.']
    assert await read(api) == [
        {
            "id": made["id"],
            "name": "tell",
            "action_type": "SlackNotificationAction",
            "action_config": SLACK["slack_notification"],
            "inline": False,
        }
    ]


async def test_null_in_a_config_is_as_if_it_was_absent(api: Automations) -> None:
    await api.write(
        "create_action", config={"slack_notification": {"webhook_url_secret": "S", "message": None}, "webhook": None}
    )
    [action] = await read(api)
    assert (action["name"], action["action_config"]) == (None, {"webhook_url_secret": "S"})


async def test_payload_and_headers_may_come_as_json_in_a_string(api: Automations) -> None:
    webhook = {"url": "https://example.com/", "payload": '{"run": "{flow_run_name}"}', "headers": '{"X-Team": "data"}'}
    await api.write("create_action", config={"webhook": webhook})
    data = await api.execute(
        'mutation { create_action(input: {config: {webhook: {url: "https://example.com/",'
        ' payload: {run: "{flow_run_name}"}, headers: "{\\"X-Team\\": \\"data\\"}"}}}) { id } }'
    )
    assert data["create_action"]["id"]
    expected = {"url": "https://example.com/", "payload": {"run": "{flow_run_name}"}, "headers": {"X-Team": "data"}}
    assert [action["action_config"] for action in await read(api)] == [expected, expected]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "config takes exactly one of slack_notification, teams_webhook_notification"),
        ({"webhook": None}, "config takes exactly one of"),
        ({**SLACK, "cancel_flow_run": {}}, "slack_notification, cancel_flow_run was given"),
        ({"slack_notification": {}}, "required field 'webhook_url_secret'"),
        ({"slack_notification": {"webhook_url_secret": "S", "channel": "#x"}}, "unknown field 'channel'"),
        ({"smoke_signal": {}}, "unknown field 'smoke_signal'"),
        ({"webhook": {}}, "webhook takes either url or url_secret"),
        ({"webhook": {"url": "https://example.com", "url_secret": "S"}}, "webhook takes either url or url_secret"),
        ({"webhook": {"url": "ftp://example.com"}}, "webhook: "),
        ({"webhook": {"url": "https://user:pass@example.com"}}, "webhook: "),
        ({"webhook": {"url": "https://example.com", "headers": {"X": 1}}}, "must be an object of strings"),
        ({"webhook": {"url": "https://example.com", "headers": {"Webhook-Id": "x"}}}, "must not set Webhook-Id"),
        ({"slack_notification": {"webhook_url_secret": "S", "message": "{flow.name}"}}, "did you mean {flow_name}"),
    ],
)
async def test_config_that_cannot_work_is_refused(api: Automations, config: Any, message: str) -> None:
    assert message in await refused(api, "create_action", config=config)
    made = await api.write("create_action", config=SLACK)
    assert message in await refused(api, "update_action", action_id=made["id"], config=config)
    assert [action["action_config"] for action in await read(api)] == [SLACK["slack_notification"]]


async def test_update_changes_what_is_given_and_keeps_the_id(api: Automations) -> None:
    made = await api.write("create_action", name="tell", config=SLACK)
    await api.write("update_action", action_id=made["id"], name="told")
    [action] = await read(api)
    assert (action["id"], action["name"], action["action_type"]) == (made["id"], "told", "SlackNotificationAction")
    changed = await api.write("update_action", "id warnings", action_id=made["id"], config={"cancel_flow_run": {}})
    assert changed == {"id": made["id"], "warnings": []}
    [action] = await read(api)
    assert (action["name"], action["action_type"], action["action_config"]) == ("told", "CancelFlowRunAction", {})


async def test_action_in_use_is_not_deleted(api: Automations) -> None:
    made = await api.write("create_action", config=SLACK)
    automations = [await api.automation({"action_id": made["id"]}, name=f"user {number}") for number in range(4)]
    message = await refused(api, "delete_action", "CONFLICT", action_id=made["id"])
    assert message.startswith("The action is used by 'user 0', 'user 1', 'user 2' and others.")
    for automation in automations:
        await api.write("delete_automation", "success", automation_id=automation)
    await api.write("delete_action", "success error", action_id=made["id"])
    assert await read(api) == []


async def test_unknown_or_deleted_action_is_not_found(api: Automations) -> None:
    made = await api.write("create_action", config=SLACK)
    await api.write("delete_action", "success", action_id=made["id"])
    for action_id in (made["id"], "00000000-0000-0000-0000-000000000001"):
        for mutation in ("update_action", "delete_action"):
            message = await refused(api, mutation, "NOT_FOUND", action_id=action_id)
            assert message == f"There is no action {action_id}."


async def test_actions_are_found_by_id_as_existing_pages_do(api: Automations) -> None:
    made = [(await api.write("create_action", config=SLACK))["id"] for _ in range(3)]
    data = await api.execute(
        """query($ids: [uuid!]!) {
            some: action(where: {id: {_in: $ids}}) { id } none: action(where: {id: {_in: []}}) { id } }""",
        ids=made[:2],
    )
    assert {row["id"] for row in data["some"]} == set(made[:2])
    assert data["none"] == []


async def test_idempotency_key_gives_the_same_action_also_to_concurrent_calls(api: Automations) -> None:
    made = await asyncio.gather(*(api.write("create_action", config=SLACK, idempotency_key="key") for _ in range(8)))
    assert len({row["id"] for row in made}) == len(await read(api)) == 1
    await api.write("delete_action", "success", action_id=made[0]["id"])
    message = await refused(api, "create_action", "CONFLICT", config=SLACK, idempotency_key="key")
    assert message.startswith("The action made with this idempotency_key was deleted.")


async def test_deliveries_that_wait_are_sent_with_the_new_config(database_url: str, tmp_path: Path) -> None:
    async with (
        Receiver(reply(503)) as old,
        Receiver(reply(200)) as new,
        running(database_url, tmp_path, retry_seconds=(0.3, 0.3)) as server,
    ):
        action = await server.write("create_action", config={"webhook": {"url": old.url}})
        await server.automation({"action_id": action["id"]})
        await run_enters(server, await server.flow(), "Failed")
        await old.wait_for(1)
        await server.write("update_action", action_id=action["id"], config={"webhook": {"url": new.url}})
        await new.wait_for(1)


async def test_action_that_needs_a_run_is_refused_for_an_event_without_one() -> None:
    for client in CLIENTS:
        check_event_feeds(client.example(), FLOW_RUN_STATE_CHANGED)
        if client.example().needs_flow_run:
            with pytest.raises(InvalidInput, match=f"{client.KEY} needs an event with a flow run"):
                check_event_feeds(client.example(), AGENT_SLA_FAILED)
        else:
            check_event_feeds(client.example(), AGENT_SLA_FAILED)


async def test_action_that_names_its_flow_needs_no_run() -> None:
    for key in ("pause_schedule", "create_flow_run"):
        check_event_feeds(parse_config(key, {"flow_group_id": str(uuid4())}), AGENT_SLA_FAILED)


@pytest.mark.parametrize("key", ["pause_schedule", "create_flow_run"])
async def test_flow_group_that_does_not_exist_is_refused(api: Automations, key: str) -> None:
    unknown = str(uuid4())
    message = await refused(api, "create_action", config={key: {"flow_group_id": unknown}})
    assert message == f"{key}.flow_group_id: there is no flow group {unknown}."
