"""Every call of the client on a real server, and what goes wrong as exceptions with the API's codes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from inspect import getmembers, isfunction, signature
from typing import Any
from uuid import uuid4

import pytest

from automations.client import ApiError, AsyncAutomationsClient, AutomationsClient, Unavailable
from tests.api.firing import run_enters
from tests.harness import Automations
from tests.receivers import Receiver, refusing_port, reply

FAILED = {"flow_run_state_changed": {"state_group": "FAILED"}}
CANCEL: dict[str, Any] = {"cancel_flow_run": {}}


def tenant_of(api: Automations) -> str:
    return api.headers["X-PREFECT-TENANT-ID"]


@pytest.fixture
async def client(api: Automations) -> AsyncIterator[AsyncAutomationsClient]:
    """The client, as the test's own tenant."""
    async with AsyncAutomationsClient(api.url, tenant_id=tenant_of(api)) as made:
        yield made


async def test_automation_is_made_read_changed_and_deleted(client: AsyncAutomationsClient) -> None:
    saved = await client.create_automation("Stop", event=FAILED, actions=[CANCEL], description="for tests")
    assert saved.warnings == []
    automation = await client.automation(saved.id)
    assert automation is not None
    assert (automation.name, automation.description, automation.enabled) == ("Stop", "for tests", True)
    assert [action.action_type for action in automation.actions] == ["CancelFlowRunAction"]
    assert isinstance(automation.created, datetime)
    await client.update_automation(saved.id, name="Halt", description=None, enabled=False)
    [changed] = await client.automations({"name": {"_eq": "Halt"}})
    assert (changed.id, changed.description, changed.enabled) == (saved.id, None, False)
    await client.delete_automation(saved.id)
    assert await client.automation(saved.id) is None
    assert await client.automations() == []


async def test_action_is_made_read_changed_tried_and_deleted(client: AsyncAutomationsClient) -> None:
    async with Receiver(reply(204)) as receiver:
        saved = await client.create_action({"webhook": {"url": receiver.url}}, name="Call")
        assert (await client.test_action(saved.id)).success
        assert len(await receiver.wait_for(1)) == 1
    await client.update_action(saved.id, name="Ring")
    [action] = await client.actions(order_by={"created": "asc"}, limit=10, offset=0)
    assert (action.id, action.name, action.inline, action.paused_at) == (saved.id, "Ring", False, None)
    assert await client.action(saved.id) == action
    await client.delete_action(saved.id)
    assert await client.action(saved.id) is None


async def test_ledger_is_read_down_to_the_attempt_and_sent_again(
    client: AsyncAutomationsClient, api: Automations
) -> None:
    async with Receiver(reply(404)) as receiver:
        saved = await client.create_automation("Call", event=FAILED, actions=[{"webhook": {"url": receiver.url}}])
        run = await run_enters(api, await api.flow(), "Failed")
        await api.settled(1)
        [delivery] = await client.deliveries({"status": {"_eq": "FAILED"}})
    assert (delivery.automation_id, delivery.status_code, delivery.attempt_count) == (saved.id, 404, 1)
    [firing] = await client.firings()
    assert (firing.id, firing.flow_run_id, firing.event["state"]) == (delivery.firing_id, run, "Failed")
    [attempt] = await client.attempts({"delivery_id": {"_eq": delivery.id}})
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "FAILED", 404)
    again = await client.redeliver(delivery.id)
    [copy] = await client.deliveries({"redelivery_of": {"_eq": delivery.id}})
    assert copy.id == again


async def test_automation_and_message_are_tried_out(client: AsyncAutomationsClient, api: Automations) -> None:
    run = await api.run(await api.flow("nightly"))
    async with Receiver(reply(200)) as receiver:
        saved = await client.create_automation("Call", event=FAILED, actions=[{"webhook": {"url": receiver.url}}])
        [trial] = await client.test_automation(saved.id, flow_run_id=run)
    assert (trial.success, trial.status_code) == (True, 200)
    preview = await client.preview_message("FlowRunStateChangedEvent", "{flow_name} {kind}", flow_run_id=run)
    assert (preview.rendered, preview.unknown_fields) == ("nightly {kind}", ["kind"])


async def test_names_of_secrets_are_read_and_their_values_written(client: AsyncAutomationsClient) -> None:
    await client.set_secret("B", "value")
    await client.set_secret("A", {"any": "JSON"})
    assert await client.secret_names() == ["A", "B"]
    await client.delete_secret("A")
    assert await client.secret_names() == ["B"]


async def test_other_operations_are_written_as_graphql(client: AsyncAutomationsClient) -> None:
    made = await client.execute(
        "mutation($name: String!) { create_project(input: {name: $name}) { id } }", {"name": "p"}
    )
    data = await client.execute("{ project { id name } }")
    assert data == {"project": [{"id": made["create_project"]["id"], "name": "p"}]}


async def test_same_idempotency_key_makes_one_automation(client: AsyncAutomationsClient) -> None:
    made = [
        await client.create_automation("Stop", event=FAILED, actions=[CANCEL], idempotency_key="one") for _ in range(2)
    ]
    assert made[0].id == made[1].id
    assert len(await client.automations()) == 1


async def test_refusals_have_the_code_and_the_message_of_the_api(client: AsyncAutomationsClient) -> None:
    with pytest.raises(ApiError, match="There is no automation") as refused:
        await client.delete_automation(str(uuid4()))
    assert refused.value.code == "NOT_FOUND"
    with pytest.raises(ApiError, match="There is no state") as refused:
        await client.create_automation("x", event={"flow_run_state_changed": {"states": ["Faild"]}}, actions=[CANCEL])
    assert refused.value.code == "BAD_USER_INPUT"
    assert refused.value.errors[0]["path"] == ["create_automation"]


async def test_client_without_asyncio_does_the_same(api: Automations) -> None:
    def use() -> None:
        with AutomationsClient(f"{api.url}/graphql", tenant_id=tenant_of(api)) as client:
            saved = client.create_automation("Stop", event=FAILED, actions=[CANCEL])
            assert [automation.id for automation in client.automations()] == [saved.id]
            with pytest.raises(ApiError) as refused:
                client.delete_secret("none")
            assert refused.value.code == "NOT_FOUND"

    await asyncio.to_thread(use)


async def test_server_that_is_not_there_is_unavailable() -> None:
    with refusing_port() as port:
        async with AsyncAutomationsClient(f"http://127.0.0.1:{port}", retries=0) as client:
            with pytest.raises(Unavailable, match="does not answer") as failed:
                await client.secret_names()
    assert failed.value.code == "UNAVAILABLE"


def test_both_clients_have_the_same_calls() -> None:
    def calls(class_: type) -> dict[str, list[str]]:
        members = getmembers(class_, isfunction)
        return {name: list(signature(member).parameters) for name, member in members if not name.startswith("_")}

    with_asyncio, without = calls(AsyncAutomationsClient), calls(AutomationsClient)
    assert with_asyncio.pop("aclose") == without.pop("close")
    assert with_asyncio == without
