"""Who may do what: each role with each field of the API, and each key with each tenant.

Each field is looked up in a list below, so that a new one fails here until somebody has decided whom it is for.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLObjectType

from automations.access.roles import ADMINS, AGENTS, EDITORS, EVERYBODY, RUNS, VIEWERS, Role, Roles, named
from automations.api.permissions import ROLES, check_complete
from automations.api.schema import schema
from automations.api.tables import BY_NAME, TABLES
from tests.harness import Automations, GraphQLError

NIL = "00000000-0000-0000-0000-000000000000"

TABLE_READERS: dict[str, Roles] = {
    **dict.fromkeys(
        (
            "tenant", "project", "flow_group", "flow", "task", "edge", "flow_run", "flow_run_state", "task_run",
            "task_run_state", "log", "agent", "agent_config",
        ),
        EVERYBODY,
    ),
    **dict.fromkeys(
        (
            "flow_sla_config", "flow_group_sla", "automation", "hook", "action", "firing", "delivery", "attempt",
            "destination",
        ),
        VIEWERS,
    ),
    **dict.fromkeys(("api_key", "audit_event"), ADMINS),
}  # fmt: skip

QUERIES: dict[str, Roles] = {
    "hello": EVERYBODY,
    "api": EVERYBODY,
    "auth_info": EVERYBODY,
    "get_task_run_info": EVERYBODY,
    "reference_data": EVERYBODY,
    "secret_names": EVERYBODY,
    "secret_value": RUNS,
}

MUTATIONS: dict[str, Roles] = {
    **dict.fromkeys(("create_tenant", "create_api_key", "delete_api_key"), ADMINS),
    **dict.fromkeys(
        (
            "create_automation", "update_automation", "delete_automation",
            "create_action", "update_action", "delete_action",
            "create_flow_run_state_changed_hook", "create_flow_sla_failed_hook", "create_agent_sla_failed_hook",
            "delete_hook",
            "create_flow_sla_config", "create_flow_group_sla",
            "set_secret", "delete_secret",
            "test_action", "test_automation", "redeliver",
            "create_project", "delete_project",
            "create_flow", "create_flow_from_compressed_string", "register_tasks", "register_edges",
            "archive_flow", "delete_flow", "set_schedule_active", "set_schedule_inactive",
            "create_flow_run", "cancel_flow_run", "delete_flow_run", "set_flow_run_labels",
            "create_agent_config", "update_agent_config", "delete_agent_config", "delete_agent",
        ),
        EDITORS,
    ),
    **dict.fromkeys(
        (
            "register_agent", "get_runs_in_queue",
            "set_flow_run_states", "set_flow_run_name", "update_flow_run_heartbeat",
            "get_or_create_task_run", "get_or_create_task_run_info",
            "set_task_run_states", "set_task_run_name", "update_task_run_heartbeat",
            "write_run_logs",
        ),
        AGENTS,
    ),
    "preview_message": VIEWERS,
}  # fmt: skip


@pytest.fixture(scope="session")
async def by_role(guarded_server: Automations) -> dict[Role, Automations]:
    """The guarded server with a key of each role, all of one tenant."""
    tenant = (await guarded_server.write("create_tenant", name="roles"))["id"]
    found = {}
    for role in Role:
        made = await guarded_server.write(
            "create_api_key",
            "key",
            name=role.value,
            role=role.value,
            tenant_id=tenant,
            reads_secrets=role is Role.AGENT,
        )
        found[role] = guarded_server.with_key(made["key"])
    await found[Role.ADMIN].write("set_secret", "success", name="S", value="v")
    return found


async def code_of(api: Automations, query: str, **variables: Any) -> str | None:
    """The code of the answer's first error, or None."""
    try:
        await api.execute(query, **variables)
    except GraphQLError as error:
        return str(error.code)
    return None


