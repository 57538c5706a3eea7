"""Nothing of one tenant is visible to another, or touched by it: every table, and every mutation that takes an id."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLInputObjectType, GraphQLNamedType, GraphQLObjectType, get_named_type, is_leaf_type

from automations.api.schema import schema
from automations.api.tables import TABLES, Table
from automations.database import DedicatedConnection
from tests.harness import Automations, GraphQLError, running
from tests.receivers import Receiver

Ids = dict[str, str]


class Two:
    """Two tenants of one server: the owner has a row in every table, the stranger has none."""

    def __init__(self, owner: Automations, stranger: Automations, ids: Ids) -> None:
        self.owner, self.stranger, self.ids = owner, stranger, ids


@pytest.fixture
async def two(database_url: str, tmp_path: Path, connection: DedicatedConnection) -> AsyncIterator[Two]:
    async with running(database_url, tmp_path) as server, Receiver() as receiver:
        mine, other = [(await server.write("create_tenant", name=f"team {uuid4()}"))["id"] for _ in range(2)]
        owner, stranger = server.as_tenant(mine), server.as_tenant(other)
        config = await connection.fetchval("INSERT INTO agent_config (tenant_id) VALUES ($1) RETURNING id::text", mine)
        agent = (await owner.write("register_agent", name="a", agent_config_id=config))["id"]
        action = (await owner.write("create_action", config={"webhook": {"url": receiver.url}}))["id"]
        automation = await owner.automation({"action_id": action})
        project = (await owner.write("create_project", name="p"))["id"]
        flow = (await owner.write("create_flow", project_id=project, serialized_flow={"name": "f"}))["id"]
        run = await owner.run(flow)
        await owner.write("set_secret", "success", name="SECRET", value="x")
        await owner.set_state(run, "Failed")
        await owner.settled(1)
        ids = {
            "tenant": mine,
            "project": project,
            "flow": flow,
            "flow_run": run,
            "agent": agent,
            "agent_config": config,
            "automation": automation,
            "hook": automation,
            "action": action,
        }
        for table in TABLES:
            if table.name not in ids:
                ids[table.name] = (await owner.execute(f"{{ {table.name}(limit: 1) {{ id }} }}"))[table.name][0]["id"]
        yield Two(owner, stranger, ids)


async def test_stranger_sees_no_row_of_any_table(two: Two) -> None:
    for table in TABLES:
        id_ = two.ids[table.name]
        query = f"""{{
            all: {table.name} {{ id }}
            one: {table.name}_by_pk(id: "{id_}") {{ id }}
            filtered: {table.name}(where: {{id: {{_eq: "{id_}"}}}}) {{ id }}
            counted: {table.name}_aggregate(where: {{id: {{_eq: "{id_}"}}}}) {{ aggregate {{ count }} nodes {{ id }} }}
        }}"""
        seen = await two.owner.execute(query)
        assert seen["one"] == {"id": id_}, table.name
        assert seen["counted"] == {"aggregate": {"count": 1}, "nodes": [{"id": id_}]}, table.name
        hidden = await two.stranger.execute(query)
        assert id_ not in [row["id"] for row in hidden["all"]], table.name
        assert hidden["one"] is None, table.name
        assert hidden["filtered"] == [], table.name
        assert hidden["counted"] == {"aggregate": {"count": 0}, "nodes": []}, table.name
    assert await two.stranger.execute("{ secret_names }") == {"secret_names": []}
    assert await two.owner.execute("{ secret_names }") == {"secret_names": ["SECRET"]}


async def test_relations_of_a_strangers_rows_do_not_reach_across(two: Two, connection: DedicatedConnection) -> None:
    """Even where a row of one tenant refers to another's, by a mistake of somebody who wrote both."""
    other = two.stranger.headers["X-PREFECT-TENANT-ID"]
    for table in TABLES:
        for relation in table.relations:
            await refer(connection, table, relation.name, two.ids, other)
    for table in TABLES:
        fields = " ".join(f"{relation.name} {{ id }}" for relation in table.relations if relation.table != "tenant")
        if fields:
            rows = (await two.stranger.execute(f"{{ {table.name} {{ id {fields} }} }}"))[table.name]
            reached = [value for row in rows for name, value in row.items() if name != "id" and value]
            assert not any(id_ in str(reached) for id_ in two.ids.values()), table.name


async def refer(connection: DedicatedConnection, table: Table, relation_name: str, ids: Ids, other: str) -> None:
    """Give the stranger a project whose columns point at the owner's rows, where the table allows it."""
    if (table.name, relation_name) == ("flow", "project"):
        await connection.execute(
            "INSERT INTO flow (tenant_id, name, project_id, flow_group_id) VALUES ($1, 'x', $2, $3)",
            other, ids["project"], ids["flow_group"],
        )  # fmt: skip
    if (table.name, relation_name) == ("flow_run", "flow"):
        await connection.execute(
            "INSERT INTO flow_run (tenant_id, flow_id, agent_id) VALUES ($1, $2, $3)", other, ids["flow"], ids["agent"]
        )
    if (table.name, relation_name) == ("flow_run_state", "flow_run"):
        await connection.execute(
            "INSERT INTO flow_run_state (tenant_id, flow_run_id, state, version) VALUES ($1, $2, 'Running', 0)",
            other, ids["flow_run"],
        )  # fmt: skip


