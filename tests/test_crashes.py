"""Servers in processes of their own, killed and stopped at the worst of times: what was accepted arrives."""

import asyncio
import os
import signal
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.harness import Automations, GraphQLError, eventually, serving
from tests.receivers import Received, Receiver, reply

CHANGES = 500
A_CALL = 10
SETTINGS = {"lease_seconds": "1", "destination_concurrency": "4", "shutdown_seconds": "10"}


class Inbox:
    """A receiver of webhooks that takes a moment for each, and knows which change each told of."""

    def __init__(self) -> None:
        self.ids: dict[int, list[str]] = defaultdict(list)

    async def __call__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.ids[int(orjson.loads(received.body)["change"])].append(received.headers["webhook-id"])
        await asyncio.sleep(0.005)
        await reply(204, b"")(received, writer)

    def has_all(self, changes: set[int]) -> bool:
        return changes <= set(self.ids)

    def has_more(self, than: int) -> bool:
        return len(self.ids) > than

    @property
    def repeats(self) -> int:
        return sum(len(ids) - 1 for ids in self.ids.values())


class Source:
    """A backend that reports state changes, each numbered, to whichever server answers."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()
        self._runs: list[str] = []
        self._next = 0

    async def prepare(self, server: Automations, receiver: Receiver) -> None:
        flow = await server.flow()
        self._runs = [await server.run(flow) for _ in range(5)]
        await server.automation({"webhook": {"url": receiver.url, "payload": {"change": "{state_message}"}}})

    async def report(self, server: Automations, until: int) -> None:
        """Report changes until so many are accepted, or until the server is gone."""
        with suppress(httpx.TransportError):
            while len(self.accepted) < until:
                changes = range(self._next, self._next + A_CALL)
                self._next += A_CALL
                await server.write(
                    "set_flow_run_states",
                    "states { id }",
                    states=[
                        {"flow_run_id": self._runs[change % 5], "state": {"type": "Failed", "message": str(change)}}
                        for change in changes
                    ],
                )
                self.accepted.update(changes)


async def until(condition: Any, seconds: float = 20) -> None:
    async def holds() -> bool:
        return bool(condition())

    await eventually(holds, seconds)


@pytest.mark.parametrize("kills", [1, 2])
async def test_killed_server_loses_nothing_and_repeats_little(kills: int, database_url: str, tmp_path: Path) -> None:
    inbox, source = Inbox(), Source()
    async with Receiver(inbox) as receiver:
        for kill in range(1, kills + 1):
            async with serving(tmp_path, database_url, **SETTINGS) as server, server.client() as client:
                if kill == 1:
                    await source.prepare(client, receiver)
                reporting = asyncio.create_task(source.report(client, CHANGES * kill // kills))
                await until(partial(inbox.has_more, than=len(inbox.ids) + 100))
                await server.kill()
                await reporting
        async with serving(tmp_path, database_url, **SETTINGS) as server, server.client() as client:
            await source.report(client, CHANGES)
            await until(lambda: inbox.has_all(source.accepted))
            assert await server.stop() == 0
    assert len(source.accepted) >= CHANGES
    assert {len(set(ids)) for ids in inbox.ids.values()} == {1}, "a repeat carries the id of the first"
    assert inbox.repeats < CHANGES * 0.05


async def test_stopped_server_loses_nothing_and_repeats_nothing(database_url: str, tmp_path: Path) -> None:
    inbox, source = Inbox(), Source()
    async with Receiver(inbox) as receiver:
        async with serving(tmp_path, database_url, **SETTINGS) as server, server.client() as client:
            await source.prepare(client, receiver)
            reporting = asyncio.create_task(source.report(client, CHANGES))
            await until(lambda: len(inbox.ids) >= 100)
            assert await server.stop() == 0
            await reporting
        seen = len(inbox.ids)
        async with serving(tmp_path, database_url, **SETTINGS) as server, server.client() as client:
            await source.report(client, CHANGES)
            await until(lambda: inbox.has_all(source.accepted))
            assert await server.stop() == 0
    assert seen < CHANGES, "it was stopped in the middle"
    assert inbox.repeats == 0


async def test_second_server_of_the_same_folder_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    """With the embedded PostgreSQL, which the first one started."""
    inbox, source = Inbox(), Source()
    async with (
        Receiver(inbox) as receiver,
        serving(tmp_path, **SETTINGS) as first,
        serving(tmp_path, **SETTINGS) as second,
        first.client() as client,
        second.client() as other_client,
    ):
        await source.prepare(client, receiver)
        reporting = asyncio.create_task(source.report(client, CHANGES))
        await until(lambda: len(inbox.ids) >= 100)
        await first.kill()
        await reporting
        await source.report(other_client, CHANGES)
        await until(lambda: inbox.has_all(source.accepted))
        assert await second.stop() == 0
    assert {len(set(ids)) for ids in inbox.ids.values()} == {1}
    assert inbox.repeats < CHANGES * 0.05


async def test_killed_postgres_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    """The embedded one, under a server that goes on."""
    inbox, source = Inbox(), Source()
    async with Receiver(inbox) as receiver, serving(tmp_path, **SETTINGS) as server, server.client() as client:
        await source.prepare(client, receiver)
        await source.report(client, 100)
        os.kill(int((tmp_path / "postgres" / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

        async def is_reported() -> bool:
            with suppress(GraphQLError):  # 503 until it is back, and once more for each connection that died with it
                await source.report(client, CHANGES)
                return True
            return False

        await eventually(is_reported, 60)
        await until(lambda: inbox.has_all(source.accepted))
        assert await server.stop() == 0
        assert any("starting it again" in line for line in server.log)
    assert {len(set(ids)) for ids in inbox.ids.values()} == {1}


async def test_two_servers_of_one_database_deliver_each_change_once(database_url: str, tmp_path: Path) -> None:
    inbox, source = Inbox(), Source()
    async with (
        Receiver(inbox) as receiver,
        serving(tmp_path, database_url, **SETTINGS) as first,
        serving(tmp_path, database_url, **SETTINGS) as second,
        first.client() as client,
        second.client() as other_client,
    ):
        await source.prepare(client, receiver)
        await asyncio.gather(source.report(client, CHANGES), source.report(other_client, CHANGES))
        await until(lambda: inbox.has_all(source.accepted))
        assert [await first.stop(), await second.stop()] == [0, 0]
    assert inbox.repeats == 0
