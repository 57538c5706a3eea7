"""`automations detach` leaves the backend's database as it was, tells what goes, and goes only where that is safe."""

import asyncio
import io
from pathlib import Path

import pytest

from automations.commands.detach import run_detach
from automations.database import Database, DedicatedConnection
from automations.migrations import migrate
from automations.postgres_install import find_binaries
from tests.api.firing import QUIET
from tests.attached.theirs import Theirs, contents, objects
from tests.harness import running
from tests.test_cli import Done, automations


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


async def used(url: str, theirs: Theirs, tmp_path: Path) -> None:
    """Attach, let an automation fire, and stop the server."""
    await migrate(theirs.connection)
    async with running(url, tmp_path) as api:
        await api.write("set_secret", "success", name="A", value="x")
        await api.automation(QUIET)
        run = await theirs.run((await theirs.flow()).id)
        await theirs.enter(run, "Failed")
        await api.settled(1)


async def detach(url: str, *options: str) -> Done:
    return await automations("detach", *options, database_url=url)


async def dump(url: str) -> str:
    """All that the database holds, as pg_dump has it: definitions and rows."""
    process = await asyncio.create_subprocess_exec(
        find_binaries(None) / "pg_dump",
        "--no-password",
        "--restrict-key=none",
        "--dbname",
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def release(theirs: Theirs) -> None:
    """A test's own connection counts as a server's, unless it goes by another name."""
    await theirs.connection.execute("SET application_name = 'test'")


async def test_database_is_as_it_was_before(theirs: Theirs, empty_database_url: str, tmp_path: Path) -> None:
    await theirs.run((await theirs.flow()).id)
    before, dumped, rows = (
        await objects(theirs.connection),
        await dump(empty_database_url),
        await contents(theirs.connection),
    )
    await migrate(theirs.connection)
    async with running(empty_database_url, tmp_path) as api:
        await api.automation(QUIET, event={"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}})
        await api.settled(1)
    await release(theirs)
    assert await dump(empty_database_url) != dumped
    done = await detach(empty_database_url, "--yes")
    assert (done.code, done.err) == (0, "")
    assert await dump(empty_database_url) == dumped
    assert await objects(theirs.connection) == before
    assert await contents(theirs.connection) == rows
    await theirs.enter(await theirs.run((await theirs.flow()).id), "Failed")
    again = await detach(empty_database_url, "--yes")
    assert (again.code, again.out) == (0, "Nothing of Automations is in this database.\n")


async def test_what_goes_is_told_before_it_goes(theirs: Theirs, empty_database_url: str, tmp_path: Path) -> None:
    await used(empty_database_url, theirs, tmp_path)
    await release(theirs)
    before = await objects(theirs.connection)
    done = await detach(empty_database_url)
    assert done.code == 1
    for line in (
        "trigger automations_capture on flow_run_state",
        "trigger automations_note on flow_run_state",
        "schema automations, with",
        "1 automations",
        "1 secrets",
        "1 deliveries",
    ):
        assert line in done.out
    assert "Nothing was changed: there is nobody to ask. Say --yes to go ahead." in done.err
    assert await objects(theirs.connection) == before


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_it_asks(
    answer: str, code: int, attached_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run_detach(attached_url, yes=False) == code
    assert ("It is gone." in capsys.readouterr().out) is (code == 0)


async def test_attaching_again_begins_anew(theirs: Theirs, empty_database_url: str, tmp_path: Path) -> None:
    await used(empty_database_url, theirs, tmp_path)
    await release(theirs)
    assert (await detach(empty_database_url, "--yes")).code == 0
    await migrate(theirs.connection)
    async with running(empty_database_url, tmp_path) as api:
        data = await api.execute("{ automation { id } flow_run { state } }")
    assert data == {"automation": [], "flow_run": [{"state": "Failed"}]}


async def test_own_database_is_never_taken_apart(connection: DedicatedConnection, database_url: str) -> None:
    await connection.execute("SET application_name = 'test'")
    done = await detach(database_url, "--yes")
    assert done.code == 1
    assert "is no other backend's" in done.err
    assert await connection.fetchval("SELECT to_regclass('automations.automation')") is not None


async def test_running_servers_are_not_cut_off(watched: Theirs, attached_url: str, tmp_path: Path) -> None:
    await release(watched)
    async with running(attached_url, tmp_path):
        done = await detach(attached_url, "--yes")
    assert done.code == 1
    assert "Stop its servers first" in done.err
    assert await watched.value("SELECT to_regclass('automations.automation')") is not None


async def test_what_others_built_on_our_tables_is_not_taken_away(watched: Theirs, attached_url: str) -> None:
    await release(watched)
    await watched.connection.execute("CREATE VIEW public.sent AS SELECT status FROM automations.delivery")
    done = await detach(attached_url, "--yes")
    assert done.code == 1
    assert "public.sent" in done.err
    assert await watched.value("SELECT count(*) FROM public.sent") == 0


async def test_backend_that_writes_for_long_is_not_held_up(watched: Theirs, attached_url: str) -> None:
    await release(watched)
    run = await watched.run((await watched.flow()).id)
    busy = await Database(attached_url).dedicated()
    await busy.execute("SET application_name = 'test'")
    async with busy.transaction():
        await busy.execute(
            "INSERT INTO flow_run_state (flow_run_id, state, serialized_state) VALUES ($1, 'Paused', '{}')", run
        )
        done = await detach(attached_url, "--yes")
    await busy.close()
    assert done.code == 1
    assert "Run this again at any time" in done.err


async def test_database_has_to_be_named() -> None:
    done = await automations("detach", "--yes")
    assert done.code == 2
    assert "AUTOMATIONS_DATABASE_URL" in done.err
