"""Nothing of one tenant is seen or touched by another: over every table and every mutation there is.

Each is looked up in a list below, so that a new one fails here until somebody has thought about it.
"""

import gzip
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull

from automations.access.keys import create_key
from automations.access.roles import Role
from automations.api.schema import schema
from automations.api.tables import TABLES, Table
from automations.database import DedicatedConnection
from tests.canaries import CANARY
from tests.harness import Automations, GraphQLError, running

NIL = "00000000-0000-0000-0000-000000000000"
SECRET = "SHARED_NAME"


# A flow of one task that follows itself.
GRAPH = """
WITH task AS (INSERT INTO task (tenant_id, flow_id, slug) VALUES ($1, $2, 'extract') RETURNING id)
INSERT INTO edge (tenant_id, flow_id, upstream_task_id, downstream_task_id) SELECT $1, $2, id, id FROM task
"""


@dataclass(frozen=True)
class Tenants:
    """Two tenants of one server: `a` has a row in every table, whose ids are here by table; `b` only in a few."""

    a: Automations
    b: Automations
    a_id: str
    ids: dict[str, str]
    tables_of_b: frozenset[str]


@pytest.fixture(params=["by header", "by key"])
async def tenants(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, connection: DedicatedConnection, tenant_id: UUID
) -> AsyncIterator[Tenants]:
    """A tenant with a row in every table, and another one: told apart by a header, or by the keys that they use."""
    if request.param == "by header":
        async with running(database_url, tmp_path) as server:
            a_id, b_id = [(await server.write("create_tenant", name=f"tenant {name}"))["id"] for name in "ab"]
            ids = await _fill(connection, server.as_tenant(a_id), a_id)
            yield Tenants(server.as_tenant(a_id), server.as_tenant(b_id), a_id, ids, frozenset({"tenant"}))
        return
    made = await create_key(connection, tenant_id, name="all", role=Role.ADMIN, all_tenants=True)
    async with running(database_url, tmp_path, auth="on") as server:
        operator, found = server.with_key(made.text), []
        for name in "ab":
            id_ = (await operator.write("create_tenant", name=f"tenant {name}"))["id"]
            key = await operator.write("create_api_key", "key", name=name, role="admin", tenant_id=id_)
            found.append((server.with_key(key["key"]), id_))
        [(a, a_id), (b, _)] = found
        ids = await _fill(connection, a, a_id)
        yield Tenants(a, b, a_id, ids, frozenset({"tenant", "api_key", "audit_event"}))


async def _fill(connection: DedicatedConnection, a: Automations, a_id: str) -> dict[str, str]:
    """Give A a row in every table; their ids."""
    await a.write("set_secret", "success", name=SECRET, value=CANARY)
    flow = await a.flow()
    action = (await a.write("create_action", config={"slack_notification": {"webhook_url_secret": "NEVER"}}))["id"]
    await a.automation({"action_id": action}, {"cancel_flow_run": {}})
    agent = (await a.write("register_agent", name="agent"))["id"]
    config = (await a.write("create_agent_config", name="group"))["id"]
    await a.write("register_agent", name="agent", agent_config_id=config)
    sla = (await a.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=3600))["id"]
    [flow_row] = (await a.execute("{ flow { flow_group_id } }"))["flow"]
    await a.write("create_flow_group_sla", flow_sla_config_id=sla, flow_group_id=flow_row["flow_group_id"])
    await a.write("create_flow_sla_failed_hook", action_id=action, sla_config_ids=[sla])
    await a.write("create_agent_sla_failed_hook", action_id=action, agent_config_ids=[config])
    await connection.execute(GRAPH, UUID(a_id), UUID(flow))
    run = await a.run(flow)
    await connection.execute(
        "INSERT INTO log (tenant_id, flow_run_id, message) VALUES ($1, $2, 'x')", UUID(a_id), UUID(run)
    )
    await Automations(a.url, a.client, {**a.headers, "X-PREFECT-AGENT-ID": agent}).set_state(run, "Submitted")
    await a.set_state(run, "Failed")
    await a.settled(2)
    await a.write("create_api_key", "key", name="key", role="viewer")
    ids = {}
    for table in TABLES:
        [row, *_] = (await a.execute(f"{{ {table.name}(limit: 1) {{ {table.key} }} }}"))[table.name]
        ids[table.name] = row[table.key]
    return ids


