"""Keys over sockets and streams: who may subscribe, and that a key that is taken away ends what it began."""

import httpx
import pytest

from tests.api.subscriptions.conftest import open_socket
from tests.harness import Automations

RUNS = "subscription { flow_run_changed { id state } }"


@pytest.fixture
def _checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automations.api.subscriptions.permit.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("automations.api.subscriptions.stream.KEEP_ALIVE_SECONDS", 0.1)


async def key_of(admin: Automations, role: str) -> tuple[str, str]:
    """Id and text of a new key."""
    made = await admin.write("create_api_key", "id key", name=role, role=role)
    return made["id"], made["key"]


async def test_key_may_come_with_the_handshake_or_with_init(guarded: Automations) -> None:
    async with open_socket(guarded) as raw:
        await raw.init()
    stranger = Automations(guarded.url, guarded.client)
    async with open_socket(stranger) as raw:
        await raw.init(Authorization=guarded.headers["Authorization"])


@pytest.mark.parametrize("payload", [{}, {"Authorization": "Bearer nonsense"}])
async def test_stranger_is_closed_with_4401(guarded: Automations, payload: dict[str, str]) -> None:
    async with open_socket(Automations(guarded.url, guarded.client)) as raw:
        await raw.send("connection_init", payload=payload)
        assert (await raw.closed())[0] == 4401


async def test_role_subscribes_to_what_it_may_read(guarded: Automations) -> None:
    _, key = await key_of(guarded, "agent")
    async with open_socket(guarded.with_key(key)) as raw:
        await raw.init()
        await raw.send("subscribe", id="a", payload={"query": "subscription { delivery_changed { id } }"})
        refused = await raw.hear()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
        await raw.subscribe("b", RUNS)


@pytest.mark.usefixtures("_checked_at_once")
async def test_revoked_key_hears_nothing_more(guarded: Automations) -> None:
    id_, key = await key_of(guarded, "viewer")
    run = await guarded.run(await guarded.flow())
    async with open_socket(guarded.with_key(key)) as raw:
        await raw.init()
        await raw.subscribe("a", RUNS)
        await guarded.set_state(run, "Running")
        while (await raw.hear())["payload"]["data"]["flow_run_changed"]["state"] != "Running":
            pass
        await guarded.write("delete_api_key", "success", key_id=id_)
        await guarded.set_state(run, "Success")
        assert (await raw.closed())[0] == 4401


@pytest.mark.usefixtures("_checked_at_once")
async def test_revoked_key_ends_its_stream(guarded: Automations) -> None:
    id_, key = await key_of(guarded, "viewer")
    headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("POST", f"{guarded.url}/graphql", json={"query": RUNS}, headers=headers) as response,
    ):
        chunks = response.aiter_text()
        assert await anext(chunks) == ":\n\n"
        await guarded.write("delete_api_key", "success", key_id=id_)
        told = "".join([chunk async for chunk in chunks])
    assert "UNAUTHENTICATED" in told
    assert told.rstrip().endswith("event: complete\ndata:")
