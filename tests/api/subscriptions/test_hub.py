"""Who hears of what: tenants, filters, deleted rows, the newest state; heard by a foreign client, gql."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from automations.access.callers import Caller
from automations.access.roles import Role
from automations.api.selection import Selected
from automations.api.subscriptions.fields import SOURCES
from automations.api.subscriptions.hub import Subscription, _Group
from automations.database import Database
from tests.api.subscriptions.conftest import open_socket
from tests.harness import Automations, eventually

SECONDS = 10
NIL = UUID(int=0)
INSERT = (
    "INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state) "
    "SELECT tenant_id, id, 9, 'Running' FROM public.flow_run"
)


class Events:
    """What a subscription hears."""

    def __init__(self, source: AsyncIterator[dict[str, Any]]) -> None:
        self._source = source

    async def next(self) -> Any:
        """The next event's row."""
        async with asyncio.timeout(SECONDS):
            [row] = (await anext(self._source)).values()
        return row

    async def until(self, **wanted: Any) -> Any:
        """The first row with these values."""
        while True:
            row = await self.next()
            if wanted.items() <= row.items():
                return row


@asynccontextmanager
async def listening(api: Automations, document: str, **variables: Any) -> AsyncIterator[Events]:
    """A subscription by gql, which hears of all from here on."""
    url = api.url.replace("http://", "ws://") + "/graphql"
    transport = WebsocketsTransport(url=url, headers=api.headers, connect_args={"proxy": None})
    async with Client(transport=transport) as session:
        query = gql(document)
        query.variable_values = variables
        source = session.subscribe(query)
        waiting = asyncio.ensure_future(anext(source))
        while not transport.listeners:
            await asyncio.sleep(0)
        await session.execute(gql("{ hello }"))  # answers come in order: the subscription has begun

        async def events() -> AsyncIterator[dict[str, Any]]:
            yield await waiting
            async for event in source:
                yield event

        heard = events()
        try:
            yield Events(heard)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await heard.aclose()  # type: ignore[attr-defined]
            await source.aclose()


async def test_run_is_told_with_what_was_asked_for(api: Automations) -> None:
    flow = await api.flow("etl")
    async with listening(api, "subscription { flow_run_changed { id state state_message flow { name } } }") as events:
        run = await api.run(flow)
        await events.until(id=run, state="Scheduled")
        await api.set_state(run, "Failed", "disk full")
        assert await events.until(id=run, state="Failed") == {
            "id": run, "state": "Failed", "state_message": "disk full", "flow": {"name": "etl"},
        }  # fmt: skip


async def test_one_run_is_picked(api: Automations) -> None:
    flow = await api.flow()
    other, wanted = await api.run(flow), await api.run(flow)
    document = "subscription($id: uuid) { flow_run_changed(flow_run_id: $id) { id state } }"
    async with listening(api, document, id=wanted) as events:
        await api.set_state(other, "Running")
        await api.set_state(wanted, "Running")
        await events.until(id=wanted, state="Running")


async def test_other_tenants_hear_nothing(api: Automations, shared_server: Automations) -> None:
    mine, theirs = await api.run(await api.flow()), await shared_server.run(await shared_server.flow())
    document = "subscription($id: uuid) { flow_run_changed(flow_run_id: $id) { id state } }"
    async with (
        listening(api, "subscription { flow_run_changed { id } }") as all_of_mine,
        listening(api, document, id=theirs) as one_of_theirs,
    ):
        await shared_server.set_state(theirs, "Running")
        await api.set_state(mine, "Running")
        assert await all_of_mine.next() == {"id": mine}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await one_of_theirs.next()


async def test_automation_is_told_when_made_changed_and_deleted(api: Automations) -> None:
    async with listening(api, "subscription { automation_changed { id name enabled deleted_at } }") as events:
        made = await api.automation({"webhook": {"url": "https://example.com"}})
        assert (await events.next())["name"] == "tell"
        await api.write("update_automation", automation_id=made, name="shout")
        assert (await events.until(name="shout"))["enabled"] is True
        await api.write("delete_automation", "success", automation_id=made)
        deleted = await events.until(enabled=False)
        assert (deleted["id"], deleted["deleted_at"] is None) == (made, False)


async def test_delivery_is_told_to_its_end(api: Automations) -> None:
    quiet = await api.automation({"webhook": {"url": "http://127.0.0.1:9999/"}}, name="quiet", enabled=False)
    loud = await api.automation({"webhook": {"url": "http://127.0.0.1:9999/"}})
    document = """subscription($id: uuid) {
        delivery_changed(automation_id: $id) { status attempt_count automation { name } attempts { outcome } } }"""
    async with (
        listening(api, document, id=loud) as events,
        listening(api, document, id=quiet) as nothing,
    ):
        await api.set_state(await api.run(await api.flow()), "Failed")
        tried = await events.until(status="PENDING", attempt_count=1)
        assert tried == {
            "status": "PENDING", "attempt_count": 1, "automation": {"name": "tell"}, "attempts": [{"outcome": "RETRY"}],
        }  # fmt: skip
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await nothing.next()


