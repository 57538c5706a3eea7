"""Brings a database to the newest schema: forward only, one transaction a file, checksums kept.

Two sets: `orchestration` (the watched tables, skipped for good where somebody else's are there already) and
`automations` (ours). An advisory lock lets any number of processes start at once.

A program goes on with a newer database to which only was added, so that the version before can be started during an
upgrade, or again after one. A migration that takes away what earlier programs use says so in a line of its own,
`-- contracts: N`: programs that know migration N of its set do without.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from automations import attachment
from automations.database import Connection, LockTimeout, Record, load_queries
from automations.resources import resource

SETS = ("orchestration", "automations")
OLDEST_SERVER = 150000  # server_version_num: PostgreSQL 15
APPLY_SECONDS = 3600.0
LOCK_POLL_SECONDS = 0.05
_CONTRACTS = re.compile(r"^-- contracts: ([0-9]+)$", re.MULTILINE)

log = structlog.get_logger(__name__)
queries = load_queries("migration")


class MigrationError(RuntimeError):
    """The database cannot be brought to this version; the message says what to do."""


@dataclass(frozen=True)
class Migration:
    """One file: `NNNN_name.sql`."""

    set_name: str
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def oldest_program(self) -> int:
        """The migration of its set that a program has to know to go on with this one; 0 where any does."""
        contracts = _CONTRACTS.search(self.sql)
        return int(contracts[1]) if contracts else 0


def available(set_name: str) -> Iterator[Migration]:
    """The migrations of a set in the order they are applied."""
    for path in sorted((resource("sql") / "migrations" / set_name).glob("*.sql")):
        version, _, name = path.stem.partition("_")
        yield Migration(set_name, int(version), name, path.read_text())


async def migrate(connection: Connection) -> list[Migration]:
    """Apply what is missing and return it. Safe to call from several processes at once."""
    server = int(await queries.server_version(connection))
    if server < OLDEST_SERVER:
        raise MigrationError(
            f"PostgreSQL {server // 10000} is too old: version {OLDEST_SERVER // 10000} or newer is needed."
        )
    async with alone(connection):
        await _open_ledger(connection)
        missing = await missing_migrations(connection)
        for migration in missing:
            await _apply(connection, migration)
    return missing


async def missing_migrations(connection: Connection) -> list[Migration]:
    """What is not applied yet; MigrationError where the database is too new for this program, or a file was changed."""
    return [migration for set_name in SETS for migration in await _missing(connection, set_name)]


async def _open_ledger(connection: Connection) -> None:
    """Make the list of migrations and note whose the watched tables are; nothing where they cannot be watched."""
    async with connection.transaction():
        await queries.create_ledger(connection)
        if await queries.watched_tables_are_foreign(connection):
            await queries.leave_watched_tables(connection)
        if await attachment.is_attached(connection):
            await attachment.wait_briefly(connection)
            if problem := await attachment.unfit(connection):
                raise MigrationError(problem)


@asynccontextmanager
async def alone(connection: Connection) -> AsyncIterator[None]:
    """Wait, as long as it takes, for the turn of this process."""
    while True:
        if await queries.try_lock(connection):
            break
        await asyncio.sleep(LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not connection.is_closed():
            await queries.unlock(connection)


async def _missing(connection: Connection, set_name: str) -> list[Migration]:
    applied = {row["version"]: row async for row in queries.applied(connection, set_name=set_name)}
    if 0 in applied:  # the watched tables belong to an existing backend
        return []
    migrations = list(available(set_name))
    _check(set_name, applied, migrations)
    return [migration for migration in migrations if migration.version not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql, timeout=APPLY_SECONDS)
            await queries.record(
                connection,
                set_name=migration.set_name,
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
                oldest_program=migration.oldest_program,
            )
    except LockTimeout:
        raise MigrationError(
            "The existing backend has been writing to its tables for longer than Automations makes it wait. "
            "What was not done yet can be done at any time: start again."
        ) from None
    log.info("migrated", set=migration.set_name, version=migration.version, name=migration.name)


def _check(set_name: str, applied: Mapping[int, Record], migrations: list[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    newest = max(known)
    newer = [row for version, row in applied.items() if version > newest]
    # Who noted nothing about it did not know that anybody would ask.
    if any(row["oldest_program"] is None or row["oldest_program"] > newest for row in newer):
        raise MigrationError(
            f"The database is newer than this program: it is at {set_name} migration {max(applied)}, and this "
            f"version knows {newest} at most. Start a version of Automations at least as new as the last one used."
        )
    if newer:
        log.warning("the database is newer, and goes with this version", set=set_name, at=max(applied), known=newest)
    for version, row in applied.items():
        if version in known and row["checksum"] != known[version].checksum:
            raise MigrationError(
                f"Migration {set_name}/{version:04d}_{row['name']} was changed after it was applied. Landed migrations "
                "are never edited: restore the file and put the change into a new one."
            )
