"""A lost connection is told apart from a value that cannot be written and from a bug of ours."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from automations.database import CLIENT_ERRORS, Database, DedicatedConnection, is_connection_lost
from automations.engine.loop import Bell, keep_running
from tests.harness import eventually
from tests.receivers import refusing_port


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