async def test_slow_subscriber_gets_the_newest_state_and_not_every_step(api: Automations) -> None:
    run = await api.run(await api.flow())
    async with open_socket(api) as raw:
        await raw.init()
        await raw.subscribe("a", "subscription { flow_run_changed { version state } }")
        for _ in range(15):
            await api.set_state(run, "Running")
            await api.set_state(run, "Paused")
        await api.set_state(run, "Success")
        heard = [(await raw.hear())["payload"]["data"]["flow_run_changed"]]
        while heard[-1]["state"] != "Success":
            heard.append((await raw.hear())["payload"]["data"]["flow_run_changed"])
        versions = [row["version"] for row in heard]
        assert versions == sorted(set(versions))
        assert len(heard) <= 31


async def test_change_of_a_long_transaction_is_told_once_it_commits(api: Automations, shared_url: str) -> None:
    """It is older than changes that were told before it."""
    flow = await api.flow()
    slow, quick = await api.run(flow), await api.run(flow)
    connection = await Database(shared_url).dedicated()
    async with listening(api, "subscription { flow_run_changed { id state } }") as events:
        async with connection.transaction():
            await connection.execute(f"{INSERT} WHERE id = $1", slow)
            await api.set_state(quick, "Running")
            await events.until(id=quick, state="Running")
        await events.until(id=slow, state="Running")
    await connection.close()


async def test_subscriber_that_takes_nothing_is_ended_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automations.api.subscriptions.hub.MOST_WAITING_ROWS", 2)
    woken: list[Subscription] = []
    slow = Subscription(
        _Group(("", NIL, Role.ADMIN, ""), SOURCES[0], Caller(NIL), Selected("a", "a")), None, woken.append
    )
    first, second, third = uuid4(), uuid4(), uuid4()
    slow.put([(first, "1"), (second, "2")])
    slow.put([(first, "3")])
    assert list(slow.take()) == ["3", "2"]
    assert list(slow.take()) == []
    slow.put([(first, "4"), (second, "5"), (third, "6")])
    assert slow.ended
    assert slow.errors[0]["extensions"] == {"code": "LIMIT_EXCEEDED"}
    assert list(slow.take()) == []
    assert set(woken) == {slow}


async def test_nothing_is_noted_while_nobody_listens(server: Automations, database_url: str) -> None:
    connection = await Database(database_url).dedicated()
    await server.set_state(await server.run(await server.flow()), "Running")
    assert await connection.fetchval("SELECT count(*) FROM automations.change") == 0
    assert await connection.fetchval("SELECT count(*) FROM automations.change_listener") == 0
    await connection.close()


async def test_listener_goes_after_the_last_subscriber(
    server: Automations, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automations.engine.changes.LINGER_SECONDS", 0.1)
    connection = await Database(database_url).dedicated()
    for _ in range(2):  # and comes again
        async with listening(server, "subscription { flow_run_changed { id } }") as events:
            run = await server.run(await server.flow())
            await events.until(id=run)
        await eventually(lambda: _is_gone(connection))
    await connection.close()


async def _is_gone(connection: Any) -> bool:
    return bool(await connection.fetchval("SELECT count(*) = 0 FROM automations.change_listener"))


async def test_subscribers_are_told_when_changes_may_have_been_missed(
    server: Automations, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automations.engine.changes.RENEW_SECONDS", 0.1)
    connection = await Database(database_url).dedicated()
    async with open_socket(server) as raw:
        await raw.init()
        await raw.subscribe("a", "subscription { flow_run_changed { id } }")
        await connection.execute("TRUNCATE automations.change_listener")
        told = await raw.hear()
        assert told["type"] == "error"
        assert "Changes may have been missed" in told["payload"][0]["message"]
    await connection.close()


async def test_changes_that_all_have_read_are_pruned(
    server: Automations, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automations.engine.changes.RENEW_SECONDS", 0.1)
    connection = await Database(database_url).dedicated()
    async with listening(server, "subscription { flow_run_changed { id } }") as events:
        run = await server.run(await server.flow())
        await events.until(id=run)
        await eventually(lambda: _is_pruned(connection))
    await connection.close()


async def _is_pruned(connection: Any) -> bool:
    return bool(await connection.fetchval("SELECT count(*) = 0 FROM automations.change"))


async def test_lost_connection_loses_no_change(server: Automations, database_url: str) -> None:
    connection = await Database(database_url).dedicated()
    run = await server.run(await server.flow())
    async with listening(server, "subscription { flow_run_changed { id state } }") as events:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE '%pg_visible_in_snapshot%' AND pid <> pg_backend_pid()"
        )
        await connection.execute(INSERT)
        await events.until(id=run, state="Running")
    await connection.close()