async def snapshot(connection: DedicatedConnection, tenant_id: str) -> dict[str, list[str]]:
    """Every row of a tenant in every table that has a tenant, heartbeats and all."""
    tables = await connection.fetch(
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.columns"
        " WHERE column_name = 'tenant_id' AND table_schema IN ('public', 'automations') ORDER BY 1"
    )
    found = {
        "tenant": await connection.fetch("SELECT t::text AS row FROM public.tenant AS t WHERE id = $1", UUID(tenant_id))
    }
    for table in tables:
        sql = f"SELECT t::text AS row FROM {table['name']} AS t WHERE tenant_id = $1 ORDER BY 1"
        found[table["name"]] = await connection.fetch(sql, UUID(tenant_id))
    return {name: [row["row"] for row in rows] for name, rows in found.items()}


async def test_every_table_has_a_row_to_hide(tenants: Tenants) -> None:
    assert set(tenants.ids) == {table.name for table in TABLES}


async def test_no_read_shows_rows_of_another_tenant(tenants: Tenants) -> None:
    for table in TABLES:
        id_ = tenants.ids[table.name]
        own = 1 if table.name in tenants.tables_of_b else 0
        name, key, extreme = table.name, table.key, _extreme(table)
        data = await tenants.b.execute(
            f"""query($id: uuid!) {{
                list: {name} {{ {key} }}
                asked: {name}(where: {{_or: [{{{key}: {{_eq: $id}}}}, {{_not: {{{key}: {{_eq: $id}}}}}}]}}) {{ {key} }}
                by_pk: {name}_by_pk({key}: $id) {{ {key} }}
                aggregate: {name}_aggregate {{ aggregate {{ count }} nodes {{ {key} }} }}
                of_a: {name}_aggregate(where: {{{key}: {{_eq: $id}}}}) {{
                    aggregate {{ count max {{ {extreme} }} }} nodes {{ {key} }} }} }}""",
            id=id_,
        )
        assert (len(data["list"]), len(data["asked"])) == (own, own), table.name
        assert data["by_pk"] is None, table.name
        assert data["aggregate"]["aggregate"]["count"] == len(data["aggregate"]["nodes"]) == own, table.name
        assert data["of_a"]["aggregate"] == {"count": 0, "max": {extreme: None}}, table.name
        assert data["of_a"]["nodes"] == [], table.name
        assert id_ not in orjson.dumps(data).decode(), table.name
    assert (await tenants.b.execute("{ secret_names }")) == {"secret_names": []}


def _extreme(table: Table) -> str:
    return next(
        column.name for column in table.columns if column.type in {"text", "timestamptz"} and column.function is None
    )


async def test_relations_do_not_lead_to_another_tenant(tenants: Tenants, connection: DedicatedConnection) -> None:
    """Even where a row of ours refers to one of theirs, as no write allows but a bug might: it leads nowhere."""
    await _give_b_a_row_that_refers_to_a(tenants, connection)
    for table in TABLES:
        if not table.relations:
            continue
        selections, filters = [], []
        for relation in table.relations:
            selections.append(f"{relation.name} {{ id ids: __typename }}")
            filters.append(f'{{{relation.name}: {{id: {{_eq: "{tenants.ids[relation.table]}"}}}}}}')
            if relation.many:
                selections.append(f"{relation.name}_aggregate {{ aggregate {{ count }} nodes {{ id }} }}")
        data = await tenants.b.execute(
            f"{{ rows: {table.name} {{ {' '.join(selections)} }}"
            f" found: {table.name}(where: {{_or: [{', '.join(filters)}]}}) {{ {table.key} }} }}"
        )
        assert data["rows"], table.name
        assert data["found"] == [], table.name
        text = orjson.dumps(data).decode()
        assert not [name for name, id_ in tenants.ids.items() if id_ in text], table.name


# What must not be the same in two rows, whosever they are.
UNIQUE = {"public.edge": {"key": "'of b'"}, "public.task": {"slug": "'of b'"}, "public.task_run": {"map_index": "7"}}


async def _give_b_a_row_that_refers_to_a(tenants: Tenants, connection: DedicatedConnection) -> None:
    """In every table a copy of A's row as B's: with an id of its own, and with A's ids in all other columns."""
    [b_id] = [row["id"] for row in (await tenants.b.execute("{ tenant { id } }"))["tenant"]]
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign keys, no triggers
        for source in {table.source for table in TABLES if table.tenant_column == "tenant_id"}:
            columns = [
                row["attname"]
                for row in await connection.fetch(
                    "SELECT attname FROM pg_attribute"
                    " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                    source,
                )
            ]
            values = {name: f't."{name}"' for name in columns} | {"tenant_id": "$1", "id": "gen_random_uuid()"}
            if "beginning" in columns:  # of an API key: one for all tenants
                values["beginning"] = "gen_random_uuid()"
            values |= UNIQUE.get(source, {})
            await connection.execute(
                f"INSERT INTO {source} ({', '.join(values)}) SELECT {', '.join(values.values())}"
                f" FROM {source} AS t WHERE tenant_id = $2 LIMIT 1",
                UUID(b_id),
                UUID(tenants.a_id),
            )


