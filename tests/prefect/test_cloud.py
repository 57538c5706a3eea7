"""What only the cloud mode of the client does: it logs in, names its tenant, and reads secrets."""

from uuid import UUID

import orjson
import pytest

from automations.access.keys import create_key
from automations.access.roles import Role
from automations.database import DedicatedConnection
from automations.orchestration.tenants import create_tenant
from tests.canaries import CANARY
from tests.harness import Automations, eventually
from tests.prefect.client import ClientFailed, Prefect
from tests.prefect.test_runs import children, reach, show

pytestmark = pytest.mark.parametrize("mode", ["cloud"])

PASSWORD = f"{CANARY}-in-a-flow"


async def test_person_logs_in_with_a_key(prefect: Prefect, keys: dict[Role, str]) -> None:
    del prefect.settings["PREFECT__CLOUD__API_KEY"]
    with pytest.raises(ClientFailed, match=r"Unauthorized\. Invalid Prefect Cloud API key"):
        await prefect.cli("auth", "login", "--key", keys[Role.EDITOR][:-1] + "x")
    assert "Logged in" in await prefect.cli("auth", "login", "--key", keys[Role.EDITOR])
    assert "default" in await prefect.cli("auth", "list-tenants")
    await prefect.cli("create", "project", "by hand")
    assert "by hand" in await prefect.cli("get", "projects")


async def test_operator_switches_tenants_by_slug(
    connection: DedicatedConnection, tenant_id: UUID, prefect: Prefect
) -> None:
    key = await create_key(connection, tenant_id, name="all", role=Role.ADMIN, all_tenants=True)
    await create_tenant(connection, name="Research", slug=None)
    del prefect.settings["PREFECT__CLOUD__API_KEY"]
    assert "tenant 'default'" in await prefect.cli("auth", "login", "--key", key.text)
    assert "research" in await prefect.cli("auth", "list-tenants")
    assert "Tenant switched" in await prefect.cli("auth", "switch-tenants", "--slug", "research")
    await prefect.cli("create", "project", "theirs")
    owner = await connection.fetchval("SELECT slug FROM project JOIN tenant ON tenant.id = project.tenant_id")
    assert owner == "research"


async def test_flow_run_reads_a_secret_that_no_log_shows(server: Automations, prefect: Prefect) -> None:
    await server.write("set_secret", "success", name="TOKEN", value={"password": PASSWORD})
    flow = (await prefect.register("secretive"))["secretive"]
    async with prefect.agent() as agent:
        run = await reach(server, await server.run(flow), "Success", "Failed")
        assert run["state"] == "Success", agent.output

        async def logged() -> bool:
            lines = (await show(server, run["id"]))["logs"]
            return f"the secret has {len(PASSWORD)} letters" in [line["message"] for line in lines]

        await eventually(logged)
        assert PASSWORD not in agent.output + orjson.dumps(await show(server, run["id"])).decode()
        missing = await reach(server, await server.run(flow, parameters={"name": "OTHER"}), "Success", "Failed")
        assert children(missing, "open_secret-1") == [(-1, "Failed")]

        async def told() -> bool:
            lines = (await show(server, missing["id"]))["logs"]
            return any("The secret OTHER was not found" in line["message"] for line in lines)

        await eventually(told)
