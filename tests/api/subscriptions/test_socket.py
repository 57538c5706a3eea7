"""The protocol graphql-transport-ws, spoken by hand: every close code, and what comes in which order."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.exceptions import InvalidStatus

from tests.api.subscriptions.conftest import SUBPROTOCOL, Raw, open_socket
from tests.harness import Automations, running

RUNS = "subscription { flow_run_changed { id state } }"


async def test_init_is_acknowledged_and_ping_answered(raw: Raw) -> None:
    await raw.send("ping", payload={"any": "thing"})
    assert await raw.hear() == {"type": "pong"}
    await raw.init()
    await raw.send("pong")
    await raw.send("ping")
    assert await raw.hear() == {"type": "pong"}


async def test_query_is_one_result_and_its_end(raw: Raw) -> None:
    await raw.init()
    await raw.send("subscribe", id="q", payload={"query": "{ hello }"})
    assert await raw.hear() == {"id": "q", "type": "next", "payload": {"data": {"hello": "👋"}}}
    assert await raw.hear() == {"id": "q", "type": "complete"}


async def test_mutation_is_done(raw: Raw, api: Automations) -> None:
    await raw.init()
    query = "mutation($name: String!) { create_project(input: {name: $name}) { id } }"
    await raw.send("subscribe", id="m", payload={"query": query, "variables": {"name": "by socket"}})
    assert (await raw.hear())["type"] == "next"
    assert (await raw.hear())["type"] == "complete"
    assert (await api.execute("{ project { name } }"))["project"] == [{"name": "by socket"}]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nonsense }", "BAD_USER_INPUT"),
        ("{", "BAD_USER_INPUT"),
        ("subscription { flow_run_changed { id } delivery_changed { id } }", "BAD_USER_INPUT"),
        ("subscription { __typename }", "BAD_USER_INPUT"),
        ("subscription($id: uuid!) { flow_run_changed(flow_run_id: $id) { id } }", "BAD_USER_INPUT"),
        ('subscription { flow_run_changed(flow_run_id: "nonsense") { id } }', "BAD_USER_INPUT"),
        ("subscription A { flow_run_changed { id } } subscription B { flow_run_changed { id } }", "BAD_USER_INPUT"),
        (f"subscription {{ flow_run_changed {{ {'a' * 64}: id }} }}", "LIMIT_EXCEEDED"),
        ("subscription { flow_run_changed { states(limit: 1001) { id } } }", "LIMIT_EXCEEDED"),
        ("subscription { flow_run_changed @skip(if: true) { id } }", "BAD_USER_INPUT"),
        (
            "subscription { flow_run_changed { states(limit: 1000) { flow_run { states(limit: 1000) { flow_run "
            "{ states(limit: 1000) { id } } } } } } }",
            "LIMIT_EXCEEDED",
        ),
    ],
)
async def test_operation_that_cannot_begin_is_an_error_and_leaves_the_socket_open(
    raw: Raw, query: str, code: str
) -> None:
    await raw.init()
    await raw.send("subscribe", id="x", payload={"query": query})
    refused = await raw.hear()
    assert (refused["type"], refused["id"]) == ("error", "x")
    assert {error["extensions"]["code"] for error in refused["payload"]} == {code}
    await raw.send("subscribe", id="x", payload={"query": "{ hello }"})  # the id is free again
    assert (await raw.hear())["type"] == "next"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("nonsense", "A message is JSON in a text frame"),
        (b'{"type": "ping"}', "A message is JSON in a text frame"),
        ("[]", 'A message is an object with a "type"'),
        ("{}", 'A message is an object with a "type"'),
        ('{"type": 5}', 'A message is an object with a "type"'),
        ('{"type": "next", "id": "a", "payload": {}}', "Unexpected message of type 'next'"),
        ('{"type": "connection_ack"}', "Unexpected message of type 'connection_ack'"),
        ('{"type": "start", "id": "a"}', "Unexpected message of type 'start'"),
        ('{"type": "subscribe", "payload": {"query": "{ hello }"}}', 'The message needs an "id", a string'),
        ('{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}', 'The message needs an "id", a string'),
        ('{"type": "subscribe", "id": 5, "payload": {"query": "{ hello }"}}', 'The message needs an "id", a string'),
        ('{"type": "subscribe", "id": "a"}', 'An operation is an object with a "query".'),
        ('{"type": "subscribe", "id": "a", "payload": {}}', 'An operation is an object with a "query".'),
        (
            '{"type": "subscribe", "id": "a", "payload": {"query": "{ hello }", "variables": [1]}}',
            '"variables" must be an object.',
        ),
        (
            '{"type": "subscribe", "id": "a", "payload": {"query": "{ hello }", "extensions": 1}}',
            '"extensions" must be an object.',
        ),
        ('{"type": "complete"}', 'The message needs an "id", a string'),
    ],
)
async def test_message_that_the_protocol_does_not_know_closes_with_4400(raw: Raw, frame: Any, reason: str) -> None:
    await raw.init()
    await raw.connection.send(frame)
    assert await raw.closed() == (4400, reason)


async def test_init_payload_that_is_no_object_closes_with_4400(raw: Raw) -> None:
    await raw.send("connection_init", payload="nonsense")
    assert (await raw.closed())[0] == 4400


async def test_operation_before_init_closes_with_4401(raw: Raw) -> None:
    await raw.send("subscribe", id="a", payload={"query": "{ hello }"})
    assert await raw.closed() == (4401, "Unauthorized: send connection_init first")


async def test_tenant_that_is_not_there_closes_with_4401(raw: Raw) -> None:
    unknown = "00000000-0000-0000-0000-00000000dead"
    await raw.send("connection_init", payload={"X-PREFECT-TENANT-ID": unknown})
    assert (await raw.closed())[0] == 4401


async def test_init_that_is_refused_closes_with_4403(raw: Raw) -> None:
    await raw.send("connection_init", payload={"X-PREFECT-TENANT-ID": "nonsense"})
    assert (await raw.closed())[0] == 4403


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws"])
async def test_other_subprotocol_closes_with_4406(api: Automations, subprotocol: str | None) -> None:
    try:
        async with open_socket(api, subprotocol=subprotocol) as raw:
            assert (await raw.closed())[0] == 4406
    except Exception as error:  # a client may look first whether its subprotocol was taken
        assert "subprotocol" in str(error).lower()  # noqa: PT017


async def test_missing_init_closes_with_4408(raw: Raw, monkeypatch: pytest.MonkeyPatch, api: Automations) -> None:
    monkeypatch.setattr("automations.api.subscriptions.socket.INIT_SECONDS", 0.1)
    async with open_socket(api) as silent:
        await silent.send("ping")  # is no init
        assert await silent.closed() == (4408, "Connection initialisation timeout")


async def test_id_that_is_taken_closes_with_4409(raw: Raw) -> None:
    await raw.init()
    await raw.subscribe("a", RUNS)
    await raw.send("subscribe", id="a", payload={"query": RUNS})
    assert await raw.closed() == (4409, "Subscriber for a already exists")


async def test_second_init_closes_with_4429(raw: Raw) -> None:
    await raw.init()
    await raw.send("connection_init")
    assert await raw.closed() == (4429, "Too many initialisation requests")


async def test_completed_operation_is_silent_and_its_id_is_free(raw: Raw, api: Automations) -> None:
    run = await api.run(await api.flow())
    await raw.init()
    await raw.subscribe("a", RUNS)
    await raw.send("complete", id="a")
    await raw.send("complete", id="never was")
    await raw.subscribe("a", "subscription { flow_run_changed { state } }")
    await api.set_state(run, "Running")
    assert await raw.hear() == {
        "id": "a", "type": "next", "payload": {"data": {"flow_run_changed": {"state": "Running"}}}
    }  # fmt: skip


async def test_each_subscription_has_its_own_selection(raw: Raw, api: Automations) -> None:
    run = await api.run(await api.flow("etl"))
    await raw.init()
    await raw.subscribe("one", "subscription { flow_run_changed { state } }")
    await raw.subscribe("two", "subscription { x: flow_run_changed { __typename s: state flow { name } } }")
    await api.set_state(run, "Running")
    heard: dict[str, Any] = {}
    while len(heard) < 2 or "Scheduled" in str(heard):  # that the run was made just before may be told, too
        message = await raw.hear()
        heard[message["id"]] = message["payload"]
    assert heard == {
        "one": {"data": {"flow_run_changed": {"state": "Running"}}},
        "two": {"data": {"x": {"__typename": "flow_run", "s": "Running", "flow": {"name": "etl"}}}},
    }


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
async def test_page_elsewhere_is_refused_before_the_socket_opens(api: Automations, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(api, origin=origin):
            pass
    assert refused.value.response.status_code == 403


async def test_foreign_host_is_refused_before_the_socket_opens(api: Automations) -> None:
    handshake = {
        "host": "evil.example",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": SUBPROTOCOL,
    }
    assert (await api.client.get(f"{api.url}/graphql", headers=handshake)).status_code == 421


async def test_own_page_is_let_in(api: Automations) -> None:
    async with open_socket(api, origin=api.url) as raw:
        await raw.init()


async def test_limits_of_sockets_and_operations(database_url: str, tmp_path: Path) -> None:
    async with running(
        database_url, tmp_path, max_sockets=2, max_subscriptions=2, allowed_origins=("https://ui.example",)
    ) as api:
        async with open_socket(api) as raw, open_socket(api, origin="https://ui.example"):
            await raw.init()
            await raw.subscribe("a", RUNS)
            await raw.subscribe("b", RUNS)
            await raw.send("subscribe", id="c", payload={"query": RUNS})
            refused = await raw.hear()
            assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
            assert "2 operations at once; this is number 3" in refused["payload"][0]["message"]
            with pytest.raises(InvalidStatus) as one_too_many:
                async with open_socket(api):
                    pass
            assert one_too_many.value.response.status_code == 503
        await _open_once_there_is_a_place(api)


async def test_who_is_lost_before_beginning_holds_no_place(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, tmp_path, max_sockets=1) as api:
        for _ in range(3):
            await _open_once_there_is_a_place(api)


async def _open_once_there_is_a_place(api: Automations) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                async with open_socket(api) as raw:
                    raw.connection.transport.abort()  # no goodbye
                    return
            except InvalidStatus:
                await asyncio.sleep(0.01)


async def test_larger_frame_than_is_read_closes_with_1009(raw: Raw) -> None:
    await raw.init()
    await raw.connection.send(orjson.dumps({"type": "ping", "payload": {"x": "x" * 20_000_000}}).decode())
    assert (await raw.closed())[0] == 1009
