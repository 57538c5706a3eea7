"""Secrets over the API: set, replaced, deleted, and read by nobody but flow runs whose key says so."""

import asyncio
from typing import Any

import pytest
import structlog

from automations.api.tables import TABLES
from automations.database import Database, DedicatedConnection
from tests.api.firing import run_enters
from tests.api.test_automations import refused
from tests.canaries import CANARY
from tests.harness import Automations, GraphQLError

VALUE = f"{CANARY}-in-a-test"


async def names(api: Automations) -> Any:
    return (await api.execute("{ secret_names }"))["secret_names"]


async def test_names_are_listed_in_order(api: Automations) -> None:
    for name in ("b", "a", "Ü", "with space"):
        assert await api.write("set_secret", "success error", name=name, value=VALUE) == {
            "success": True,
            "error": None,
        }
    assert await names(api) == ["a", "b", "with space", "Ü"]


@pytest.mark.parametrize("value", ["text", "", 5, 1.5, True, [1, "x"], {"a": {"b": None}}, "\0", "é" * 30_000])
async def test_any_json_may_be_a_secret(api: Automations, value: Any) -> None:
    await api.write("set_secret", "success", name="S", value=value)
    assert await names(api) == ["S"]


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "new\nline", "nul\0", "\x7f"])
async def test_name_that_cannot_be_used_is_refused(api: Automations, name: str) -> None:
    message = await refused(api, "set_secret", name=name, value=VALUE)
    assert message == "name must have 1 to 255 characters and no control characters."
    assert VALUE not in message
    assert await names(api) == []


async def test_value_has_64_kilobytes_at_most(api: Automations) -> None:
    message = await refused(api, "set_secret", name="S", value=VALUE * 3000)
    assert message.startswith("value has 84002 bytes; a secret may have 64000.")


async def test_concurrent_writes_of_one_secret_leave_one(api: Automations) -> None:
    await asyncio.gather(*(api.write("set_secret", "success", name="S", value=n) for n in range(8)))
    assert await names(api) == ["S"]


async def test_deleted_secret_is_gone(api: Automations) -> None:
    await api.write("set_secret", "success", name="S", value=VALUE)
    await api.write("delete_secret", "success", name="S")
    assert await names(api) == []
    assert await refused(api, "delete_secret", "NOT_FOUND", name="S") == "There is no secret 'S'."


async def test_no_read_shows_a_secret(server: Automations) -> None:
    """Everything that can be read is read, after a secret was used in every way there is."""
    await server.write("set_secret", "success", name="TOKEN", value=f"http://127.0.0.1:49151/{VALUE}")
    await server.write("set_secret", "success", name="DATA", value={"password": VALUE})
    await server.automation(
        {"slack_notification": {"webhook_url_secret": "TOKEN", "message": "x"}},
        {"webhook": {"url_secret": "TOKEN", "signing_secret": "DATA"}},
        {"webhook": {"url": "http://127.0.0.1:49151/", "signing_secret": "TOKEN"}},
    )
    await run_enters(server, await server.flow(), "Failed")
    deliveries = await server.settled(3)
    assert {row["status"] for row in deliveries} <= {"PENDING", "FAILED"}
    for table in TABLES:
        columns = " ".join(column.name for column in table.columns)
        response = await server.client.post(
            f"{server.url}/graphql", json={"query": f"{{ {table.name}(limit: 1000) {{ {columns} }} }}"}
        )
        assert '"errors"' not in response.text
        assert VALUE not in response.text
    schema = await server.client.post(
        f"{server.url}/graphql", json={"query": "{ __schema { types { name fields { name } } } }"}
    )
    assert "sealed" not in schema.text


async def test_secret_is_sealed_in_the_database(server: Automations, connection: DedicatedConnection) -> None:
    await server.write("set_secret", "success", name="S", value=VALUE)
    sealed = await connection.fetchval("SELECT sealed FROM automations.secret")
    assert VALUE.encode() not in sealed
    await server.write("set_secret", "success", name="S", value=VALUE)
    assert await connection.fetchval("SELECT sealed FROM automations.secret") != sealed


async def key(guarded: Automations, **more: Any) -> Automations:
    made = await guarded.write("create_api_key", "key", **{"name": "runs", "role": "agent", **more})
    return guarded.with_key(made["key"])


async def read(api: Automations, name: str = "S") -> Any:
    return (await api.execute("query($name: String!) { secret_value(name: $name) }", name=name))["secret_value"]


@pytest.mark.parametrize("value", ["text", "", '{"a": 1}', 5, False, [1, "x"], {"a": {"b": None}}])
async def test_flow_run_reads_a_secret_with_a_key_that_may(guarded: Automations, value: Any) -> None:
    await guarded.write("set_secret", "success", name="S", value=value)
    runs = await key(guarded, reads_secrets=True)
    assert await read(runs) == value
    assert await names(runs) == ["S"]
    with pytest.raises(GraphQLError) as missing:
        await read(runs, "T")
    assert (str(missing.value), missing.value.code) == ("No value found for the requested key", "NOT_FOUND")


async def test_nobody_else_reads_a_secret(guarded: Automations, api: Automations) -> None:
    """No person, no agent whose key was not made for it, and nobody where no key is needed."""
    for refuses in (guarded, api):
        await refuses.write("set_secret", "success", name="S", value=VALUE)
    for refuses in (guarded, await key(guarded), api):
        with pytest.raises(GraphQLError) as caught:
            await read(refuses)
        assert caught.value.code == "FORBIDDEN"
        assert VALUE not in str(caught.value)
    with pytest.raises(GraphQLError, match="made with reads_secrets"):
        await names(await key(guarded, name="another"))


async def test_secret_of_another_tenant_is_not_found(guarded: Automations, guarded_server: Automations) -> None:
    await guarded_server.write("set_secret", "success", name="THEIRS", value=VALUE)
    with pytest.raises(GraphQLError, match="No value found"):
        await read(await key(guarded, reads_secrets=True), "THEIRS")


async def test_reading_a_secret_leaves_its_name_in_the_log_and_no_value(
    guarded: Automations, capsys: pytest.CaptureFixture[str]
) -> None:
    await guarded.write("set_secret", "success", name="S", value=VALUE)
    with structlog.testing.capture_logs() as lines:
        assert await read(await key(guarded, reads_secrets=True)) == VALUE
    [line] = [line for line in lines if line["event"] == "a flow run read a secret"]
    assert (line["secret"], line["key"]) == ("S", "runs")
    assert VALUE not in str(lines) + capsys.readouterr().out


async def test_secret_that_does_not_open_is_told_of(guarded: Automations, shared_url: str) -> None:
    await guarded.write("set_secret", "success", name="S", value=VALUE)
    runs = await key(guarded, reads_secrets=True)
    connection = await Database(shared_url).dedicated()
    tenant = (await runs.execute("{ auth_info { tenant_id } }"))["auth_info"]["tenant_id"]
    await connection.execute(
        "UPDATE automations.secret SET sealed = sealed || decode('00', 'hex') WHERE tenant_id = $1", tenant
    )
    await connection.close()
    with pytest.raises(GraphQLError, match="'S' does not open") as caught:
        await read(runs)
    assert caught.value.code == "CONFLICT"
