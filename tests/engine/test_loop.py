import asyncio

import pytest
import structlog

from automations.database import Database, DedicatedConnection
from automations.engine.loop import Bell, keep_running
from tests.receivers import refusing_port


async def test_bell_wakes_who_waits() -> None:
    bell = Bell()
    asyncio.get_running_loop().call_later(0.01, bell.ring)
    async with asyncio.timeout(5):
        await bell.wait(60)


async def test_ring_before_the_wait_counts_until_it_is_hushed() -> None:
    bell = Bell()
    bell.ring()
    async with asyncio.timeout(5):
        await bell.wait(60)
    bell.hush()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await bell.wait(60)


async def test_stop_cannot_be_hushed() -> None:
    bell = Bell()
    bell.stop()
    bell.hush()
    async with asyncio.timeout(5):
        await bell.wait(60)
    assert bell.stopped


async def test_loop_that_fails_is_started_again_with_a_connection_of_its_own(database_url: str) -> None:
    bell, seen = Bell(), []

    async def work(connection: DedicatedConnection) -> None:
        seen.append(await connection.fetchval("SELECT pg_backend_pid()"))
        if len(seen) == 3:
            bell.stop()
            return
        raise RuntimeError("a bug")

    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(5):
            await keep_running("test", Database(database_url), work, bell)
    assert len(set(seen)) == 3
    assert [line["log_level"] for line in lines] == ["error", "error"]


async def test_lost_connection_is_no_error(database_url: str) -> None:
    bell, tries = Bell(), []

    async def work(connection: DedicatedConnection) -> None:
        tries.append(1)
        if len(tries) == 2:
            bell.stop()
            return
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(5):
            await keep_running("test", Database(database_url), work, bell)
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_stop_ends_the_wait_for_a_database_that_is_away() -> None:
    bell = Bell()

    async def work(connection: DedicatedConnection) -> None:
        raise AssertionError

    with refusing_port() as port:
        database = Database(f"postgresql://nobody@127.0.0.1:{port}/nothing")
        running = asyncio.create_task(keep_running("test", database, work, bell))
        await asyncio.sleep(1)  # by now it waits for longer than this test may take
        bell.stop()
        async with asyncio.timeout(0.5):
            await running


async def test_unfinished_work_is_tried_again_after_the_stop(database_url: str) -> None:
    bell, unfinished = Bell(), [1, 2, 3]

    async def work(connection: DedicatedConnection) -> None:
        unfinished.pop()
        raise ConnectionError

    bell.stop()
    async with asyncio.timeout(5):
        await keep_running("test", Database(database_url), work, bell, is_unfinished=lambda: bool(unfinished))
    assert unfinished == []
