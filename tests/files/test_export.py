"""`export | apply` goes round: of what a server has, nothing is to do there, and the same is made elsewhere."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from automations.actions import CLIENTS
from automations.actions.contract import Action
from automations.files.events import event_in_file
from automations.files.problems import FileProblems, Problems
from automations.files.references import Directory, References
from automations.files.source import Value, dump, load
from automations.files.steps import config_in_file, read_config
from tests.files.conftest import Run
from tests.harness import Automations

NOTHING = References("flow", {})
NOWHERE = Directory(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
STATES: dict[str, Any] = {"flow_run_state_changed": {"states": ["Failed", "Cancelled"]}}


async def goes_round(run: Run) -> str:
    """The export, of which nothing is to do."""
    exported = await run("export")
    assert (exported.code, exported.err) == (0, "")
    again = await run("apply", "--prune", "--yes", files=[exported.out])
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[-1].endswith("unchanged: nothing to do.")
    return exported.out


async def test_export_of_an_empty_server_goes_round(run: Run) -> None:
    assert "automations: []" in await goes_round(run)


async def test_every_action_goes_round(api: Automations, run: Run) -> None:
    for client in CLIENTS:
        config = stored(client.example())
        await api.automation({client.KEY: config}, name=f"with {client.KEY}", event=STATES)
        made = await api.write("create_action", name=f"saved {client.KEY}", config={client.KEY: config})
        await api.automation({"action_id": made["id"]}, name=f"by {client.KEY}", event=STATES, enabled=False)
    exported = await goes_round(run)
    assert all(f"{client.KEY}:" in exported for client in CLIENTS)


async def test_every_event_goes_round_and_is_made_anew_from_its_export(api: Automations, run: Run) -> None:
    await api.flow("etl", "a")
    await api.flow("etl", "b")
    groups = [row["id"] for row in (await api.execute("{ flow_group { id } }"))["flow_group"]]
    [project, _] = [row["id"] for row in (await api.execute("{ project { id } }"))["project"]]
    configs = [(await api.write("create_agent_config", **more))["id"] for more in ({"name": "prod"}, {})]
    events: list[dict[str, Any]] = [
        STATES,
        {"flow_run_state_changed": {"state_group": "ALL", "flow_group_ids": groups, "project_ids": [project]}},
        {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 90, "flow_group_ids": groups[:1]}},
        {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 86_400}},
        {"agent_sla_failed": {"agent_config_ids": configs}},
        {"agent_sla_failed": {"agent_config_ids": configs[:1], "min_healthy": 3, "unhealthy_after_seconds": 600}},
        {"server_problem": {}},
        {"server_problem": {"problems": ["SECRET_MISSING", "DESTINATION_FAILS"]}},
    ]
    mail = {"email_notification": {"to_emails": ["a@example.com"]}}
    for number, event in enumerate(events):
        await api.automation(mail, name=f"event {number}", event=event)
    read = "{ automation(order_by: {name: asc}) { name event_type event } }"
    before = (await api.execute(read))["automation"]
    exported = await goes_round(run)
    assert "a/etl" in exported
    for row in (await api.execute("{ automation { id } }"))["automation"]:
        await api.write("delete_automation", "success", automation_id=row["id"])
    assert (await run("apply", "--yes", files=[exported])).code == 0
    after = (await api.execute(read))["automation"]
    assert [without_own_sla(row) for row in after] == [without_own_sla(row) for row in before]


async def test_automations_that_hooks_made_go_round(api: Automations, run: Run) -> None:
    action = (await api.write("create_action", config={"email_notification": {"to_emails": ["a@example.com"]}}))["id"]
    for name in ("late", None):
        sla = await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=60, name=name)
        made = await api.write("create_flow_sla_failed_hook", action_id=action, sla_config_ids=[sla["id"]])
        await api.write("update_automation", automation_id=made["id"], name=f"SLA {name}")
    await api.write("create_flow_run_state_changed_hook", action_id=action, states=["Failed"])
    exported = await goes_round(run)
    assert "slas:\n          - late" in exported
    assert f"- action: {action}" in exported
    read = "{ hook(order_by: {created: asc}) { event_type event_tags } }"
    before = await api.execute(read)
    for row in (await api.execute("{ hook { id } }"))["hook"]:
        await api.write("delete_hook", "success", hook_id=row["id"])
    assert (await run("apply", "--yes", files=[exported])).code == 0
    assert sorted(map(repr, (await api.execute(read))["hook"])) == sorted(map(repr, before["hook"]))


async def test_what_refers_to_something_deleted_goes_round(api: Automations, run: Run) -> None:
    config = (await api.write("create_agent_config", name="prod"))["id"]
    event = {"agent_sla_failed": {"agent_config_ids": [config]}}
    await api.automation({"email_notification": {"to_emails": ["a@example.com"]}}, event=event)
    await api.write("delete_agent_config", "success", agent_config_id=config)
    assert config in await goes_round(run)


async def test_more_than_a_page_goes_round(api: Automations, run: Run) -> None:
    more = "event: {flow_run_state_changed: {state_group: ALL}}, actions: [{cancel_flow_run: {}}]"
    made = (f'a{number}: create_automation(input: {{name: "n{number}", {more}}}) {{ id }}' for number in range(101))
    await api.execute(f"mutation {{ {' '.join(made)} }}")
    assert (await goes_round(run)).count("cancel_flow_run") == 101


@pytest.mark.parametrize(
    "payload",
    [
        "text",
        '"text"',
        "12",
        12,
        1.5,
        1e300,
        True,
        [],
        {},
        {"a": None},
        "null",
        "[1",
        {"1": {"x": [1, True, 1.0, "1"]}},
    ],
    ids=repr,
)
async def test_payloads_keep_their_types(api: Automations, run: Run, payload: Any) -> None:
    webhook = {"webhook": {"url": "https://example.com", "payload": payload}}
    await api.automation(webhook, name="call")
    await goes_round(run)
    # A string that is JSON is what it says where somebody gives it, so it is given in JSON here.
    await api.automation({"webhook": {**webhook["webhook"], "payload": dump_json(payload)}}, name="call again")
    exported = await goes_round(run)
    before = (await api.execute("{ action { action_config } }"))["action"]
    assert (await run("apply", "--yes", files=[exported.replace("name: call", "name: copy")])).code == 0
    after = (await api.execute("{ action { action_config } }"))["action"]
    assert sorted(map(repr, after)) == sorted(map(repr, before * 2))


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda: config_in_file("FaxAction", {}, NOWHERE), "The server has the action FaxAction, which"),
        (lambda: config_in_file("WebhookAction", {"color": 1}, NOWHERE), "The server has webhook.color, which"),
        (lambda: event_in_file("flow_renamed", {}, NOWHERE), "The server has the event flow_renamed, which"),
        (
            lambda: event_in_file("agent_sla_failed", {"zone": 1}, NOWHERE),
            "The server has agent_sla_failed.zone, which",
        ),
    ],
)
def test_what_a_newer_server_has_is_not_lost_in_silence(read: Callable[[], object], told: str) -> None:
    with pytest.raises(FileProblems, match=f"{told} this version does not know: upgrade it."):
        read()


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(payload=JSON.filter(lambda value: value is not None))
@hypothesis_settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_any_payload_is_read_as_it_was_written(payload: Any) -> None:
    stored_config = {"url": "https://example.com", "payload": payload}
    problems = Problems()
    value = load(dump(config_in_file("WebhookAction", stored_config, NOWHERE)), "f", problems)
    assert isinstance(value, Value)
    read = read_config(value, NOWHERE, problems)
    problems.check()
    assert read is not None
    assert stored(read.action) == stored_config


def stored(action: Action) -> dict[str, Any]:
    """A config without the fields that are not set."""
    return {name: value for name, value in vars(action).items() if value is not None}


def dump_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def without_own_sla(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the id of the SLA that is the automation's own."""
    own = {"flow_sla_config_ids"} if "kind" in row["event"] else set()
    return {**row, "event": {name: value for name, value in row["event"].items() if name not in own}}
