"""A database of an existing backend, and a server of ours that is attached to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from automations.database import Database, DedicatedConnection
from automations.migrations import migrate
from automations.postgres import EmbeddedPostgres
from tests.attached.theirs import TABLES, Theirs
from tests.conftest import _administer, _database, _with_name
from tests.harness import Automations, running
from tests.providers.prefect_server import PrefectServer
from tests.receivers import Receiver


async def make_theirs(connection: DedicatedConnection) -> UUID:
    """The backend's tables and its only tenant."""
    await connection.execute(TABLES)
    tenant_id: UUID = await connection.fetchval(
        "INSERT INTO tenant (name, slug) VALUES ('Default', 'default') RETURNING id"
    )
    return tenant_id


@pytest.fixture
async def theirs(empty_database_url: str) -> AsyncIterator[Theirs]:
    """The backend before anybody attached to it."""
    connection = await Database(empty_database_url).dedicated()
    yield Theirs(connection, await make_theirs(connection))
    await connection.close()


@pytest.fixture(scope="session")
async def attached_template(postgres: EmbeddedPostgres, template: str) -> str:
    """Name of a backend's database that we are attached to, for tests to clone."""
    name = f"{template}_attached"
    await _administer(postgres.url, f'CREATE DATABASE "{name}"')
    connection = await Database(_with_name(postgres.url, name)).dedicated()
    await make_theirs(connection)
    await migrate(connection)
    await connection.close()
    return name


@pytest.fixture
async def attached_url(postgres: EmbeddedPostgres, attached_template: str) -> AsyncIterator[str]:
    """URL of a backend's database that we are attached to."""
    async with _database(postgres.url, f'TEMPLATE "{attached_template}"') as url:
        yield url


@pytest.fixture
def names_tenants() -> bool:
    """Whether the backend writes its tenant into rows that can do without."""
    return True


@pytest.fixture
async def watched(attached_url: str, names_tenants: bool) -> AsyncIterator[Theirs]:
    """The backend once we are attached to it."""
    connection = await Database(attached_url).dedicated()
    tenant_id = await connection.fetchval("SELECT id FROM tenant")
    yield Theirs(connection, tenant_id, names_tenants)
    await connection.close()


@dataclass(frozen=True)
class Attached:
    """A running server that is attached, the backend, and its API."""

    api: Automations
    theirs: Theirs
    server: PrefectServer


@pytest.fixture
async def attached(watched: Theirs, attached_url: str, tmp_path: Path) -> AsyncIterator[Attached]:
    played = PrefectServer(watched)
    async with (
        Receiver(played) as receiver,
        running(attached_url, tmp_path, orchestration_url=f"{receiver.url}/", retry_seconds=(0.05, 0.05)) as api,
    ):
        yield Attached(api, watched, played)
    assert played.refused == []
