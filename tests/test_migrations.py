"""Databases come to the newest schema, each migration once, and tables of somebody else are left alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from automations import migrations
from automations.database import Database, DedicatedConnection
from automations.migrations import SETS, Migration, MigrationError, available, migrate


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[DedicatedConnection]:
    """A connection to a database with nothing in it."""
    connection = await Database(empty_database_url).dedicated()
    yield connection
    await connection.close()


async def recorded(connection: DedicatedConnection) -> list[tuple[str, int]]:
    """What the database says was applied."""
    rows = await connection.fetch("SELECT set_name, version FROM automations.migration ORDER BY set_name DESC, version")
    return [(row["set_name"], row["version"]) for row in rows]


def everything() -> list[tuple[str, int]]:
    """Every migration there is, in order."""
    return [(migration.set_name, migration.version) for set_name in SETS for migration in available(set_name)]


async def make_foreign_tables(connection: DedicatedConnection) -> None:
    """The watched tables as if an existing backend had made them, and its tenant."""
    for migration in available("orchestration"):
        await connection.execute(migration.sql)
    await connection.execute("INSERT INTO tenant (name, slug) VALUES ('theirs', 'theirs')")


async def test_fresh_database_gets_both_sets_in_order(empty: DedicatedConnection) -> None:
    applied = await migrate(empty)
    assert [(migration.set_name, migration.version) for migration in applied] == everything()
    assert applied[0].set_name == "orchestration"
    assert await recorded(empty) == everything()


async def test_second_run_applies_nothing(empty: DedicatedConnection) -> None:
    await migrate(empty)
    assert await migrate(empty) == []
    assert await recorded(empty) == everything()


async def test_two_at_once_apply_each_migration_once(empty: DedicatedConnection, empty_database_url: str) -> None:
    second = await Database(empty_database_url).dedicated()
    try:
        counts = await asyncio.gather(migrate(empty), migrate(second))
    finally:
        await second.close()
    assert sorted(map(len, counts)) == [0, len(everything())]
    assert await recorded(empty) == everything()


async def test_refusal_gives_the_lock_back(empty: DedicatedConnection) -> None:
    await migrate(empty)
    await empty.execute("UPDATE automations.migration SET checksum = 'x'")
    with pytest.raises(MigrationError):
        await migrate(empty)
    assert (
        await empty.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        == 0
    )


async def test_migration_that_was_changed_is_refused_by_its_name(
    connection: DedicatedConnection,
) -> None:
    await connection.execute(
        "UPDATE automations.migration SET checksum = 'x' WHERE (set_name, version) = ('automations', 2)"
    )
    with pytest.raises(MigrationError, match=r"automations/0002_ledger was changed"):
        await migrate(connection)


@pytest.mark.parametrize("set_name", SETS)
async def test_database_newer_than_the_code_of_which_nothing_is_known_is_refused(
    connection: DedicatedConnection, set_name: str
) -> None:
    await connection.execute(
        "INSERT INTO automations.migration (set_name, version, name, checksum) VALUES ($1, 999, 'tomorrow', '')",
        set_name,
    )
    with pytest.raises(MigrationError, match=f"newer than this program: it is at {set_name} migration 999"):
        await migrate(connection)


@pytest.mark.parametrize("set_name", SETS)
async def test_database_to_which_a_newer_program_only_added_is_gone_on_with(
    connection: DedicatedConnection, set_name: str
) -> None:
    newest = len(list(available(set_name)))
    for version, sql in (
        (newest + 1, "CREATE TABLE more (id integer)"),
        (newest + 2, f"-- contracts: {newest}\nDROP TABLE more"),
    ):
        await apply(connection, Migration(set_name, version, "tomorrow", sql))
        assert await migrate(connection) == []


async def test_database_that_lost_what_the_program_uses_is_refused(connection: DedicatedConnection) -> None:
    newest = len(list(available("automations")))
    contraction = f"-- What nobody reads.\n-- contracts: {newest + 1}\nDROP TABLE automations.attempt"
    await apply(connection, Migration("automations", newest + 2, "tomorrow", contraction))
    with pytest.raises(MigrationError, match="newer than this program"):
        await migrate(connection)


async def apply(connection: DedicatedConnection, newer: Migration) -> None:
    """As a newer program does."""

    def with_it(set_name: str) -> Iterator[Migration]:
        yield from available(set_name)
        if set_name == newer.set_name:
            yield newer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "available", with_it)
        await migrate(connection)


async def test_tables_of_an_existing_backend_are_left_alone_and_watched(empty: DedicatedConnection) -> None:
    await make_foreign_tables(empty)
    tenant = await empty.fetchval("SELECT id FROM tenant")
    columns = """
        SELECT table_name, column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
    """
    before = await empty.fetch(columns)

    applied = await migrate(empty)

    assert {migration.set_name for migration in applied} == {"automations"}
    assert (await recorded(empty))[0] == ("orchestration", 0)
    assert await empty.fetch(columns) == before
    assert await empty.fetchval("SELECT id FROM tenant") == tenant

    run = await empty.fetchval(
        """
        WITH project AS (INSERT INTO project (tenant_id, name) VALUES ($1, 'p') RETURNING id),
        flow_group AS (INSERT INTO flow_group (tenant_id) VALUES ($1) RETURNING id),
        flow AS (
            INSERT INTO flow (tenant_id, name, project_id, flow_group_id)
            SELECT $1, 'f', project.id, flow_group.id FROM project, flow_group RETURNING id
        )
        INSERT INTO flow_run (tenant_id, flow_id) SELECT $1, id FROM flow RETURNING id
        """,
        tenant,
    )
    await empty.execute(
        "INSERT INTO flow_run_state (tenant_id, flow_run_id, state) VALUES ($1, $2, 'Failed')", tenant, run
    )
    assert await empty.fetchval("SELECT flow_run_id FROM automations.state_change") == run


async def test_existing_backend_stays_recognised_at_the_next_start(empty: DedicatedConnection) -> None:
    await make_foreign_tables(empty)
    await migrate(empty)
    assert await migrate(empty) == []
    assert (await recorded(empty)).count(("orchestration", 0)) == 1


async def test_migration_that_fails_leaves_nothing_behind(
    empty: DedicatedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty)
    sql = "CREATE TABLE automations.half (id integer); SELECT 1 / 0;"

    def with_a_broken_one(set_name: str) -> Iterator[Migration]:
        yield from available(set_name)
        if set_name == "automations":
            yield Migration(set_name, 9999, "broken", sql)

    monkeypatch.setattr(migrations, "available", with_a_broken_one)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)
    assert await empty.fetchval("SELECT to_regclass('automations.half')") is None
    assert await recorded(empty) == everything()

    sql = "CREATE TABLE automations.half (id integer);"
    assert [migration.version for migration in await migrate(empty)] == [9999]


async def test_versions_of_a_set_are_consecutive() -> None:
    for set_name in SETS:
        versions = [migration.version for migration in available(set_name)]
        assert versions == list(range(1, len(versions) + 1))


async def test_server_that_is_too_old_is_refused_before_anything_is_made(
    empty: DedicatedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "OLDEST_SERVER", 990000)
    with pytest.raises(MigrationError, match=r"PostgreSQL \d+ is too old: version 99 or newer is needed"):
        await migrate(empty)
    assert await empty.fetchval("SELECT to_regnamespace('automations')") is None


async def test_refused_set_keeps_the_others_from_being_applied(
    connection: DedicatedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that a newer version has used is left as it is, whole."""

    def with_one_more(set_name: str) -> Iterator[Migration]:
        yield from available(set_name)
        if set_name == "orchestration":
            yield Migration(set_name, 999, "more", "CREATE TABLE more (id integer)")

    await connection.execute("INSERT INTO automations.migration VALUES ('automations', 999, 'tomorrow', '')")
    monkeypatch.setattr(migrations, "available", with_one_more)
    with pytest.raises(MigrationError):
        await migrate(connection)
    assert await connection.fetchval("SELECT to_regclass('more')") is None


async def test_process_that_died_while_it_migrated_keeps_nobody_waiting(
    empty: DedicatedConnection, empty_database_url: str
) -> None:
    died = await Database(empty_database_url).dedicated()
    await died.execute("SELECT pg_advisory_lock(7305804401)")
    waiting = asyncio.create_task(migrate(empty))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    died.terminate()
    async with asyncio.timeout(20):
        assert len(await waiting) == len(everything())
