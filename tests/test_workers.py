"""Several processes of one server, and servers that do a part of the work only."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import orjson
import psutil

from tests.harness import Automations, ServerProcess, eventually, running, serving
from tests.receivers import Receiver, reply
from tests.test_cli import automations, complaint

CHANGES = 60


def workers_of(server: ServerProcess) -> list[psutil.Process]:
    """The processes of a server that do the work; not the resource tracker, which Python starts beside them."""
    workers = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):  # it has just died
            workers += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return workers


async def report(server: Automations, count: int) -> set[str]:
    """Have an automation and so many failures to tell of; the runs."""
    flow = await server.flow()
    runs = [await server.run(flow) for _ in range(count)]
    for run in runs:
        await server.set_state(run, "Failed")
    return set(runs)


async def test_worker_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path: Path, database_url: str) -> None:
    async with (
        Receiver(reply(200, b"ok")) as receiver,
        serving(tmp_path, database_url, workers="2", lease_seconds="1") as server,
    ):
        before = workers_of(server)
        assert len(before) == 2
        async with server.client() as client:
            await client.automation({"webhook": {"url": receiver.url, "payload": "{flow_run_id}"}})
            reported = await report(client, CHANGES)
        before[0].kill()

        async def is_replaced() -> bool:
            workers = workers_of(server)
            return len(workers) == 2 and before[0] not in workers

        async def are_told() -> bool:
            return {orjson.loads(request.body) for request in receiver.requests} == reported

        await eventually(is_replaced, 30)
        await eventually(are_told, 30)
        assert await server.stop() == 0
        assert any("a worker died and is replaced" in line for line in server.log)


async def test_workers_end_with_the_process_that_started_them(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url, workers="2") as server:
        workers = workers_of(server)
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 30)
    assert workers
    assert alive == []


async def test_interrupt_of_the_terminal_ends_all_in_order(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url, workers="2") as server:
        os.kill(server.process.pid, signal.SIGINT)
        assert await asyncio.wait_for(server.process.wait(), 30) == 0
    assert sum('"event":"stopped"' in line.replace(" ", "") for line in server.log) == 2


async def test_what_keeps_workers_from_starting_is_told_once(tmp_path: Path, database_url: str) -> None:
    done = await automations(
        "serve", "--port", "0", "--workers", "3",
        data_dir=str(tmp_path), database_url=database_url, destination_rates="slakc=1/s", log_level="error",
    )  # fmt: skip
    assert done.code == 2
    assert complaint(done).startswith("AUTOMATIONS_DESTINATION_RATES: ")


async def test_server_left_with_nothing_to_do_is_refused(tmp_path: Path, database_url: str) -> None:
    done = await automations(
        "serve", "--no-engine", "--no-delivery", data_dir=str(tmp_path), database_url=database_url, roles="engine"
    )
    assert done.code == 2
    assert complaint(done) == "AUTOMATIONS_ROLES: nothing is left for this server to do"


async def test_each_role_may_be_a_server_of_its_own(tmp_path: Path, database_url: str) -> None:
    async with (
        Receiver(reply(200, b"ok")) as receiver,
        running(database_url, tmp_path, roles=("api",)) as api,
    ):
        await api.automation({"webhook": {"url": receiver.url, "payload": "{flow_run_id}"}})
        reported = await report(api, 2)

        async def statuses() -> list[str]:
            return [row["status"] for row in (await api.execute("{ delivery { status } }"))["delivery"]]

        assert await statuses() == []
        async with running(database_url, tmp_path, roles=("engine",)) as engine:

            async def is_owed() -> bool:
                return await statuses() == ["PENDING", "PENDING"]

            await eventually(is_owed)
            assert (await engine.client.post(f"{engine.url}/graphql", json={"query": "{ hello }"})).status_code == 404
            assert (await engine.client.get(f"{engine.url}/readyz")).status_code == 200
        assert receiver.requests == []
        async with running(database_url, tmp_path, roles=("delivery",)):

            async def is_delivered() -> bool:
                return await statuses() == ["DELIVERED", "DELIVERED"]

            await eventually(is_delivered)
    assert {orjson.loads(request.body) for request in receiver.requests} == reported
