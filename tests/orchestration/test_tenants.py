"""What one tenant has is not there for another, whatever ids and names it knows."""

from uuid import UUID

from automations.database import DedicatedConnection
from tests.harness import Automations
from tests.orchestration.asking import agent, agent_id, by_pk, other_tenant, refused


async def test_projects_and_flows_of_another_tenant_are_not_there(api: Automations) -> None:
    other = await other_tenant(api)
    flow = await api.flow()
    project = (await by_pk(api, "flow", flow, "project_id"))["project_id"]
    message = await refused(other, "NOT_FOUND", "create_flow", project_id=project, serialized_flow={"name": "etl"})
    assert project in message
    for mutation in ("set_schedule_active", "set_schedule_inactive", "create_flow_run"):
        assert flow in await refused(other, "NOT_FOUND", mutation, flow_id=flow)


async def test_project_and_version_group_of_one_name_are_each_tenants_own(api: Automations) -> None:
    flows = []
    for tenant in (api, await other_tenant(api)):
        project = (await tenant.write("create_project", name="data"))["id"]
        made = await tenant.write(
            "create_flow",
            project_id=project,
            serialized_flow={"name": "etl"},
            version_group_id="group",
            idempotency_key="hash",
        )
        run = (await tenant.write("create_flow_run", version_group_id="group"))["id"]
        row = await by_pk(tenant, "flow", made["id"], "version archived flow_group_id")
        flows.append(row["flow_group_id"])
        assert (row["version"], row["archived"]) == (1, False)
        assert await by_pk(tenant, "flow_run", run, "flow_id") == {"flow_id": made["id"]}
    assert flows[0] != flows[1]
    assert (await api.execute("{ flow { archived } }"))["flow"] == [{"archived": False}]


async def test_agent_of_another_tenant_is_neither_alive_nor_forgotten_by_us(api: Automations) -> None:
    other, worker = await other_tenant(api), await agent(api)
    posing = Automations(api.url, api.client, {**other.headers, "X-PREFECT-AGENT-ID": agent_id(worker)})
    theirs = await other.run(await other.flow())
    answer = await posing.write("get_runs_in_queue", "flow_run_ids", tenant_id=api.headers["X-PREFECT-TENANT-ID"])
    assert answer["flow_run_ids"] == [theirs]
    await posing.set_state(theirs, "Submitted")
    assert await by_pk(other, "flow_run", theirs, "state agent_id") == {"state": "Submitted", "agent_id": None}
    await refused(other, "NOT_FOUND", "delete_agent", agent_id=agent_id(worker))
    assert await by_pk(api, "agent", agent_id(worker), "last_queried") == {"last_queried": None}


async def test_same_agent_in_another_tenant_is_another_one(api: Automations) -> None:
    assert agent_id(await agent(api)) != agent_id(await agent(await other_tenant(api)))


async def test_agent_config_of_another_tenant_is_refused(api: Automations, sql: DedicatedConnection) -> None:
    theirs = UUID((await other_tenant(api)).headers["X-PREFECT-TENANT-ID"])
    statement = "INSERT INTO public.agent_config (tenant_id) VALUES ($1) RETURNING id"
    config = str(await sql.fetchval(statement, theirs))
    assert config in await refused(api, "NOT_FOUND", "register_agent", agent_config_id=config)
