"""A look below the API of the shared server."""

from collections.abc import AsyncIterator

import pytest

from automations.database import Database, DedicatedConnection


@pytest.fixture
async def sql(shared_url: str) -> AsyncIterator[DedicatedConnection]:
    """A connection to the shared server's database."""
    connection = await Database(shared_url).dedicated()
    yield connection
    await connection.close()