# What B sends to each mutation, with A's ids; and the codes with which it may be refused. Those that take no id are
# here with None: what they make is the caller's.
Input = Callable[[Tenants], dict[str, Any]]
REFUSED = {"NOT_FOUND", "BAD_USER_INPUT"}
FAILED = {"flow_run_state_changed": {"states": ["Failed"]}}
LATE = {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 60}
QUIET = {"slack_notification": {"webhook_url_secret": "NEVER"}}

COMPRESSED = b64encode(gzip.compress(b'{"name": "x"}')).decode()

CALLS: dict[str, list[Input] | None] = {
    "create_automation": [
        lambda t: {"name": "x", "event": FAILED, "actions": [{"action_id": t.ids["action"]}]},
        lambda t: {"name": "x", "event": _of(flow_group_ids=[t.ids["flow_group"]]), "actions": [QUIET]},
        lambda t: {"name": "x", "event": _of(project_ids=[t.ids["project"]]), "actions": [QUIET]},
        lambda t: {"name": "x", "event": {"flow_sla_failed": LATE | _flow_groups(t)}, "actions": [QUIET]},
        lambda t: {"name": "x", "event": {"flow_sla_failed": _slas(t)}, "actions": [QUIET]},
        lambda t: {"name": "x", "event": {"flow_sla_failed": LATE | _slas(t)}, "actions": [QUIET]},
        lambda t: {"name": "x", "event": {"agent_sla_failed": _agent_configs(t)}, "actions": [QUIET]},
        lambda t: {"name": "x", "event": FAILED, "actions": [{"pause_schedule": _group(t)}]},
        lambda t: {"name": "x", "event": FAILED, "actions": [QUIET, {"create_flow_run": _group(t)}]},
    ],
    "update_automation": [lambda t: {"automation_id": t.ids["automation"], "enabled": False, "actions": [QUIET]}],
    "delete_automation": [lambda t: {"automation_id": t.ids["automation"]}],
    "create_action": [
        lambda t: {"config": {"pause_schedule": _group(t)}},
        lambda t: {"config": {"create_flow_run": _group(t)}},
    ],
    "update_action": [
        lambda t: {"action_id": t.ids["action"], "name": "mine"},
        lambda t: {"action_id": t.ids["action"], "config": QUIET},
        lambda t: {"action_id": t.ids["action"], "config": {"pause_schedule": _group(t)}},
    ],
    "delete_action": [lambda t: {"action_id": t.ids["action"]}],
    "create_flow_run_state_changed_hook": [
        lambda t: {"action_id": t.ids["action"], "states": ["Failed"]},
    ],
    "create_flow_sla_config": None,
    "create_flow_group_sla": [
        lambda t: {"flow_sla_config_id": t.ids["flow_sla_config"], "flow_group_id": t.ids["flow_group"]},
    ],
    "create_flow_sla_failed_hook": [
        lambda t: {"action_id": t.ids["action"], "sla_config_ids": [t.ids["flow_sla_config"]]},
    ],
    "create_agent_sla_failed_hook": [lambda t: {"action_id": t.ids["action"]} | _agent_configs(t)],
    "create_agent_config": None,
    "update_agent_config": [lambda t: {"agent_config_id": t.ids["agent_config"], "name": "mine"}],
    "delete_agent_config": [lambda t: {"agent_config_id": t.ids["agent_config"]}],
    "delete_hook": [lambda t: {"hook_id": t.ids["hook"]}],
    "test_action": [
        lambda t: {"action_id": t.ids["action"]},
        lambda t: {"config": {"pause_schedule": _group(t)}},
    ],
    "test_automation": [
        lambda t: {"automation_id": t.ids["automation"], "flow_run_id": t.ids["flow_run"]},
    ],
    "preview_message": [
        lambda t: {"event_type": "FlowRunStateChangedEvent", "template": "x", "flow_run_id": t.ids["flow_run"]},
    ],
    "redeliver": [lambda t: {"delivery_id": t.ids["delivery"]}],
    "set_secret": None,
    "delete_secret": [lambda _: {"name": SECRET}],
    "create_tenant": None,
    "create_api_key": None,
    "delete_api_key": [lambda t: {"key_id": t.ids["api_key"]}],
    "create_project": None,
    "create_flow": [lambda t: {"project_id": t.ids["project"], "serialized_flow": {"name": "x"}}],
    "delete_project": [lambda t: {"project_id": t.ids["project"]}],
    "create_flow_from_compressed_string": [
        lambda t: {"project_id": t.ids["project"], "serialized_flow": COMPRESSED},
    ],
    "register_tasks": [lambda t: {"flow_id": t.ids["flow"], "serialized_tasks": [{"slug": "x"}]}],
    "register_edges": [lambda t: {"flow_id": t.ids["flow"], "serialized_edges": []}],
    "archive_flow": [lambda t: {"flow_id": t.ids["flow"]}],
    "delete_flow": [lambda t: {"flow_id": t.ids["flow"]}],
    "set_schedule_active": [lambda t: {"flow_id": t.ids["flow"]}],
    "set_schedule_inactive": [lambda t: {"flow_id": t.ids["flow"]}],
    "create_flow_run": [
        lambda t: {"flow_id": t.ids["flow"]},
        lambda t: {"flow_id": t.ids["flow"], "idempotency_key": "key"},
    ],
    "set_flow_run_states": [
        lambda t: {"states": [{"flow_run_id": t.ids["flow_run"], "state": {"type": "Running"}}]},
    ],
    "cancel_flow_run": [lambda t: {"flow_run_id": t.ids["flow_run"]}],
    "set_flow_run_name": [lambda t: {"flow_run_id": t.ids["flow_run"], "name": "mine"}],
    "set_flow_run_labels": [lambda t: {"flow_run_id": t.ids["flow_run"], "labels": ["mine"]}],
    "update_flow_run_heartbeat": [lambda t: {"flow_run_id": t.ids["flow_run"]}],
    "get_or_create_task_run": [
        lambda t: {"flow_run_id": t.ids["flow_run"], "task_id": t.ids["task"]},
        lambda t: {"flow_run_id": t.ids["flow_run"], "task_id": t.ids["task"], "map_index": 5},
    ],
    "get_or_create_task_run_info": [
        lambda t: {"flow_run_id": t.ids["flow_run"], "task_id": t.ids["task"]},
    ],
    "set_task_run_states": [
        lambda t: {"states": [{"task_run_id": t.ids["task_run"], "state": {"type": "Failed"}}]},
    ],
    "set_task_run_name": [lambda t: {"task_run_id": t.ids["task_run"], "name": "mine"}],
    "update_task_run_heartbeat": [lambda t: {"task_run_id": t.ids["task_run"]}],
    "write_run_logs": [
        lambda t: {"logs": [{"flow_run_id": t.ids["flow_run"], "message": "x"}]},
        lambda t: {"logs": [{"task_run_id": t.ids["task_run"], "message": "x"}]},
    ],
    "delete_flow_run": [lambda t: {"flow_run_id": t.ids["flow_run"]}],
    "register_agent": [lambda t: {"name": "x", "agent_config_id": t.ids["agent_config"]}],
    "get_runs_in_queue": None,
    "delete_agent": [lambda t: {"agent_id": t.ids["agent"]}],
}


