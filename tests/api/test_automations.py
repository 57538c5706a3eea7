"""Automations over the API: what is refused, what is kept, and that they fire only when they should."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.api.firing import QUIET, firings, run_enters, states
from tests.harness import Automations, GraphQLError, eventually, running
from tests.receivers import Receiver, reply

FIELDS = (
    "id name description enabled event_type event event_tags created updated actions { id name action_type inline }"
)


async def read(api: Automations, automation_id: str, fields: str = FIELDS) -> Any:
    """The automation as `automation_by_pk` shows it."""
    data = await api.execute(f'{{ automation_by_pk(id: "{automation_id}") {{ {fields} }} }}')
    return data["automation_by_pk"]


async def refused(api: Automations, mutation: str, code: str = "BAD_USER_INPUT", /, **input_: Any) -> str:
    """The message with which a mutation is refused."""
    with pytest.raises(GraphQLError) as caught:
        await api.write(mutation, "__typename", **input_)
    assert caught.value.code == code
    return str(caught.value)


async def webhook(api: Automations, url: str = "https://example.com/") -> str:
    """Id of a saved action."""
    return str((await api.write("create_action", name="hook", config={"webhook": {"url": url}}))["id"])


async def test_created_automation_comes_back_with_names_made_canonical(api: Automations) -> None:
    made = await api.write(
        "create_automation",
        f"id warnings automation {{ {FIELDS} }}",
        name="Tell",
        description="about failures",
        event=states("FAILED", "timedout", "Triggerfailed", "failed"),
        actions=[{"cancel_flow_run": {"message": "no"}}],
    )
    assert made["warnings"] == []
    automation = made["automation"]
    assert automation["id"] == made["id"]
    assert (automation["name"], automation["description"], automation["enabled"]) == ("Tell", "about failures", True)
    assert automation["event_type"] == "FlowRunStateChangedEvent"
    assert automation["event"] == {"states": ["Failed", "TimedOut", "TriggerFailed"]}
    assert automation["event_tags"] == {"state": ["Failed", "TimedOut", "TriggerFailed"]}
    assert [(action["action_type"], action["inline"]) for action in automation["actions"]] == [
        ("CancelFlowRunAction", True)
    ]
    assert await read(api, made["id"]) == automation


@pytest.mark.parametrize(
    ("group", "state", "other"),
    [
        ("FAILED", "TriggerFailed", "ValidationFailed"),
        ("SUCCESS", "Mapped", "Finished"),
        ("FINISHED", "Looped", "Running"),
        ("ALL", "Resume", None),
    ],
)
async def test_state_group_stands_for_its_states(api: Automations, group: str, state: str, other: str | None) -> None:
    automation = await read(api, await api.automation(QUIET, event={"flow_run_state_changed": {"state_group": group}}))
    assert automation["event"]["state_group"] == group
    assert automation["event"]["states"] == automation["event_tags"]["state"]
    assert state in automation["event"]["states"]
    assert other not in automation["event"]["states"]


async def test_unknown_state_is_refused_with_the_nearest_and_all_names(api: Automations) -> None:
    message = await refused(api, "create_automation", name="x", event=states("Success", "Faild"), actions=[QUIET])
    assert message.startswith("There is no state 'Faild': did you mean Failed")
    assert "The states are Pending, Scheduled, Paused" in message
    long = await refused(api, "create_automation", name="x", event=states("x" * 100_000), actions=[QUIET])
    assert len(long) < 500


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "event takes exactly one of flow_run_state_changed, flow_sla_failed, agent_sla_failed, server_problem"),
        (
            {"flow_run_state_changed": None},
            "event takes exactly one of flow_run_state_changed, flow_sla_failed, agent_sla_failed, server_problem",
        ),
        ({"flow_run_state_changed": {}}, "takes either states (one or more) or state_group"),
        (states(), "takes either states (one or more) or state_group"),
        (states("Failed", state_group="ALL"), "takes either states (one or more) or state_group"),
        ({"flow_run_state_changed": {"state_group": "NONE"}}, "does not exist in 'state_group' enum"),
        (
            states("Failed", flow_group_ids=["00000000-0000-0000-0000-000000000001"]),
            "flow_group_ids has ids that do not",
        ),
        (states("Failed", project_ids=["00000000-0000-0000-0000-000000000001"]), "project_ids has ids that do not"),
        (states("Failed", flow_group_ids=["nonsense"]), "is not a UUID"),
        (
            states("Failed", flow_group_ids=[f"00000000-0000-0000-0000-{n:012}" for n in range(1001)]),
            "flow_group_ids takes 1000 ids at most; 1001 were given",
        ),
        (
            {
                "flow_run_state_changed": {
                    "state_group": "ALL",
                    "flow_group_ids": [f"00000000-0000-0000-0000-{n:012}" for n in range(100)],
                    "project_ids": [f"00000000-0000-0000-0000-{n:012}" for n in range(100)],
                }
            },
            "make 210000 combinations; 50000 are the most",
        ),
    ],
)
async def test_event_that_cannot_be_waited_for_is_refused(api: Automations, event: Any, message: str) -> None:
    assert message in await refused(api, "create_automation", name="x", event=event, actions=[QUIET])
    made = await api.automation(QUIET)
    assert message in await refused(api, "update_automation", automation_id=made, event=event)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([], "actions takes 1 to 20 actions; 0 were given"),
        ([QUIET] * 21, "actions takes 1 to 20 actions; 21 were given"),
        ([{}], "config takes exactly one of"),
        ([{"cancel_flow_run": {}, **QUIET}], "config takes exactly one of"),
        ([{"action_id": "00000000-0000-0000-0000-000000000001", **QUIET}], "action_id or a config, not both"),
        ([{"action_id": "00000000-0000-0000-0000-000000000001"}], "There is no action 00000000"),
        ([{"action_id": None}], "config takes exactly one of"),
        ([{"slack_notification": {"webhook_url_secret": " "}}], "webhook_url_secret must not be empty"),
        ([{"cancel_flow_run": {"message": "{flow_nam}"}}], "did you mean {flow_name}"),
        ([{"cancel_flow_run": {"message": "{flow_name"}}], "is not closed"),
        ([{"webhook": {"url": "https://example.com", "payload": {"a": [{"{stat}": 1}]}}}], "did you mean {state}"),
        ([{"webhook": {"url": "https://example.com", "payload": '{"a": "{nonsense}"}'}}], "no event has the attribute"),
    ],
)
async def test_actions_that_cannot_be_done_are_refused(api: Automations, actions: list[Any], message: str) -> None:
    assert message in await refused(api, "create_automation", name="x", event=states("Failed"), actions=actions)
    made = await api.automation(QUIET)
    assert message in await refused(api, "update_automation", automation_id=made, actions=actions)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
async def test_name_has_1_to_200_characters(api: Automations, name: str) -> None:
    message = "name must have 1 to 200 characters"
    assert message in await refused(api, "create_automation", name=name, event=states("Failed"), actions=[QUIET])
    assert message in await refused(api, "update_automation", automation_id=await api.automation(QUIET), name=name)


async def test_single_action_and_state_need_no_list(api: Automations) -> None:
    made = await api.write("create_automation", name="x", event=states("Failed"), actions={"cancel_flow_run": {}})
    data = await api.execute(
        'mutation { create_automation(input: {name: "y", event: {flow_run_state_changed: {states: "failed"}},'
        " actions: {cancel_flow_run: {}}}) { automation { event actions { id } } } }"
    )
    assert made["id"]
    assert data["create_automation"]["automation"]["event"] == {"states": ["Failed"]}


async def test_missing_secret_is_a_warning_and_a_problem_until_it_is_set(api: Automations) -> None:
    sentence = 'The secret "LATER" does not exist; sending fails until it is set.'
    made = await api.write(
        "create_automation",
        "id warnings automation { actions { problems } }",
        name="x",
        event=states("Failed"),
        actions=[{"slack_notification": {"webhook_url_secret": "LATER"}}, {"webhook": {"url_secret": "LATER"}}],
    )
    assert made["warnings"] == [sentence]
    assert [action["problems"] for action in made["automation"]["actions"]] == [[sentence]] * 2
    await api.write("set_secret", "success", name="LATER", value="https://example.com")
    actions = (await read(api, made["id"], "actions { problems }"))["actions"]
    assert [action["problems"] for action in actions] == [[], []]


async def test_attribute_that_only_another_event_has_is_a_warning(api: Automations) -> None:
    made = await api.write(
        "create_automation",
        "warnings",
        name="x",
        event=states("Failed"),
        actions=[{"cancel_flow_run": {"message": "{kind} of {flow_name}"}}],
    )
    assert made["warnings"] == [
        "cancel_flow_run.message: FlowRunStateChangedEvent has no {kind}: it stays in the text as written"
    ]


async def test_every_action_gets_its_delivery_in_order(api: Automations) -> None:
    saved = await webhook(api)
    automation = await api.automation(QUIET, {"action_id": saved}, QUIET, event=states("Failed"))
    actions = [action["id"] for action in (await read(api, automation))["actions"]]
    assert actions[1] == saved
    assert len(set(actions)) == 3
    run = await run_enters(api, await api.flow(), "Failed")
    assert await firings(api) == {automation: 1}
    data = await api.execute("{ firing { automation_id flow_run_id deliveries { action_id } } }")
    [firing] = [row for row in data["firing"] if row["automation_id"] == automation]
    assert firing["flow_run_id"] == run
    assert sorted(row["action_id"] for row in firing["deliveries"]) == sorted(actions)


async def test_one_saved_action_may_be_used_twice(api: Automations) -> None:
    saved = await webhook(api)
    automation = await api.automation({"action_id": saved}, {"action_id": saved})
    assert [action["id"] for action in (await read(api, automation))["actions"]] == [saved, saved]


async def test_disabled_automation_does_not_fire_until_it_is_enabled(api: Automations) -> None:
    automation = await api.automation(QUIET, event=states("Failed"), enabled=False)
    flow = await api.flow()
    await run_enters(api, flow, "Failed")
    assert await firings(api) == {}
    for enabled, count in ((True, 1), (False, 1), (True, 2)):
        await api.write("update_automation", automation_id=automation, enabled=enabled)
        assert (await read(api, automation, "enabled"))["enabled"] is enabled
        await run_enters(api, flow, "Failed")
        assert await firings(api) == {automation: count}


async def test_state_is_matched_exactly(api: Automations) -> None:
    made = {
        name: await api.automation(QUIET, event=states(name))
        for name in ("Failed", "TriggerFailed", "ValidationFailed")
    }
    await run_enters(api, await api.flow(), "Running", "triggerfailed", "VALIDATIONFAILED")
    assert await firings(api) == {made["TriggerFailed"]: 1, made["ValidationFailed"]: 1}


async def test_flow_groups_and_projects_restrict_firing(api: Automations) -> None:
    flows = {
        (project, name): await api.flow(name, project=f"{project} of {name}")
        for project, name in (("a", "one"), ("a", "two"), ("b", "three"))
    }
    rows = (await api.execute("{ flow { id flow_group_id project_id } }"))["flow"]
    group = {row["id"]: row["flow_group_id"] for row in rows}
    project = {row["id"]: row["project_id"] for row in rows}
    one, two, three = flows.values()
    made = {
        "all": await api.automation(QUIET, event=states("Failed", flow_group_ids=[], project_ids=None)),
        "group of one": await api.automation(QUIET, event=states("Failed", flow_group_ids=[group[one]])),
        "two groups": await api.automation(QUIET, event=states("Failed", flow_group_ids=[group[one], group[two]])),
        "project of three": await api.automation(QUIET, event=states("Failed", project_ids=[project[three]])),
        "both": await api.automation(
            QUIET, event=states("Failed", flow_group_ids=[group[one], group[two]], project_ids=[project[two]])
        ),
        "never": await api.automation(
            QUIET, event=states("Failed", flow_group_ids=[group[one]], project_ids=[project[two]])
        ),
    }
    for flow in flows.values():
        await run_enters(api, flow, "Failed")
    counted = await firings(api)
    assert {name: counted[automation] for name, automation in made.items()} == {
        "all": 3,
        "group of one": 1,
        "two groups": 2,
        "project of three": 1,
        "both": 1,
        "never": 0,
    }
    shown = await read(api, made["both"], "event event_tags")
    assert shown["event"]["flow_group_ids"] == shown["event_tags"]["flow_group_id"] == [group[one], group[two]]
    assert shown["event"]["project_ids"] == [project[two]]


async def test_new_version_of_a_flow_is_watched_with_its_group(api: Automations) -> None:
    project = await api.write("create_project", name="p")
    flow = {"project_id": project["id"], "serialized_flow": {"name": "etl"}, "version_group_id": "etl"}
    first = (await api.write("create_flow", **flow))["id"]
    data = await api.execute("{ flow { flow_group_id } }")
    automation = await api.automation(QUIET, event=states("Failed", flow_group_ids=[data["flow"][0]["flow_group_id"]]))
    second = (await api.write("create_flow", **flow))["id"]
    await run_enters(api, first, "Failed")
    await run_enters(api, second, "Failed")
    assert await firings(api) == {automation: 2}


async def test_update_keeps_the_id_and_what_is_absent(api: Automations) -> None:
    automation = await api.automation(QUIET, description="why", event=states("Failed"))
    before = await read(api, automation)
    change: dict[str, Any]
    for change in (
        {"name": "other"},
        {"description": None},
        {"event": states("Success")},
        {"enabled": False},
        {"actions": [{"cancel_flow_run": {}}]},
        {},
    ):
        made = await api.write("update_automation", f"id automation {{ {FIELDS} }}", automation_id=automation, **change)
        after = made["automation"]
        assert made["id"] == after["id"] == automation
        changed = {name for name in before if before[name] != after[name]} - {"updated"}
        assert changed == (set(change) | ({"event_tags"} if "event" in change else set()))
        assert after["created"] == before["created"]
        before = after


async def test_changed_event_fires_for_the_new_states_only(api: Automations) -> None:
    automation = await api.automation(QUIET, event=states("Failed"))
    await api.write("update_automation", automation_id=automation, event=states("Success"))
    flow = await api.flow()
    await run_enters(api, flow, "Failed")
    assert await firings(api) == {}
    await run_enters(api, flow, "Success")
    assert await firings(api) == {automation: 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": states("Faild")},
        {"event": states("Failed", flow_group_ids=["00000000-0000-0000-0000-000000000001"])},
        {"actions": [{"action_id": "00000000-0000-0000-0000-000000000001"}]},
        {"actions": [{"cancel_flow_run": {"message": "{nonsense}"}}]},
        {"actions": []},
        {"actions": None},
        {"event": None},
        {"enabled": None},
    ],
)
async def test_refused_update_changes_nothing(api: Automations, wrong: dict[str, Any]) -> None:
    automation = await api.automation(QUIET, event=states("Running"))
    before = await read(api, automation)
    more = {"name": "new", "description": "new", "enabled": False, "event": states("Success"), "actions": [QUIET]}
    await refused(api, "update_automation", automation_id=automation, **{**more, **wrong})
    assert await read(api, automation) == before
    assert len((await api.execute("{ action { id } }"))["action"]) == 1
    await run_enters(api, await api.flow(), "Running", "Success")
    assert await firings(api) == {automation: 1}


async def test_null_is_refused_for_what_must_be_there(api: Automations) -> None:
    message = await refused(api, "update_automation", automation_id=await api.automation(QUIET), name=None)
    assert message == "name must not be null; leave it out to keep it."


async def test_concurrent_updates_end_as_one_of_them_whole(api: Automations) -> None:
    automation = await api.automation(QUIET)
    names = ["Failed", "Success", "Running", "Cancelled", "Looped", "Cached"]
    await asyncio.gather(
        *(
            api.write(
                "update_automation",
                automation_id=automation,
                name=name,
                event=states(name),
                actions=[{"cancel_flow_run": {"message": name}}],
            )
            for name in names
        )
    )
    after = await read(api, automation, "name event actions { action_config }")
    assert after["event"] == {"states": [after["name"]]}
    assert after["actions"] == [{"action_config": {"message": after["name"]}}]
    assert len((await api.execute("{ action { id } }"))["action"]) == 1
    flow = await api.flow()
    for name in names:
        await run_enters(api, flow, name)
    assert await firings(api) == {automation: 1}


async def test_replaced_inline_action_goes_and_one_kept_by_id_stays(api: Automations) -> None:
    automation = await api.automation(QUIET, {"cancel_flow_run": {}})
    kept = (await read(api, automation))["actions"][1]["id"]
    await api.write("update_automation", automation_id=automation, actions=[{"action_id": kept}, QUIET])
    actions = [action["id"] for action in (await read(api, automation))["actions"]]
    assert actions[0] == kept
    data = await api.execute("{ action { id } }")
    assert {row["id"] for row in data["action"]} == set(actions)


async def test_inline_action_lives_on_where_another_automation_uses_it(api: Automations) -> None:
    """An existing page edits by making the new hook, of the same action, and deleting the old one."""
    old = await api.automation({"cancel_flow_run": {}}, event=states("Failed"))
    action = (await read(api, old))["actions"][0]["id"]
    new = await api.write("create_flow_run_state_changed_hook", action_id=action, states=["Failed"])
    await api.write("delete_hook", "success", hook_id=old)
    data = await api.execute("{ hook { id action { id problems } } action { id } }")
    assert data == {"hook": [{"id": new["id"], "action": {"id": action, "problems": []}}], "action": [{"id": action}]}
    await api.write("delete_hook", "success", hook_id=new["id"])
    assert (await api.execute("{ action { id } }"))["action"] == []


async def test_deleted_automation_is_gone_from_every_read_and_fires_no_more(api: Automations) -> None:
    saved = await webhook(api)
    automation = await api.automation(QUIET, {"action_id": saved}, event=states("Failed"))
    await api.write("delete_automation", "success error", automation_id=automation)
    data = await api.execute(
        f"""{{ automation {{ id }} hook {{ id }} action {{ id }}
               automation_by_pk(id: "{automation}") {{ id }} hook_by_pk(id: "{automation}") {{ id }}
               automation_aggregate {{ aggregate {{ count }} nodes {{ id }} }} }}"""
    )
    assert data == {
        "automation": [],
        "hook": [],
        "action": [{"id": saved}],
        "automation_by_pk": None,
        "hook_by_pk": None,
        "automation_aggregate": {"aggregate": {"count": 0}, "nodes": []},
    }
    await run_enters(api, await api.flow(), "Failed")
    assert await firings(api) == {}
    for mutation in ("update_automation", "delete_automation"):
        assert "There is no automation" in await refused(api, mutation, "NOT_FOUND", automation_id=automation)


async def test_what_a_deleted_automation_owes_is_still_sent_and_still_named(database_url: str, tmp_path: Path) -> None:
    async with (
        Receiver(reply(503)) as receiver,
        running(database_url, tmp_path, retry_seconds=(0.2, 0.2, 0.2)) as server,
    ):
        inline = {"webhook": {"url": receiver.url, "payload": {"run": "{flow_run_name}"}}}
        automation = await server.automation(inline, name="short-lived")
        await run_enters(server, await server.flow(), "Failed")
        await receiver.wait_for(1)
        await server.write("delete_automation", "success", automation_id=automation)
        receiver.behaviour = reply(200)

        async def delivered() -> list[dict[str, Any]] | None:
            rows = await server.deliveries(
                "status attempts { outcome } action { deleted_at } automation { name deleted_at }"
                " firing { automation { id name } }"
            )
            return rows if rows[0]["status"] == "DELIVERED" else None

        [delivery] = await eventually(delivered)
        assert {attempt["outcome"] for attempt in delivery["attempts"]} == {"RETRY", "DELIVERED"}
        assert delivery["automation"]["name"] == "short-lived"
        assert delivery["automation"]["deleted_at"]
        assert delivery["action"]["deleted_at"]
        assert delivery["firing"]["automation"] == {"id": automation, "name": "short-lived"}


async def test_idempotency_key_gives_the_same_automation(api: Automations, shared_server: Automations) -> None:
    given = {"name": "x", "event": states("Failed"), "actions": [QUIET], "idempotency_key": "key"}
    first, again = await api.write("create_automation", **given), await api.write("create_automation", **given)
    assert first == again
    other = shared_server.as_tenant((await shared_server.write("create_tenant", name=first["id"]))["id"])
    assert (await other.write("create_automation", **given))["id"] != first["id"]
    assert len((await api.execute("{ automation { id } }"))["automation"]) == 1
    assert len((await api.execute("{ action { id } }"))["action"]) == 1


async def test_concurrent_calls_with_one_idempotency_key_make_one_automation(api: Automations) -> None:
    given = {"name": "x", "event": states("Failed"), "actions": [QUIET], "idempotency_key": "key"}
    made = await asyncio.gather(*(api.write("create_automation", **given) for _ in range(8)))
    assert len({row["id"] for row in made}) == 1
    assert len((await api.execute("{ automation { id } }"))["automation"]) == 1


async def test_idempotency_key_of_what_was_deleted_is_refused(api: Automations) -> None:
    given = {"name": "x", "event": states("Failed"), "actions": [QUIET], "idempotency_key": "key"}
    made = await api.write("create_automation", **given)
    await api.write("delete_automation", "success", automation_id=made["id"])
    message = await refused(api, "create_automation", "CONFLICT", **given)
    assert message == "The automation made with this idempotency_key was deleted. Use another key to make a new one."


async def test_run_is_named_after_two_words_where_nobody_named_it(api: Automations) -> None:
    """The name an automation's message shows is never empty."""
    await api.run(await api.flow())
    [run] = (await api.execute("{ flow_run { name } }"))["flow_run"]
    assert len(run["name"].split("-")) == 2
