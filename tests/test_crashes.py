"""Nothing that was accepted is lost, however a server ends, and however many there are."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx

from tests.harness import Automations, ServerProcess, eventually
from tests.receivers import Received, Receiver, reply

CHANGES = 500
PER_CALL = 25


async def slowly(received: Received, writer: asyncio.StreamWriter) -> None:
    """Answer a little later, so that many deliveries are under way at any moment."""
    await asyncio.sleep(0.02)
    await reply()(received, writer)


async def prepare(server: Automations, receiver: Receiver) -> list[str]:
    """An automation that tells the receiver of failures, and the ids of runs that can fail."""
    await server.automation({"webhook": {"url": receiver.url, "payload": {"run": "{flow_run_id}"}}})
    flow = await server.flow()
    made: list[str] = []
    while len(made) < CHANGES:
        made += await asyncio.gather(*(server.run(flow) for _ in range(PER_CALL)))
    return made


async def fail(server: Automations, runs: list[str]) -> None:
    """Have runs fail, a few in each call."""
    for start in range(0, len(runs), PER_CALL):
        states = [{"flow_run_id": run, "state": {"type": "Failed"}} for run in runs[start : start + PER_CALL]]
        await server.write("set_flow_run_states", "states { id }", states=states)


def arrivals(receiver: Receiver) -> Counter[str]:
    """How often each delivery arrived."""
    return Counter(request.headers["webhook-id"] for request in receiver.requests)


def told(receiver: Receiver) -> set[bytes]:
    """The different bodies that arrived: one for each run."""
    return {request.body for request in receiver.requests}


async def test_nothing_is_lost_through_a_kill(tmp_path: Path, database_url: str) -> None:
    async with Receiver(slowly) as receiver:
        first = await ServerProcess.start(tmp_path, database_url, lease_seconds="1")
        async with first.client() as client:
            await fail(client, await prepare(client, receiver))
        await receiver.wait_for(50, 30)
        await first.kill()
        before = len(receiver.requests)
        assert before < CHANGES

        second = await ServerProcess.start(tmp_path, database_url, lease_seconds="1")
        async with second.client() as client:
            await eventually(lambda: all_delivered(client), 60)
        await second.stop()

        assert len(told(receiver)) == CHANGES
        seen = arrivals(receiver)
        assert len(seen) == CHANGES, "a repeat has the id of the first try"
        assert sum(seen.values()) - CHANGES < CHANGES * 0.05


async def test_nothing_is_lost_or_repeated_through_a_stop(tmp_path: Path, database_url: str) -> None:
    async with Receiver(slowly) as receiver:
        first = await ServerProcess.start(tmp_path, database_url)
        async with first.client() as client:
            await fail(client, await prepare(client, receiver))
        await receiver.wait_for(50, 30)
        assert await first.stop() == 0
        assert len(receiver.requests) < CHANGES

        second = await ServerProcess.start(tmp_path, database_url)
        async with second.client() as client:
            await eventually(lambda: all_delivered(client), 60)
        await second.stop()

        assert len(told(receiver)) == CHANGES
        assert set(arrivals(receiver).values()) == {1}


async def test_two_servers_send_each_delivery_once(tmp_path: Path, database_url: str) -> None:
    async with Receiver() as receiver:
        servers = [await ServerProcess.start(tmp_path / str(number), database_url) for number in range(2)]
        async with httpx.AsyncClient(timeout=30) as http:
            clients = [Automations(server.url, http) for server in servers]
            runs = await prepare(clients[0], receiver)
            half = CHANGES // 2
            await asyncio.gather(fail(clients[0], runs[:half]), fail(clients[1], runs[half:]))
            await eventually(lambda: all_delivered(clients[0]), 60)
        for server in servers:
            assert await server.stop() == 0
        assert len(told(receiver)) == CHANGES
        assert set(arrivals(receiver).values()) == {1}


async def test_embedded_database_survives_a_kill_and_is_attached_to(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        first = await ServerProcess.start(tmp_path, lease_seconds="1")
        async with first.client() as client:
            await client.automation({"webhook": {"url": receiver.url}})
            run = await client.run(await client.flow())
        await first.kill()
        second = await ServerProcess.start(tmp_path, lease_seconds="1")
        async with second.client() as client:
            await client.set_state(run, "Failed")
            await receiver.wait_for(1)
        assert await second.stop() == 0


async def all_delivered(server: Automations) -> bool:
    """Whether the ledger says so for every change."""
    data = await server.execute('{ delivery_aggregate(where: {status: {_eq: "DELIVERED"}}) { aggregate { count } } }')
    return bool(data["delivery_aggregate"]["aggregate"]["count"] == CHANGES)
