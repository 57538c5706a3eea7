"""Hooks: the calls that existing pages and scripts make, over the same rows as automations."""

import asyncio
from typing import Any

import pytest

from tests.api.firing import QUIET, firings, run_enters
from tests.api.test_automations import refused
from tests.harness import Automations


async def action(api: Automations) -> str:
    """Id of a saved action."""
    return str((await api.write("create_action", name="tell", config=QUIET))["id"])


async def test_hook_is_an_automation_with_one_action_and_a_name_of_its_own(api: Automations) -> None:
    saved = await action(api)
    made = await api.write(
        "create_flow_run_state_changed_hook", "id warnings", action_id=saved, states=["failed", "RUNNING"]
    )
    assert made["warnings"] == ['The secret "NEVER_SET" does not exist; sending fails until it is set.']
    data = await api.execute(
        """{ hook { id event_type event_tags created action { id name action_type action_config } }
             automation { id name enabled actions { id } } }"""
    )
    [hook] = data["hook"]
    assert hook.pop("created")
    assert hook == {
        "id": made["id"],
        "event_type": "FlowRunStateChangedEvent",
        "event_tags": {"state": ["Failed", "Running"]},
        "action": {
            "id": saved,
            "name": "tell",
            "action_type": "SlackNotificationAction",
            "action_config": {"webhook_url_secret": "NEVER_SET"},
        },
    }
    assert data["automation"] == [
        {
            "id": made["id"],
            "name": "A run of any flow enters Failed, Running",
            "enabled": True,
            "actions": [{"id": saved}],
        }
    ]


@pytest.mark.parametrize("groups", [{}, {"flow_group_ids": []}, {"flow_group_ids": None}])
async def test_hook_without_flow_groups_watches_all_flows(api: Automations, groups: Any) -> None:
    made = await api.write("create_flow_run_state_changed_hook", action_id=await action(api), states="Failed", **groups)
    await run_enters(api, await api.flow("one"), "Failed")
    await run_enters(api, await api.flow("two"), "Failed", "Success")
    assert await firings(api) == {made["id"]: 2}


async def test_hook_of_flow_groups_watches_these(api: Automations) -> None:
    one, two = await api.flow("one"), await api.flow("two")
    rows = (await api.execute("{ flow { id flow_group_id } }"))["flow"]
    groups = {row["id"]: row["flow_group_id"] for row in rows}
    made = await api.write(
        "create_flow_run_state_changed_hook",
        action_id=await action(api),
        states=["Failed"],
        flow_group_ids=groups[one],
    )
    await run_enters(api, one, "Failed")
    await run_enters(api, two, "Failed")
    assert await firings(api) == {made["id"]: 1}
    assert (await api.execute("{ hook { event_tags } }"))["hook"] == [
        {"event_tags": {"state": ["Failed"], "flow_group_id": [groups[one]]}}
    ]


async def test_hook_with_a_wrong_input_is_refused(api: Automations) -> None:
    saved = await action(api)
    create = "create_flow_run_state_changed_hook"
    assert "There is no state 'Nope'" in await refused(api, create, action_id=saved, states=["Nope"])
    assert "one or more" in await refused(api, create, action_id=saved, states=[])
    unknown = "00000000-0000-0000-0000-000000000001"
    assert f"There is no action {unknown}." == await refused(api, create, action_id=unknown, states=["Failed"])
    assert "do not exist" in await refused(api, create, action_id=saved, states=["Failed"], flow_group_ids=[unknown])
    assert (await api.execute("{ hook { id } }"))["hook"] == []


async def test_deleted_hook_fires_no_more_and_leaves_its_action(api: Automations) -> None:
    saved = await action(api)
    made = await api.write("create_flow_run_state_changed_hook", action_id=saved, states=["Failed"])
    assert await api.write("delete_hook", "success error", hook_id=made["id"]) == {"success": True, "error": None}
    await run_enters(api, await api.flow(), "Failed")
    assert await firings(api) == {}
    assert (await api.execute("{ action { id } }"))["action"] == [{"id": saved}]
    await refused(api, "delete_hook", "NOT_FOUND", hook_id=made["id"])


async def test_hook_and_automation_are_one_row(api: Automations) -> None:
    hook = await api.write("create_flow_run_state_changed_hook", action_id=await action(api), states=["Failed"])
    await api.write("update_automation", automation_id=hook["id"], enabled=False, name="mine")
    await run_enters(api, await api.flow(), "Failed")
    assert await firings(api) == {}
    await api.write("delete_automation", "success", automation_id=hook["id"])
    automation = await api.automation(QUIET)
    await api.write("delete_hook", "success", hook_id=automation)
    assert (await api.execute("{ automation { id } hook { id } }")) == {"automation": [], "hook": []}


async def test_concurrent_calls_with_one_idempotency_key_make_one_hook(api: Automations) -> None:
    saved = await action(api)
    made = await asyncio.gather(
        *(
            api.write("create_flow_run_state_changed_hook", action_id=saved, states=["Failed"], idempotency_key="key")
            for _ in range(5)
        )
    )
    assert len({row["id"] for row in made}) == 1
