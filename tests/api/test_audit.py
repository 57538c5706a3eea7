"""Each change of a definition leaves a note of who made it, and no note shows a secret."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest

from automations.actions import CLIENTS
from automations.actions.contract import Action
from automations.api.schema import schema
from automations.database import Database, DedicatedConnection
from tests.canaries import CANARY
from tests.harness import Automations, GraphQLError

# A new mutation fails below until somebody has decided whether it changes a definition.
AUDITED = {
    "create_automation", "update_automation", "delete_automation", "create_action", "update_action", "delete_action",
    "create_flow_run_state_changed_hook", "create_flow_sla_failed_hook", "create_agent_sla_failed_hook", "delete_hook",
    "create_flow_sla_config", "create_flow_group_sla", "set_secret", "delete_secret", "create_api_key",
    "delete_api_key",
}  # fmt: skip
NOT_AUDITED = {
    "test_action", "test_automation", "preview_message", "redeliver", "create_tenant", "create_project", "create_flow",
    "set_schedule_active", "set_schedule_inactive", "create_flow_run", "set_flow_run_states", "cancel_flow_run",
    "delete_flow_run", "register_agent", "get_runs_in_queue", "delete_agent", "create_agent_config",
    "update_agent_config", "delete_agent_config", "archive_flow", "create_flow_from_compressed_string", "delete_flow",
    "delete_project", "get_or_create_task_run", "get_or_create_task_run_info", "register_edges", "register_tasks",
    "set_flow_run_labels", "set_flow_run_name", "set_task_run_name", "set_task_run_states", "update_flow_run_heartbeat",
    "update_task_run_heartbeat", "write_run_logs",
}  # fmt: skip

QUIET = {"slack_notification": {"webhook_url_secret": "NEVER"}}
FAILED = {"flow_run_state_changed": {"states": ["Failed"]}}


async def audit(api: Automations, fields: str = "operation change table_name row_id actor before after") -> list[Any]:
    """All audit events, oldest first."""
    return list(
        (await api.execute(f"{{ audit_event(order_by: {{id: asc}}, limit: 1000) {{ {fields} }} }}"))["audit_event"]
    )


async def noted(api: Automations, since: int = 0) -> list[tuple[str, str, str, str]]:
    """Operation, change, table and row of each audit event after the first so many."""
    return [(row["operation"], row["change"], row["table_name"], row["row_id"]) for row in (await audit(api))[since:]]


async def test_automation_is_noted_when_it_is_made_changed_and_deleted(api: Automations) -> None:
    made = await api.write("create_automation", name="one", event=FAILED, actions=[QUIET])
    id_ = made["id"]
    rows = {row["table_name"]: row for row in await audit(api)}
    automation, action, steps = (rows.pop(name) for name in ("automation", "action", "automation_action"))
    assert not rows
    assert [row["operation"] for row in (automation, action, steps)] == ["create_automation"] * 3
    assert (automation["change"], automation["row_id"], automation["before"]) == ("CREATED", id_, None)
    assert automation["after"]["name"] == "one"
    assert automation["after"]["event"]["states"] == ["Failed"]
    assert action["after"]["action_config"] == QUIET["slack_notification"]
    assert (steps["row_id"], steps["after"]) == (id_, {"action_ids": [action["row_id"]]})

    await api.write("update_automation", automation_id=id_, enabled=False)
    [changed] = (await audit(api))[3:]
    assert (changed["operation"], changed["change"], changed["row_id"]) == ("update_automation", "CHANGED", id_)
    assert changed["before"] == automation["after"]
    assert changed["after"] == {**automation["after"], "enabled": False}

    await api.write("update_automation", automation_id=id_, enabled=False)  # nothing changes
    assert len(await audit(api)) == 4

    await api.write("delete_automation", "success", automation_id=id_)
    deleted = [row for row in (await audit(api))[4:] if row["change"] == "DELETED"]
    assert {(row["table_name"], row["row_id"]) for row in deleted} == {
        ("automation", id_),
        ("action", action["row_id"]),
    }
    assert all(row["after"] is None and row["operation"] == "delete_automation" for row in deleted)


async def test_new_actions_of_an_automation_are_noted(api: Automations) -> None:
    made = await api.write("create_automation", name="one", event=FAILED, actions=[QUIET])
    before = len(await audit(api))
    await api.write("update_automation", automation_id=made["id"], actions=[{"cancel_flow_run": {}}])
    rows = [(row["change"], row["table_name"]) for row in (await audit(api))[before:]]
    assert sorted(rows) == [
        ("CREATED", "action"),
        ("CREATED", "automation_action"),
        ("DELETED", "action"),
        ("DELETED", "automation_action"),
    ]


async def test_each_mutation_of_a_definition_is_noted_under_its_name(api: Automations) -> None:
    """As are the changes of what it makes besides."""
    flow = await api.flow()
    [group] = (await api.execute("{ flow_group { id } }"))["flow_group"]
    config = (await api.write("create_agent_config"))["id"]
    assert await audit(api) == []  # the watched side is no definition
    run = await api.run(flow)
    await api.set_state(run, "Running")
    assert await audit(api) == []

    action = (await api.write("create_action", name="saved", config=QUIET))["id"]
    sla = (await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=60))["id"]
    sla_of_group = {"flow_sla_config_id": sla, "flow_group_id": group["id"]}
    on_states = {"action_id": action, "states": ["Failed"]}
    on_sla = {"action_id": action, "sla_config_ids": [sla]}
    on_agents = {"action_id": action, "agent_config_ids": [config]}
    hook = {("CREATED", "automation"), ("CREATED", "automation_action")}
    calls: list[tuple[str, str, dict[str, Any], set[tuple[str, str]]]] = [
        ("create_flow_group_sla", "id", sla_of_group, {("CREATED", "flow_group_sla")}),
        ("update_action", "id", {"action_id": action, "name": "renamed"}, {("CHANGED", "action")}),
        ("set_secret", "success", {"name": "S", "value": f"{CANARY} one"}, {("CREATED", "secret")}),
        ("set_secret", "success", {"name": "S", "value": f"{CANARY} two"}, {("CHANGED", "secret")}),
        ("delete_secret", "success", {"name": "S"}, {("DELETED", "secret")}),
        ("create_flow_run_state_changed_hook", "id", on_states, hook),
        ("create_flow_sla_failed_hook", "id", on_sla, hook),
        ("create_agent_sla_failed_hook", "id", on_agents, hook),
        ("create_api_key", "id", {"name": "k", "role": "viewer"}, {("CREATED", "api_key")}),
    ]
    for mutation, fields, input_, expected in calls:
        since = len(await audit(api))
        made = await api.write(mutation, fields, **input_)
        rows = await noted(api, since)
        assert {row[1:3] for row in rows} == expected, mutation
        assert {row[0] for row in rows} == {mutation}
        if mutation.endswith("_hook"):
            since = len(await audit(api))
            await api.write("delete_hook", "success", hook_id=made["id"])
            assert await noted(api, since) == [("delete_hook", "DELETED", "automation", made["id"])]
        if mutation == "create_api_key":
            await api.write("delete_api_key", "success", key_id=made["id"])
            assert (await noted(api))[-1] == ("delete_api_key", "DELETED", "api_key", made["id"])
    await api.write("delete_action", "success", action_id=action)
    assert (await noted(api))[-1] == ("delete_action", "DELETED", "action", action)
    assert {row["actor"] for row in await audit(api)} == {"unauthenticated"}
    tried = {row[0] for row in await noted(api)}
    assert tried == AUDITED - {"create_automation", "update_automation", "delete_automation"}  # above


def test_each_mutation_changes_a_definition_or_does_not() -> None:
    assert schema._schema.mutation_type is not None
    assert set(schema._schema.mutation_type.fields) == AUDITED | NOT_AUDITED


async def test_automations_own_sla_is_noted(api: Automations) -> None:
    event = {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60}}
    made = await api.write("create_automation", name="late", event=event, actions=[QUIET])
    tables = {row[2] for row in await noted(api)}
    assert tables == {"automation", "action", "automation_action", "flow_sla_config", "flow_group_sla"}
    since = len(await audit(api))
    event["flow_sla_failed"]["duration_seconds"] = 90
    await api.write("update_automation", automation_id=made["id"], event=event)
    changed = [row for row in (await audit(api))[since:] if row["table_name"] == "flow_sla_config"]
    assert [(row["before"]["duration_seconds"], row["after"]["duration_seconds"]) for row in changed] == [(60, 90)]


async def test_key_that_made_a_change_is_named(guarded: Automations) -> None:
    made = await guarded.write("create_api_key", "id key", name="ci", role="editor")
    await guarded.with_key(made["key"]).write("set_secret", "success", name="S", value=CANARY)
    await guarded.write("delete_api_key", "success", key_id=made["id"])
    rows = await audit(guarded, "actor key_id operation api_key { name }")
    assert [(row["actor"], row["operation"]) for row in rows[-3:]] == [
        ("admin", "create_api_key"),
        ("ci", "set_secret"),
        ("admin", "delete_api_key"),
    ]
    assert rows[-2]["key_id"] == made["id"]
    assert rows[-2]["api_key"] == {"name": "ci"}


async def test_what_is_refused_leaves_no_note(api: Automations) -> None:
    with pytest.raises(GraphQLError):
        await api.write("create_automation", name=" ", event=FAILED, actions=[QUIET])
    with pytest.raises(GraphQLError):
        await api.write(
            "create_automation",
            name="x",
            event=FAILED,
            actions=[QUIET, {"pause_schedule": {"flow_group_id": "00000000-0000-0000-0000-00000000000a"}}],
        )
    assert await audit(api) == []


async def test_repeated_call_and_test_of_a_config_leave_no_note(api: Automations) -> None:
    for _ in range(2):
        await api.write("create_action", config=QUIET, idempotency_key="k")
    assert len(await audit(api)) == 1
    await api.write("test_action", "success", config=QUIET)
    assert len(await audit(api)) == 1


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
async def test_no_action_shows_what_it_hides(api: Automations, client: type[Action]) -> None:
    action = client.example()
    values = {name: value for name, value in asdict(action).items() if value is not None}
    hidden = [*action.hidden.values(), values.get("url"), *(values.get("headers") or {}).values()]
    await api.write("create_action", config={client.KEY: values})
    [row] = await audit(api)
    shown = orjson.dumps(row["after"]).decode()
    assert not [value for value in hidden if value and value in shown]
    assert row["after"]["destination"]


async def test_values_of_secrets_are_not_shown(api: Automations, shared_url: str) -> None:
    await api.write("set_secret", "success", name="S", value=f"{CANARY}-2-and-more")
    await api.write("set_secret", "success", name="S", value=f"{CANARY}-3-and-more")
    rows = await audit(api)
    assert [(row["change"], row["row_id"]) for row in rows] == [("CREATED", "S"), ("CHANGED", "S")]
    connection = await Database(shared_url).dedicated()
    tenant = UUID(api.headers["X-PREFECT-TENANT-ID"])
    sealed = await connection.fetchval(
        "SELECT encode(sealed, 'hex') FROM automations.secret WHERE tenant_id = $1", tenant
    )
    await connection.close()
    shown = orjson.dumps(rows).decode()
    for text in (CANARY, sealed, "sealed", "hash"):
        assert text not in shown


async def test_audit_is_never_changed_or_removed(connection: DedicatedConnection, tenant_id: UUID) -> None:
    await connection.execute("INSERT INTO automations.secret VALUES ($1, 'S', now(), now(), '')", tenant_id)
    for statement in ("UPDATE {} SET actor = 'me'", "DELETE FROM {}", "TRUNCATE {}"):
        with pytest.raises(asyncpg.RaiseError, match="never changed or removed"):
            await connection.execute(statement.format("automations.audit_event"))
    [row] = await connection.fetch("SELECT * FROM automations.audit_event")
    assert row["actor"].startswith("database account ")  # SQL by hand leaves a note, too
    assert (row["operation"], row["change"]) == (None, "CREATED")


async def test_author_of_one_request_is_not_the_next_ones(guarded: Automations, shared_url: str) -> None:
    """Connections are pooled, and nothing that a request said stays on them."""
    for number in range(20):
        await guarded.write("set_secret", "success", name=f"S{number}", value=CANARY)
    connection = await Database(shared_url).dedicated()
    rows = await connection.fetch(
        "SELECT DISTINCT actor FROM automations.audit_event WHERE table_name = 'secret' AND tenant_id = $1",
        UUID((await guarded.execute("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]),
    )
    await connection.close()
    assert [row["actor"] for row in rows] == ["admin"]
