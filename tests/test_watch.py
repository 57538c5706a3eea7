"""Automations hear of problems of the server that they run on, from the change that makes one to the receiver."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from automations import watch
from automations.database import DedicatedConnection
from tests.harness import Automations, GraphQLError, eventually, running
from tests.receivers import Receiver

ALL: dict[str, Any] = {"server_problem": {}}
READ = """{ automation { event_type event event_tags } hook { event_type event_tags }
    firing { event_type event flow_run { id } deliveries { status attempts { outcome } } } }"""


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def told(receiver: Receiver, count: int) -> list[Any]:
    """What arrived, once there is so much."""
    return [orjson.loads(request.body) for request in await receiver.wait_for(count)]


async def delete_secret(server: Automations) -> None:
    await server.write("delete_secret", "success", name="TEAM")


async def set_secret(server: Automations) -> None:
    await server.write("set_secret", "success", name="TEAM", value="https://hooks.example.com/s3cr3t")


async def has_problems(server: Automations, connection: DedicatedConnection, count: int) -> None:
    """Wait until so many go on."""

    async def are_known() -> bool:
        return bool(await connection.fetchval("SELECT count(*) = $1 FROM automations.server_problem", count))

    await eventually(are_known)


async def test_deleted_secret_is_told_once_and_again_when_it_is_deleted_again(
    server: Automations, receiver: Receiver, connection: DedicatedConnection
) -> None:
    await set_secret(server)
    await server.automation({"slack_notification": {"webhook_url_secret": "TEAM"}})
    await server.automation({"webhook": {"url": receiver.url}}, event=ALL)
    neighbour = server.as_tenant((await server.write("create_tenant", name="Neighbour"))["id"])
    await neighbour.automation({"webhook": {"url": receiver.url, "payload": "the neighbour's"}}, event=ALL)

    await delete_secret(server)
    [first] = await told(receiver, 1)
    await set_secret(server)
    await has_problems(server, connection, 0)
    await delete_secret(server)
    [_, second] = await told(receiver, 2)

    assert (first["event_name"], first["problem"], first["affected"]) == (
        "ServerProblemEvent",
        "SECRET_MISSING",
        ["TEAM"],
    )
    assert first["message"] == f"Automations has a problem: {first['problem_message']}"
    assert first["id"] != second["id"]
    assert (await neighbour.execute("{ firing { id } }")) == {"firing": []}
    assert "s3cr3t" not in orjson.dumps([first, second]).decode()


async def test_ledger_has_the_problem_as_any_event(server: Automations, receiver: Receiver) -> None:
    await server.automation(
        {"webhook": {"url": receiver.url, "signing_secret": "NEVER_SET"}},
        event={"server_problem": {"problems": ["SECRET_MISSING", "DESTINATION_FAILS"]}},
    )
    await server.settled(1)
    data = await server.execute(READ)
    tags = {"problem": ["SECRET_MISSING", "DESTINATION_FAILS"]}
    assert data["automation"] == [
        {"event_type": "ServerProblemEvent", "event": {"problems": tags["problem"]}, "event_tags": tags}
    ]
    assert data["hook"] == [{"event_type": "ServerProblemEvent", "event_tags": tags}]
    [firing] = data["firing"]
    assert (firing["event_type"], firing["event"]["affected"], firing["flow_run"]) == (
        "ServerProblemEvent",
        ["NEVER_SET"],
        None,
    )
    assert [delivery["status"] for delivery in firing["deliveries"]] == ["FAILED"], "it needs what it tells of"


async def test_evaluation_that_nobody_does_is_told(
    tmp_path: Path, database_url: str, connection: DedicatedConnection, receiver: Receiver
) -> None:
    async with running(database_url, tmp_path, roles=("api", "delivery")) as server:
        await server.automation({"webhook": {"url": receiver.url}}, event=ALL)
        await server.run(await server.flow())
        await connection.execute("UPDATE automations.state_change SET captured_at = now() - interval '1 minute'")
        [body] = await told(receiver, 1)
    assert (body["problem"], body["affected"]) == ("EVALUATION_LATE", [])
    assert body["since"] < body["timestamp"]


async def test_restart_and_a_second_server_do_not_tell_again(
    tmp_path: Path, database_url: str, connection: DedicatedConnection, receiver: Receiver
) -> None:
    """The second secret shows that somebody has looked: it is told, and the first one is not."""
    async with running(database_url, tmp_path) as server:
        await server.automation({"webhook": {"url": receiver.url, "payload": "{affected}"}}, event=ALL)
        await server.automation({"slack_notification": {"webhook_url_secret": "FIRST"}})
        await told(receiver, 1)
    async with running(database_url, tmp_path) as server, running(database_url, tmp_path):
        await server.automation({"slack_notification": {"webhook_url_secret": "SECOND"}})
        assert await told(receiver, 2) == ['["FIRST"]', '["SECOND"]']
        await has_problems(server, connection, 2)
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"problems": ["TOO_MANY_MEETINGS"]}, "server_problem_kind"),
        ({"problems": [None]}, "problems"),
        (None, "exactly one"),
    ],
)
async def test_problem_that_there_is_not_is_refused(api: Automations, event: Any, message: str) -> None:
    with pytest.raises(GraphQLError, match=message) as caught:
        await api.automation({"slack_notification": {"webhook_url_secret": "TEAM"}}, event={"server_problem": event})
    assert caught.value.code == "BAD_USER_INPUT"


async def test_name_that_only_runs_have_is_warned_of(api: Automations) -> None:
    saved = await api.write(
        "create_automation",
        "warnings",
        name="on call",
        event=ALL,
        actions=[{"webhook": {"url": "https://hooks.example.com/", "payload": "{flow_name} {problem}"}}],
    )
    [warning] = saved["warnings"]
    assert "flow_name" in warning
    assert "{problem}" not in warning