def _group(tenants: Tenants) -> dict[str, str]:
    return {"flow_group_id": tenants.ids["flow_group"]}


def _of(**more: Any) -> dict[str, Any]:
    return {"flow_run_state_changed": {"states": ["Failed"], **more}}


def _flow_groups(tenants: Tenants) -> dict[str, Any]:
    return {"flow_group_ids": [tenants.ids["flow_group"]]}


def _agent_configs(tenants: Tenants) -> dict[str, Any]:
    return {"agent_config_ids": [tenants.ids["agent_config"]]}


def _slas(tenants: Tenants) -> dict[str, Any]:
    return {"flow_sla_config_ids": [tenants.ids["flow_sla_config"]]}


def _id_fields(type_: Any) -> set[str]:
    """Names of the fields of an input, nested ones included, that hold ids."""
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    if not isinstance(type_, GraphQLInputObjectType):
        return set()
    found = set()
    for name, field in type_.fields.items():
        inner: Any = field.type
        while isinstance(inner, GraphQLNonNull | GraphQLList):
            inner = inner.of_type
        if inner.name in {"UUID", "uuid"}:
            found.add(name)
        found |= _id_fields(inner)
    return found


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in _keys(item)}
    return {key for item in value for key in _keys(item)} if isinstance(value, list) else set()


