"""A database that goes away under a running server, and comes back."""

from automations.database import Database, DedicatedConnection


async def close_database(url: str, connection: DedicatedConnection, *, is_open: bool) -> None:
    """Let nobody connect to this connection's database any more, or again; `url` is that of another on its server."""
    name = await connection.fetchval("SELECT current_database()")
    elsewhere = await Database(url).dedicated()
    await elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {is_open}')
    await elsewhere.close()


async def terminate_others(connection: DedicatedConnection) -> int:
    """Cut every other connection to this connection's database; how many there were."""
    return int(
        await connection.fetchval(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """
        )
    )
