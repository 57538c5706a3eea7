"""A real PostgreSQL for every test: one server a run, and a fresh clone of a migrated database for each test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from automations.access.keys import create_key
from automations.access.roles import Role
from automations.database import Database, DedicatedConnection
from automations.migrations import migrate
from automations.orchestration.tenants import ensure_default_tenant
from automations.postgres import EmbeddedPostgres
from tests.canaries import refuse_in_database, reveals
from tests.delivery.ledger import Ledger
from tests.harness import Automations, running

hypothesis_settings.register_profile("automations", deadline=None, derandomize="CI" in os.environ)
hypothesis_settings.load_profile("automations")


_FOLDER = "TESTS_FOLDER_OF_AUTOMATIONS"


def pytest_configure() -> None:
    """Make the run's folder, once for all workers. Run as root, PostgreSQL has another account: it must get in.

    Logs show no values of variables, as those of a server do not; drawing them takes long, too.
    """
    structlog.configure(
        [
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="automations-tests-", dir="/tmp")
        Path(os.environ[_FOLDER]).chmod(0o755)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it; the workers have ended by now."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(_FOLDER))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test whose output shows a secret has failed: the servers in this process write their log there."""
    report = yield
    if report.passed and any(reveals(text) for _, text in report.sections):
        report.outcome, report.longrepr = "failed", "The output shows a secret."
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One embedded server for all workers: the last one out stops it."""
    embedded = EmbeddedPostgres.attach(Path(os.environ[_FOLDER]))
    yield embedded
    embedded.release()


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """Name of a migrated database that tests clone."""
    # Databases come and go here by the hundred, and none has to outlive the machine.
    await _administer(postgres.url, "ALTER SYSTEM SET fsync = off")
    await _administer(postgres.url, "SELECT pg_reload_conf()")
    name = f"template_{uuid4().hex[:12]}"
    await _administer(postgres.url, f'CREATE DATABASE "{name}"')
    connection = await Database(_with_name(postgres.url, name)).dedicated()
    await migrate(connection)
    await connection.close()
    return name


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """URL of a migrated database of the test's own."""
    async with _database(postgres.url, f'TEMPLATE "{template}"') as url:
        yield url


@pytest.fixture(scope="module")
async def module_database_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """URL of a migrated database for all tests of a module."""
    async with _database(postgres.url, f'TEMPLATE "{template}"') as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """URL of a database of the test's own with nothing in it."""
    async with _database(postgres.url) as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[DedicatedConnection]:
    """A connection to the test's database."""
    connection = await Database(database_url).dedicated()
    yield connection
    await connection.close()


@pytest.fixture
async def tenant_id(connection: DedicatedConnection) -> UUID:
    """The default tenant."""
    return await ensure_default_tenant(connection)


@pytest.fixture
def ledger(connection: DedicatedConnection, tenant_id: UUID) -> Ledger:
    """The ledger of the default tenant."""
    return Ledger(connection, tenant_id)


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[Automations]:
    """A running server on a real socket, with its loops."""
    async with running(database_url, tmp_path) as automations:
        yield automations


@pytest.fixture(scope="session")
async def shared_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """URL of the database below `shared_server`."""
    async with _database(postgres.url, f'TEMPLATE "{template}"') as url:
        yield url


@pytest.fixture(scope="session")
async def shared_server(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Automations]:
    """One running server for many tests, each of which has to keep to a tenant of its own."""
    async with running(shared_url, tmp_path_factory.mktemp("shared")) as automations:
        yield automations


@pytest.fixture
async def api(shared_server: Automations) -> Automations:
    """The shared server, as a new tenant: what a test needs that looks at its own rows only, at a tenth of the time."""
    made = await shared_server.write("create_tenant", name=f"tenant {uuid4().hex}")
    return shared_server.as_tenant(made["id"])


@pytest.fixture(scope="session")
async def guarded_server(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Automations]:
    """A server that asks for keys, over the database of `shared_server`, spoken to with an admin's for all tenants."""
    connection = await Database(shared_url).dedicated()
    tenant = await ensure_default_tenant(connection)
    made = await create_key(connection, tenant, name="guard", role=Role.ADMIN, all_tenants=True)
    await connection.close()
    async with running(
        shared_url, tmp_path_factory.mktemp("guarded"), auth="on", wrong_keys_per_second=0
    ) as automations:
        yield automations.with_key(made.text)


@pytest.fixture
async def guarded(guarded_server: Automations) -> Automations:
    """The guarded server, as an admin of a new tenant and of no other."""
    tenant = (await guarded_server.write("create_tenant", name=f"tenant {uuid4().hex}"))["id"]
    made = await guarded_server.write("create_api_key", "key", name="admin", role="admin", tenant_id=tenant)
    return guarded_server.with_key(made["key"])


@asynccontextmanager
async def _database(server_url: str, options: str = "") -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    await _administer(server_url, f'CREATE DATABASE "{name}" {options}')
    try:
        yield _with_name(server_url, name)
        await _search(_with_name(server_url, name))
    finally:
        await _administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _search(url: str) -> None:
    connection = await Database(url).dedicated()
    try:
        await refuse_in_database(connection)
    finally:
        await connection.close()


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_name(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