def test_every_mutation_and_each_of_its_ids_is_tried() -> None:
    assert schema._schema.mutation_type is not None
    mutations = schema._schema.mutation_type.fields
    assert set(CALLS) == set(mutations)
    example = Tenants.__new__(Tenants)
    object.__setattr__(example, "ids", dict.fromkeys((table.name for table in TABLES), NIL))
    for name, mutation in mutations.items():
        ids = _id_fields(mutation.args["input"].type) - {"tenant_id"}
        tried = {key for call in CALLS[name] or () for key in _keys(call(example))}
        # A hook is an automation: where one tries the flow groups, the other need not.
        shared = {"flow_group_ids"} if name == "create_flow_run_state_changed_hook" else set()
        elsewhere = {"action_id", "flow_group_id", "flow_group_ids", "project_ids"}
        elsewhere |= {"agent_config_ids", "flow_sla_config_ids"}
        shared |= elsewhere if name == "update_automation" else set()
        assert ids <= tried | shared, name


async def test_no_mutation_touches_rows_of_another_tenant(tenants: Tenants, connection: DedicatedConnection) -> None:
    before = await snapshot(connection, tenants.a_id)
    for mutation, calls in CALLS.items():
        for call in calls or ():
            with pytest.raises(GraphQLError) as caught:
                await tenants.b.write(mutation, "__typename", **call(tenants))
            assert caught.value.code in REFUSED, mutation
            assert await snapshot(connection, tenants.a_id) == before, mutation


async def test_what_a_tenant_makes_under_anothers_names_is_its_own(
    tenants: Tenants, connection: DedicatedConnection
) -> None:
    """Names, keys and labels that A has too: B's calls make B's rows, and A's stay as they are."""
    before = await snapshot(connection, tenants.a_id)
    b = tenants.b
    rows = await tenants.a.execute("{ project { name } flow { version_group_id } }")
    await b.write("set_secret", "success", name=SECRET, value=f"{CANARY} of another")
    project = await b.write("create_project", name=rows["project"][0]["name"])
    flow = await b.write(
        "create_flow",
        project_id=project["id"],
        serialized_flow={"name": "etl"},
        version_group_id=rows["flow"][0]["version_group_id"],
    )
    agent = await b.write("register_agent", name="agent", tenant_id=tenants.a_id)
    assert agent["id"] != tenants.ids["agent"]
    run = await b.run(flow["id"], scheduled_start_time="2020-01-01T00:00:00Z")
    queue = await b.write("get_runs_in_queue", "flow_run_ids", tenant_id=tenants.a_id)
    assert queue == {"flow_run_ids": [run]}
    assert (await b.execute("{ flow { id version } }"))["flow"] == [{"id": flow["id"], "version": 1}]
    assert await snapshot(connection, tenants.a_id) == before


async def test_agents_id_of_another_tenant_is_no_sign_of_life_and_takes_no_run(
    tenants: Tenants, connection: DedicatedConnection
) -> None:
    before = await snapshot(connection, tenants.a_id)
    agent = Automations(
        tenants.b.url, tenants.b.client, {**tenants.b.headers, "X-PREFECT-AGENT-ID": tenants.ids["agent"]}
    )
    await agent.write("get_runs_in_queue", "flow_run_ids")
    run = await tenants.b.run(await tenants.b.flow())
    await agent.set_state(run, "Submitted")
    data = await tenants.b.execute("{ flow_run { agent_id } }")
    assert data["flow_run"] == [{"agent_id": None}]
    assert await snapshot(connection, tenants.a_id) == before


async def test_state_of_one_tenants_run_fires_only_its_own_automations(tenants: Tenants) -> None:
    b = tenants.b
    own = await b.automation(QUIET)
    await b.set_state(await b.run(await b.flow()), "Failed")
    [delivery] = await b.settled(1)
    data = await b.execute("{ firing { automation_id tenant_id } delivery { id automation_id } }")
    assert data["firing"][0]["automation_id"] == own
    assert data["delivery"] == [{"id": delivery["id"], "automation_id": own}]
    assert len(await tenants.a.deliveries()) == 2


async def test_delivery_opens_secrets_of_its_own_tenant_only(tenants: Tenants) -> None:
    """A has a secret of this name, B has not."""
    b = tenants.b
    await b.automation({"webhook": {"url_secret": SECRET}})
    await b.set_state(await b.run(await b.flow()), "Failed")
    [delivery] = await b.settled(1)
    assert delivery["status"] == "FAILED"
    assert SECRET in delivery["reason"]
