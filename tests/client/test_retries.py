"""What is called again, and what is not: on real sockets, with a server that fails as it is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from automations.client import ApiError, AsyncAutomationsClient, Unavailable, wire
from tests.harness import Automations
from tests.receivers import Behaviour, Received, Receiver, in_turn, never_answer, reply, reset

SAVED = {"id": "1", "warnings": []}
ANSWER = {"data": {"secret_names": [], "create_automation": SAVED, "update_automation": SAVED, "x": 1}}
OK = reply(200, json.dumps(ANSWER).encode())
REFUSED = reply(400, b'{"errors": [{"message": "no", "extensions": {"code": "BAD_USER_INPUT"}}]}')

Call = Callable[[AsyncAutomationsClient], Awaitable[object]]


def read(client: AsyncAutomationsClient) -> Awaitable[object]:
    return client.secret_names()


def create(client: AsyncAutomationsClient) -> Awaitable[object]:
    return client.create_automation("x", event={}, actions=[])


def update(client: AsyncAutomationsClient) -> Awaitable[object]:
    return client.update_automation("1", name="x")


def other_write(client: AsyncAutomationsClient) -> Awaitable[object]:
    return client.execute("mutation { x }")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FIRST_WAIT_SECONDS", 0.001)


@pytest.mark.parametrize("call", [read, create])
@pytest.mark.parametrize("trouble", [reply(503), reply(500), reset], ids=["503", "500", "reset"])
async def test_what_can_be_repeated_is_called_again(call: Call, trouble: Behaviour) -> None:
    async with Receiver(in_turn(trouble, trouble, OK)) as receiver, AsyncAutomationsClient(receiver.url) as client:
        await call(client)
        bodies = {received.body for received in await receiver.wait_for(3)}
    assert len(bodies) == 1  # the idempotency key too: what arrived twice is made once


@pytest.mark.parametrize("call", [update, other_write])
@pytest.mark.parametrize("trouble", [reply(503), reset], ids=["503", "reset"])
async def test_write_without_an_idempotency_key_is_called_once(call: Call, trouble: Behaviour) -> None:
    async with Receiver(in_turn(trouble, OK)) as receiver, AsyncAutomationsClient(receiver.url) as client:
        with pytest.raises(Unavailable):
            await call(client)
        assert len(await receiver.wait_for(1)) == 1


async def test_automation_whose_answer_was_lost_is_made_once(api: Automations) -> None:
    answers = iter([False, True])

    async def forward(received: Received, writer: asyncio.StreamWriter) -> None:
        answer = await api.client.post(f"{api.url}{received.path}", content=received.body, headers=passed_on(received))
        if next(answers):
            await reply(answer.status_code, answer.content)(received, writer)
        else:
            await reset(received, writer)

    async with Receiver(forward) as between:
        tenant = api.headers["X-PREFECT-TENANT-ID"]
        async with AsyncAutomationsClient(between.url, tenant_id=tenant) as client:
            event = {"flow_run_state_changed": {"state_group": "FAILED"}}
            saved = await client.create_automation("Stop", event=event, actions=[{"cancel_flow_run": {}}])
        assert len(await between.wait_for(2)) == 2
    assert (await api.execute("{ automation { id } }"))["automation"] == [{"id": saved.id}]


def passed_on(received: Received) -> dict[str, str]:
    return {name: received.headers[name] for name in ("content-type", "x-prefect-tenant-id")}


async def test_refusal_is_final() -> None:
    async with Receiver(in_turn(REFUSED, OK)) as receiver, AsyncAutomationsClient(receiver.url) as client:
        with pytest.raises(ApiError, match="no"):
            await client.secret_names()
        assert len(await receiver.wait_for(1)) == 1


async def test_no_answer_in_time_is_unavailable_after_the_last_try() -> None:
    async with Receiver(never_answer) as receiver:
        async with AsyncAutomationsClient(receiver.url, timeout=0.05, retries=1) as client:
            with pytest.raises(Unavailable, match="ReadTimeout"):
                await client.secret_names()
        assert len(await receiver.wait_for(2)) == 2


async def test_page_that_is_no_api_is_told() -> None:
    async with Receiver(reply(404, b"<html>")) as receiver, AsyncAutomationsClient(receiver.url) as client:
        with pytest.raises(ApiError, match="Is this the server's address") as refused:
            await client.secret_names()
    assert refused.value.code == "HTTP_404"


async def test_key_and_tenant_are_sent() -> None:
    async with Receiver(OK) as receiver, AsyncAutomationsClient(receiver.url, "KEY", "TENANT") as client:
        await client.secret_names()
        [received] = await receiver.wait_for(1)
    assert received.headers["authorization"] == "Bearer KEY"
    assert received.headers["x-prefect-tenant-id"] == "TENANT"
