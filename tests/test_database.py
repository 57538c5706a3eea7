"""A lost connection is told apart from a value that cannot be written and from a bug of ours."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest

from automations.database import CLIENT_ERRORS, Database, DedicatedConnection, is_connection_lost
from automations.engine.loop import Bell, keep_running
from tests.harness import eventually, running
from tests.receivers import refusing_port


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With one connection for requests."""
    database = Database(database_url, pool_size=1)
    await database.connect()
    yield database
    await database.disconnect()


async def test_connection_that_was_closed_under_us_is_lost(connection: DedicatedConnection, database_url: str) -> None:
    other = await Database(database_url).dedicated()
    await connection.execute("SELECT pg_terminate_backend($1)", other.get_server_pid())
    with pytest.raises(CLIENT_ERRORS) as lost:
        await other.fetchval("SELECT 1")
    assert is_connection_lost(lost.value), "at first the server says why, or its saying so is in the way"

    async def closed() -> bool:
        return other.is_closed()

    await eventually(closed)
    with pytest.raises(asyncpg.InterfaceError, match="connection is closed") as lost_before:
        await other.fetchval("SELECT 1")
    assert is_connection_lost(lost_before.value)


async def test_connection_lost_in_a_transaction_is_lost(connection: DedicatedConnection, database_url: str) -> None:
    other = await Database(database_url).dedicated()

    async def lose_it() -> None:
        async with other.transaction():
            await connection.execute("SELECT pg_terminate_backend($1)", other.get_server_pid())
            await other.fetchval("SELECT 1")

    with pytest.raises(CLIENT_ERRORS) as lost:
        await lose_it()
    assert is_connection_lost(lost.value)


async def test_connection_to_a_former_primary_is_given_up(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")
        former = connection.get_server_pid()

    async def write() -> int:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE public.written ()")
            return connection.get_server_pid()

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as refused:
        await write()
    assert is_connection_lost(refused.value)
    assert await write() != former


async def test_connection_to_a_server_that_hangs_is_given_up(database: Database) -> None:
    async with database.connection() as connection:
        hanging = connection.get_server_pid()
    os.kill(hanging, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                async with database.connection() as connection:
                    await connection.fetchval("SELECT 1", timeout=0.1)
            async with database.connection() as connection:
                assert await connection.fetchval("SELECT 1") == 1
    finally:
        os.kill(hanging, signal.SIGCONT)


async def test_host_that_says_nothing_keeps_nobody_from_the_next_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automations.database.HOST_SECONDS", 0.5)
    parts = urlsplit(database_url)
    [folder] = parse_qs(parts.query)["host"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"127.0.0.1:{silent.getsockname()[1]},{quote(folder, safe='')}"
        several = f"postgresql://{parts.username}@{hosts}{parts.path}?target_session_attrs=read-write"
        connection = await Database(several).dedicated()
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        database = Database(several)
        await database.connect()
        await database.disconnect()


async def test_queries_read_from_the_standby_where_one_is_named(
    database_url: str, module_database_url: str, tmp_path: Path
) -> None:
    async with running(database_url, tmp_path, read_database_url=module_database_url) as server:
        made = await server.automation({"webhook": {"url": "https://example.com"}})
        assert await server.execute("{ automation { id } }") == {"automation": []}, (
            "it stands in for one that is behind"
        )
    async with running(database_url, tmp_path) as server:
        assert await server.execute("{ automation { id } }") == {"automation": [{"id": made}]}


async def test_server_that_is_not_there_is_lost() -> None:
    with refusing_port() as port, pytest.raises(OSError) as lost:  # noqa: PT011 - whichever it is, it is judged
        await Database(f"postgresql://me@127.0.0.1:{port}/x").dedicated()
    assert is_connection_lost(lost.value)


def test_server_that_starts_or_stops_is_lost() -> None:
    assert is_connection_lost(asyncpg.CannotConnectNowError("starting up"))
    assert is_connection_lost(asyncpg.AdminShutdownError("shutting down"))


async def test_value_that_cannot_be_encoded_is_not_a_lost_connection(connection: DedicatedConnection) -> None:
    with pytest.raises(asyncpg.exceptions.DataError) as wrong:
        await connection.fetchval("SELECT $1::integer", "seven")
    assert not is_connection_lost(wrong.value)


@pytest.mark.parametrize("text", ["connection is closed", "the pool is closed"])
async def test_value_that_speaks_of_a_closed_connection_is_only_a_value(
    connection: DedicatedConnection, text: str
) -> None:
    with pytest.raises(asyncpg.exceptions.DataError) as wrong:
        await connection.fetchval("SELECT $1::integer", text)
    assert not is_connection_lost(wrong.value)


async def test_own_mistakes_are_not_a_lost_connection(connection: DedicatedConnection) -> None:
    sleeping = asyncio.create_task(connection.fetchval("SELECT pg_sleep(0.2)"))
    await asyncio.sleep(0)
    with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress") as busy:
        await connection.fetchval("SELECT 1")
    assert not is_connection_lost(busy.value)
    await sleeping
    with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument") as miscounted:
        await connection.fetchval("SELECT $1::integer")
    assert not is_connection_lost(miscounted.value)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connection.fetchval("SELECT nothing")
    assert not is_connection_lost(refused.value)


async def test_loop_tells_a_bug_from_a_lost_database(
    database_url: str, capsys: pytest.CaptureFixture[str], connection: DedicatedConnection
) -> None:
    bell = Bell()
    runs: list[datetime] = []

    async def work(loop_connection: DedicatedConnection) -> None:
        runs.append(datetime.now(UTC))
        if len(runs) == 1:
            await loop_connection.fetchval("SELECT $1::integer", "seven")
        if len(runs) == 2:
            await connection.execute("SELECT pg_terminate_backend($1)", loop_connection.get_server_pid())
            await loop_connection.fetchval("SELECT 1")
        bell.stop()

    await keep_running("a loop", Database(database_url), work, bell)
    told = capsys.readouterr().out
    assert len(runs) == 3
    assert told.index("a loop failed") < told.index("lost the database")
