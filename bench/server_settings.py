"""Settings of PostgreSQL that are other ones for a while."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from automations.database import DedicatedConnection


@asynccontextmanager
async def server_settings(connection: DedicatedConnection, settings: Mapping[str, str]) -> AsyncIterator[None]:
    """Meanwhile, these hold for everybody, also for those who are connected already."""
    for name, value in settings.items():
        await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
    await connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        for name in settings:
            await connection.execute(f"ALTER SYSTEM RESET {name}")
        await connection.execute("SELECT pg_reload_conf()")