def test_each_field_has_somebody_who_decided_whom_it_is_for() -> None:
    query, mutation = schema._schema.query_type, schema._schema.mutation_type
    subscription = schema._schema.subscription_type
    assert query is not None
    assert mutation is not None
    assert subscription is not None
    reads = {f"{name}{form}" for name in TABLE_READERS for form in ("", "_by_pk", "_aggregate")}
    assert set(TABLE_READERS) == set(BY_NAME)
    assert set(query.fields) == reads | set(QUERIES)
    assert set(mutation.fields) == set(MUTATIONS)
    declared = {f"Query.{name}" for name in query.fields} | {f"Mutation.{name}" for name in mutation.fields}
    declared |= {f"Subscription.{name}" for name in subscription.fields}
    assert {name for name in ROLES if "." in name} == declared
    for name in subscription.fields:
        assert ROLES[f"Subscription.{name}"] == ROLES[name.removesuffix("_changed")]
    # Each type that holds rows is in the table, so that no payload and no relation leads around it.
    rows = {name for table in TABLES for name in (table.name, f"{table.name}_aggregate")}
    assert {name for name in ROLES if "." not in name} == rows
    assert all(isinstance(schema._schema.type_map[name], GraphQLObjectType) for name in rows)


def test_field_that_nobody_declared_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ROLES, "Mutation.create_action")
    with pytest.raises(LookupError, match=r"Say whom these fields are for: Mutation\.create_action\."):
        check_complete(schema._schema)


@pytest.mark.parametrize("role", Role)
async def test_role_may_call_the_mutations_that_are_for_it(by_role: dict[Role, Automations], role: Role) -> None:
    for name, roles in MUTATIONS.items():
        query = f"mutation($input: {name}_input!) {{ {name}(input: $input) {{ __typename }} }}"
        # Nobody gives an input: who may call it is told so, and who may not is refused before that.
        code = await code_of(by_role[role], query)
        assert code == ("BAD_USER_INPUT" if role in roles else "FORBIDDEN"), name


def reads() -> Iterator[tuple[str, Roles]]:
    """A document for each read, and whom it is for."""
    for name, roles in TABLE_READERS.items():
        yield f"{{ {name} {{ __typename }} }}", roles
        yield f'{{ {name}_by_pk({BY_NAME[name].key}: "{NIL}") {{ __typename }} }}', roles
        yield f"{{ {name}_aggregate {{ __typename }} }}", roles
    for name, roles in QUERIES.items():
        inner = "" if name in {"hello", "secret_names", "secret_value"} else " { __typename }"
        given = {"get_task_run_info": f'(task_run_id: "{NIL}")', "secret_value": '(name: "S")'}.get(name, "")
        yield f"{{ {name}{given}{inner} }}", roles


@pytest.mark.parametrize("role", Role)
async def test_role_may_read_what_is_for_it(by_role: dict[Role, Automations], role: Role) -> None:
    for query, roles in reads():
        assert await code_of(by_role[role], query) == (None if role in roles else "FORBIDDEN"), query


@pytest.mark.parametrize("role", Role)
async def test_relations_lead_to_nothing_that_is_for_others(by_role: dict[Role, Automations], role: Role) -> None:
    """Neither in what is asked for, nor in conditions, nor in an order, in the document or in its variables."""
    for table in TABLES:
        if role not in table.readers:
            continue
        for relation in table.relations:
            expected = None if role in TABLE_READERS[relation.table] else "FORBIDDEN"
            key = BY_NAME[relation.table].key
            inside = f"{relation.name} {{ __typename }}"
            if relation.many:
                inside += f" {relation.name}_aggregate {{ __typename }}"
            documents: list[tuple[str, dict[str, Any]]] = [
                (f"{{ {table.name} {{ {inside} }} }}", {}),
                (f"{{ {table.name} {{ ...F }} }} fragment F on {table.name} {{ ... {{ {inside} }} }}", {}),
                (f"{{ {table.name}(where: {{{relation.name}: {{}}}}) {{ __typename }} }}", {}),
                (
                    f"query($where: {table.name}_bool_exp) {{ {table.name}(where: $where) {{ __typename }} }}",
                    {"where": {"_not": {"_or": [{relation.name: {key: {"_is_null": True}}}]}}},
                ),
            ]
            if not relation.many:
                documents.append(
                    (
                        f"query($order: [{table.name}_order_by!])"
                        f" {{ {table.name}_aggregate(order_by: $order) {{ nodes {{ __typename }} }} }}",
                        {"order": [{relation.name: {key: "asc"}}]},
                    )
                )
            for query, variables in documents:
                assert await code_of(by_role[role], query, **variables) == expected, query


