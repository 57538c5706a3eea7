"""A server that is attached to an existing backend's database: it watches, and alters nothing."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from automations import doctor
from automations.access.keys import create_key
from automations.access.roles import Role
from automations.api.permissions import ON_BACKEND
from automations.api.schema import schema
from automations.api.tables import TABLES
from automations.attachment import find_backend
from automations.database import Database
from automations.migrations import MigrationError, available, migrate
from tests.api.firing import QUIET
from tests.attached.conftest import Attached
from tests.attached.theirs import GRANTS, Theirs, contents, objects
from tests.harness import Automations, GraphQLError, eventually, running

OURS = ["schema automations", "trigger CREATE TRIGGER automations_capture", "trigger CREATE TRIGGER automations_note"]


@pytest.fixture(params=[True, False], ids=["with tenants", "without tenants"])
def names_tenants(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_attaching_adds_our_schema_and_two_triggers_and_nothing_else(theirs: Theirs) -> None:
    flow = await theirs.flow()
    await theirs.enter(await theirs.run(flow.id), "Failed")
    before, rows = await objects(theirs.connection), await contents(theirs.connection)
    applied = await migrate(theirs.connection)
    assert {migration.set_name for migration in applied} == {"automations"}
    after = await objects(theirs.connection)
    assert before <= after
    added = sorted(f"{kind} {text}" for kind, text in after - before)
    assert [text[: len(ours)] for text, ours in zip(added, OURS, strict=True)] == OURS
    assert await contents(theirs.connection) == rows


async def test_whole_life_of_a_server_writes_nothing_into_their_tables(
    watched: Theirs, attached_url: str, tmp_path: Path
) -> None:
    run = await watched.run((await watched.flow()).id)
    rows = await contents(watched.connection)
    async with running(attached_url, tmp_path, heartbeat_seconds=0.01) as api:
        late = {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}}
        await api.automation(QUIET, event=late)
        for table in TABLES:
            await api.execute(f"{{ {table.name} {{ {table.key} }} }}")
        await api.settled(1)
    assert await contents(watched.connection) == rows
    assert await watched.state(run) == "Scheduled"


async def test_backend_that_lacks_what_is_needed_is_left_as_it_was(theirs: Theirs) -> None:
    await theirs.connection.execute("DROP TABLE log; ALTER TABLE agent DROP COLUMN last_queried")
    before = await objects(theirs.connection)
    with pytest.raises(MigrationError, match=r"lacks agent.last_queried, log.flow_run_id, log.id, .* Upgrade that"):
        await migrate(theirs.connection)
    assert await objects(theirs.connection) == before


async def test_backend_without_a_tenant_is_left_as_it_was(theirs: Theirs) -> None:
    await theirs.connection.execute("DELETE FROM tenant")
    before = await objects(theirs.connection)
    with pytest.raises(MigrationError, match="no tenant yet"):
        await migrate(theirs.connection)
    assert await objects(theirs.connection) == before


async def test_backend_at_work_is_not_held_up_for_long(
    theirs: Theirs, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = await Database(empty_database_url).dedicated()
    run = await theirs.run((await theirs.flow()).id)
    monkeypatch.setattr(
        "automations.attachment.wait_briefly", lambda connection: connection.execute("SET lock_timeout = '50ms'")
    )
    async with busy.transaction():
        await busy.execute(
            "INSERT INTO flow_run_state (flow_run_id, state, serialized_state) VALUES ($1, 'Paused', '{}')", run
        )
        with pytest.raises(MigrationError, match="start again"):
            await migrate(theirs.connection)
    await busy.close()
    await migrate(theirs.connection)
    assert [migration.version for migration in available("automations")][-1] == await theirs.value(
        "SELECT max(version) FROM automations.migration WHERE set_name = 'automations'"
    )


async def test_rows_are_read_whoever_wrote_them(attached: Attached) -> None:
    theirs, api = attached.theirs, attached.api
    flow = await theirs.flow()
    run = await theirs.run(flow.id)
    await theirs.log(run, "line")
    data = await api.execute(
        """query($run: uuid!) {
            flow_run_by_pk(id: $run) {
                name state version tenant_id times_resurrected
                states(order_by: {version: asc}) { state tenant_id }
                logs { message created updated }
                task_runs { state map_index task { slug max_retries } states { state } }
                flow { name version tenant_id project { name tenant_id } flow_group { tenant_id flows { id } } }
            }
            flow_run(where: {flow: {name: {_eq: "etl"}}, state: {_eq: "Scheduled"}}, order_by: {created: desc}) { id }
            flow_run_aggregate(distinct_on: state) { aggregate { count max { times_resurrected } } }
            log(where: {created: {_is_null: false}}) { message }
        }""",
        run=str(run),
    )
    tenant = str(theirs.tenant_id)
    shown = data["flow_run_by_pk"]
    assert (shown["name"], shown["state"], shown["version"], shown["tenant_id"]) == ("nightly", "Scheduled", 1, tenant)
    assert shown["times_resurrected"] == 0
    assert shown["states"] == [{"state": state, "tenant_id": tenant} for state in ("Pending", "Scheduled")]
    [line] = shown["logs"]
    assert line["message"] == "line"
    assert line["created"] == line["updated"] is not None
    assert shown["task_runs"] == [
        {"state": "Pending", "map_index": -1, "task": {"slug": "", "max_retries": 0}, "states": [{"state": "Pending"}]}
    ]
    assert (shown["flow"]["name"], shown["flow"]["version"], shown["flow"]["tenant_id"]) == ("etl", 1, tenant)
    assert shown["flow"]["flow_group"] == {"tenant_id": tenant, "flows": [{"id": str(flow.id)}]}
    assert data["flow_run"] == [{"id": str(run)}]
    assert data["flow_run_aggregate"]["aggregate"] == {"count": 1, "max": {"times_resurrected": 0}}
    assert data["log"] == [{"message": "line"}]


async def test_every_column_of_every_table_can_be_read(attached: Attached) -> None:
    run = await attached.theirs.run((await attached.theirs.flow()).id)
    await attached.theirs.log(run, "line")
    await attached.theirs.agent()
    for table in TABLES:
        fields = " ".join(column.name for column in table.columns)
        rows = (await attached.api.execute(f"{{ {table.name} {{ {fields} }} }}"))[table.name]
        promised = [column.name for column in table.columns if not column.nullable]
        assert all(row[name] is not None for row in rows for name in promised), table.name


async def test_tenants_stay_apart(attached: Attached) -> None:
    other = await attached.theirs.value("INSERT INTO tenant (name, slug) VALUES ('b', 'b') RETURNING id")
    await attached.theirs.log(await attached.theirs.run((await attached.theirs.flow()).id), "line")
    stranger = attached.api.as_tenant(str(other))
    for table in ("project", "flow_group", "flow", "task", "flow_run", "flow_run_state", "task_run", "log"):
        assert (await stranger.execute(f"{{ {table} {{ id }} }}"))[table] == [], table
        assert (await attached.api.execute(f"{{ {table} {{ id }} }}"))[table] != [], table


async def test_keys_work_beside_them(watched: Theirs, attached_url: str, tmp_path: Path) -> None:
    other = await watched.value("INSERT INTO tenant (name, slug) VALUES ('B', 'b') RETURNING id")
    made = await create_key(watched.connection, watched.tenant_id, name="all", role=Role.ADMIN, all_tenants=True)
    async with running(attached_url, tmp_path, auth="on") as api:
        operator = api.with_key(made.text)
        assert await slugs(operator) == ["default", "b"]
        assert await slugs(operator.as_tenant(str(other))) == ["b", "default"]
        viewer = await operator.write("create_api_key", "key", name="viewer", role="viewer")
        assert await slugs(api.with_key(viewer["key"])) == ["default"]


async def slugs(api: Automations) -> list[str]:
    """Of the tenants that a caller sees."""
    return [tenant["slug"] for tenant in (await api.execute("{ tenant { slug name } }"))["tenant"]]


async def test_automations_fire_on_their_rows(attached: Attached) -> None:
    theirs, api = attached.theirs, attached.api
    flow, other = await theirs.flow(), await theirs.flow("other")
    event = {"states": ["Failed"], "flow_group_ids": [str(flow.flow_group_id)], "project_ids": [str(flow.project_id)]}
    await api.automation(QUIET, event={"flow_run_state_changed": event})
    for one in (other, flow):
        run = await theirs.run(one.id)
        await theirs.enter(run, "Running")
        await theirs.enter(run, "Failed", "disk full")
    await api.settled(1)
    [firing] = (await api.execute("{ firing { event flow_run { id } } }"))["firing"]
    assert firing["flow_run"] == {"id": str(run)}
    assert (firing["event"]["state_message"], firing["event"]["tenant_slug"]) == ("disk full", "default")


async def test_runs_of_theirs_are_late(attached: Attached) -> None:
    theirs, api = attached.theirs, attached.api
    open_already = await theirs.run((await theirs.flow()).id)
    await api.automation(
        QUIET, event={"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}}, name="late"
    )
    run = await theirs.run((await theirs.flow("other")).id)
    await api.settled(2)
    rows = (await api.execute("{ firing { event_type flow_run_id } }"))["firing"]
    assert {row["event_type"] for row in rows} == {"FlowSLAFailedEvent"}
    assert {row["flow_run_id"] for row in rows} == {str(run), str(open_already)}


async def test_agents_of_theirs_go_quiet(attached: Attached) -> None:
    config = await attached.theirs.agent(seconds_silent=60)
    event = {"agent_sla_failed": {"agent_config_ids": [str(config)], "unhealthy_after_seconds": 1}}
    await attached.api.automation(QUIET, event=event)
    await attached.api.settled(1, 20)


async def test_changes_of_their_runs_are_told_to_subscribers(attached: Attached) -> None:
    run = await attached.theirs.run((await attached.theirs.flow()).id)
    heard: list[str] = []

    async def listen() -> None:
        headers = {"Accept": "text/event-stream"}
        query = {"query": f'subscription {{ flow_run_changed(flow_run_id: "{run}") {{ state tenant_id }} }}'}
        async with attached.api.client.stream(
            "POST", f"{attached.api.url}/graphql", json=query, headers=headers
        ) as answer:
            async for line in answer.aiter_lines():
                heard.append(line)  # noqa: PERF401 - it is looked at while it grows

    async def is_listened_for() -> bool:
        return bool(await attached.theirs.value("SELECT count(*) FROM automations.change_listener"))

    async def is_heard() -> bool:
        return any('"Running"' in line and str(attached.theirs.tenant_id) in line for line in heard)

    listening = asyncio.create_task(listen())
    await eventually(is_listened_for)
    await attached.theirs.enter(run, "Running")
    await eventually(is_heard)
    listening.cancel()


async def test_what_is_theirs_to_do_is_refused_with_where_to_go(attached: Attached) -> None:
    api, flow = attached.api, await attached.theirs.flow()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_flow_run", {"flow_id": str(flow.id)}),
        ("create_project", {"name": "p"}),
        ("register_agent", {"name": "a"}),
        ("create_agent_config", {"name": "a"}),
        ("create_tenant", {"name": "t"}),
    ]
    before = await contents(attached.theirs.connection)
    for name, input_ in calls:
        with pytest.raises(
            GraphQLError, match=f"{name} is not for this server.*Send it to that backend's API"
        ) as refused:
            await api.write(name, **input_)
        assert refused.value.code == "CONFLICT"
    with pytest.raises(GraphQLError, match="get_runs_in_queue is not for this server"):
        await api.execute(
            'mutation { set_secret(input: {name: "A", value: "x"}) { success }'
            " get_runs_in_queue(input: {}) { flow_run_ids } }"
        )
    assert (await api.execute("{ secret_names }")) == {"secret_names": []}
    assert await contents(attached.theirs.connection) == before


def test_each_mutation_is_known_to_write_to_the_watched_tables_or_not() -> None:
    mutations = schema._schema.mutation_type
    assert mutations is not None
    ours = (
        "create_automation update_automation delete_automation create_action update_action delete_action set_secret "
        "delete_secret create_flow_run_state_changed_hook create_flow_sla_failed_hook create_agent_sla_failed_hook "
        "delete_hook create_flow_sla_config create_flow_group_sla create_api_key delete_api_key test_action "
        "test_automation preview_message redeliver"
    ).split()
    assert set(mutations.fields) == {name.removeprefix("Mutation.") for name in ON_BACKEND} | set(ours)


async def test_own_tables_are_not_attached(database_url: str) -> None:
    connection = await Database(database_url).dedicated()
    assert not (await find_backend(connection)).is_attached
    await connection.close()


async def test_account_that_may_write_nothing_of_theirs_is_enough(
    theirs: Theirs, empty_database_url: str, tmp_path: Path
) -> None:
    """With what docs/attaching.md asks for: from attaching to firing, and every read."""
    role, name = f"watcher_{uuid4().hex[:8]}", await theirs.value("SELECT current_database()")
    await theirs.connection.execute(
        f'CREATE ROLE {role}; ALTER DATABASE "{name}" SET role = {role};'  # the role of connections to come
        + GRANTS.replace("prefect_server", f'"{name}"').replace("TO automations", f"TO {role}")
    )
    try:
        account = await Database(empty_database_url).dedicated()
        assert await account.fetchval("SELECT current_user") == role
        assert await doctor.queries.missing_privileges(account, is_attached=True) == []
        await migrate(account)
        assert await doctor.queries.missing_privileges(account, is_attached=True) == []
        await account.close()
        async with running(empty_database_url, tmp_path) as api:
            await api.automation(QUIET)
            late = {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}}
            await api.automation(QUIET, event=late)
            flow = await theirs.flow()
            await theirs.run(flow.id)
            await theirs.enter(await theirs.run(flow.id), "Failed")
            await api.settled(2)
            for table in TABLES:
                await api.execute(f"{{ {table.name} {{ {table.key} }} }}")
    finally:
        await theirs.connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