Call = Callable[[Automations, Ids], Awaitable[Any]]

# What each mutation is given that names a row of the owner; every mutation with an id in its input must be here.
CALLS: dict[str, dict[str, Any]] = {
    "create_flow": {"project_id": "project", "serialized_flow": {"name": "f"}},
    "create_flow_run": {"flow_id": "flow"},
    "set_schedule_active": {"flow_id": "flow"},
    "set_schedule_inactive": {"flow_id": "flow"},
    "set_flow_run_states": {"states": [{"flow_run_id": "flow_run", "state": {"type": "Running"}}]},
    "cancel_flow_run": {"flow_run_id": "flow_run"},
    "delete_flow_run": {"flow_run_id": "flow_run"},
    "register_agent": {"name": "b", "agent_config_id": "agent_config"},
    "delete_agent": {"agent_id": "agent"},
    "create_automation": {
        "name": "x",
        "event": {"flow_run_state_changed": {"states": ["Failed"]}},
        "actions": [{"action_id": "action"}],
    },
    "update_automation": {"automation_id": "automation", "name": "taken"},
    "delete_automation": {"automation_id": "automation"},
    "update_action": {"action_id": "action", "name": "taken"},
    "delete_action": {"action_id": "action"},
    "create_flow_run_state_changed_hook": {"action_id": "action", "states": ["Failed"]},
    "delete_hook": {"hook_id": "hook"},
}
# The tenant is the caller's whatever the input says.
IGNORED = {"get_runs_in_queue": "tenant_id"}


def id_fields(type_: GraphQLNamedType, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of UUID fields anywhere inside an input."""
    if isinstance(type_, GraphQLInputObjectType) and type_.name not in seen:
        for name, field in type_.fields.items():
            inner = get_named_type(field.type)
            if inner.name in {"UUID", "uuid"}:
                yield name
            yield from id_fields(inner, seen | {type_.name})


def mutations_with_ids() -> set[str]:
    """Every mutation whose input names a row."""
    mutations = schema._schema.mutation_type
    assert mutations is not None
    return {
        name for name, field in mutations.fields.items() if any(id_fields(get_named_type(field.args["input"].type)))
    }


def test_every_mutation_with_an_id_is_covered() -> None:
    assert mutations_with_ids() == set(CALLS) | set(IGNORED)


def filled(value: Any, ids: Ids, key: str = "") -> Any:
    """A call's input with the owner's ids in it."""
    if isinstance(value, dict):
        return {name: filled(item, ids, name) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return ids[value] if key.endswith("_id") else value


async def test_stranger_cannot_use_or_change_a_row(two: Two) -> None:
    before = await everything(two.owner)
    for mutation, input_ in CALLS.items():
        assert schema._schema.mutation_type is not None
        payload = get_named_type(schema._schema.mutation_type.fields[mutation].type)
        assert isinstance(payload, GraphQLObjectType)
        leaves = [name for name, field in payload.fields.items() if is_leaf_type(get_named_type(field.type))]
        with pytest.raises(GraphQLError) as refused:
            await two.stranger.write(mutation, " ".join(leaves) or "__typename", **filled(input_, two.ids))
        assert refused.value.code in {"NOT_FOUND", "BAD_USER_INPUT"}, mutation
        assert await everything(two.owner) == before, mutation


@pytest.mark.parametrize("kind", ["flow_group_ids", "project_ids"])
async def test_stranger_cannot_watch_flows_of_another(two: Two, kind: str) -> None:
    watched = {"flow_group_ids": two.ids["flow_group"], "project_ids": two.ids["project"]}[kind]
    with pytest.raises(GraphQLError, match="do not exist"):
        await two.stranger.automation(
            {"cancel_flow_run": {}}, event={"flow_run_state_changed": {"states": ["Failed"], kind: [watched]}}
        )


async def test_automation_for_all_flows_does_not_fire_for_another_tenant(two: Two) -> None:
    await two.stranger.automation({"cancel_flow_run": {}}, event={"flow_run_state_changed": {"state_group": "ALL"}})
    await two.owner.set_state(await two.owner.run(two.ids["flow"]), "Failed")
    await two.owner.settled(2)
    assert await two.stranger.deliveries() == []


async def test_unknown_tenant_is_refused(two: Two) -> None:
    with pytest.raises(GraphQLError) as refused:
        await two.owner.as_tenant(str(uuid4())).execute("{ tenant { id } }")
    assert refused.value.code == "UNAUTHENTICATED"


async def everything(server: Automations) -> Any:
    """Every row that a tenant has, with every column."""
    query = " ".join(
        f"{table.name}(order_by: {{id: asc}}) {{ {' '.join(column.name for column in table.columns)} }}"
        for table in TABLES
    )
    return await server.execute(f"{{ {query} secret_names }}")