async def test_nothing_runs_where_one_part_is_refused(by_role: dict[Role, Automations]) -> None:
    query = """mutation { project: create_project(input: {name: "half"}) { id }
        key: create_api_key(input: {name: "half", role: admin}) { key } }"""
    assert await code_of(by_role[Role.EDITOR], query) == "FORBIDDEN"
    assert (await by_role[Role.ADMIN].execute("{ project { name } }"))["project"] == []


async def test_only_the_operation_that_is_asked_for_counts(by_role: dict[Role, Automations]) -> None:
    api = by_role[Role.VIEWER]
    document = "query A { hello } mutation B($input: delete_hook_input!) { delete_hook(input: $input) { success } }"
    for name, code in (("A", None), ("B", "FORBIDDEN")):
        response = await api.client.post(
            f"{api.url}/graphql", json={"query": document, "operationName": name}, headers=api.headers
        )
        answer = response.json()
        assert (answer["errors"][0]["extensions"]["code"] if code else answer["data"]["hello"]) == (code or "👋")


async def test_refusal_says_which_role_is_needed(by_role: dict[Role, Automations]) -> None:
    with pytest.raises(GraphQLError) as refused:
        await by_role[Role.VIEWER].write("create_project", name="x")
    assert str(refused.value) == "create_project needs the role editor or admin; this key has the role viewer."
    with pytest.raises(GraphQLError) as refused:
        await by_role[Role.AGENT].execute("{ flow_run { firings { id } } }")
    assert str(refused.value) == "firing needs the role viewer, editor or admin; this key has the role agent."


async def test_refused_role_is_403_where_the_media_type_says_so(by_role: dict[Role, Automations]) -> None:
    api = by_role[Role.AGENT]
    for accept, status in (("application/json", 200), ("application/graphql-response+json", 403)):
        response = await api.client.post(
            f"{api.url}/graphql", json={"query": "{ automation { id } }"}, headers={**api.headers, "accept": accept}
        )
        assert response.status_code == status
        assert "data" not in response.json()


@pytest.mark.parametrize("role", Role)
async def test_key_of_one_tenant_speaks_for_no_other(
    by_role: dict[Role, Automations], guarded_server: Automations, role: Role
) -> None:
    own = (await by_role[role].execute("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    theirs = (await guarded_server.write("create_tenant", name=f"beside {role.value}"))["id"]
    assert await by_role[role].as_tenant(own).execute("{ hello }")
    for tenant in (theirs, NIL):
        with pytest.raises(GraphQLError, match=f"There is no tenant {tenant}") as refused:
            await by_role[role].as_tenant(tenant).execute("{ hello }")
        assert refused.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize("role", Role)
async def test_key_for_all_tenants_speaks_for_each_in_its_role(guarded_server: Automations, role: Role) -> None:
    made = await guarded_server.write("create_api_key", "key", name=f"all {role}", role=role.value, all_tenants=True)
    tenants = [(await guarded_server.write("create_tenant", name=f"{n} of all {role}"))["id"] for n in range(2)]
    api = guarded_server.with_key(made["key"])
    for tenant in tenants:
        there = api.as_tenant(tenant)
        assert (await there.execute("{ tenant { id } }"))["tenant"][0] == {"id": tenant}
        query = "mutation($input: create_project_input!) { create_project(input: $input) { id } }"
        assert await code_of(there, query, input={"name": "x"}) == (None if role in EDITORS else "FORBIDDEN")


def test_roles_are_named_from_the_least_on() -> None:
    assert named(RUNS) == "agent"
    assert named(ADMINS) == "admin"
    assert named(EDITORS) == "editor or admin"
    assert named(VIEWERS) == "viewer, editor or admin"
    assert named(AGENTS) == "agent, editor or admin"
