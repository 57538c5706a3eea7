"""What was backed up is there again, on this server or on another, and secrets open with the key they need."""

import shutil
import stat
from pathlib import Path

import pytest

from automations.database import Database
from tests.canaries import CANARY, table_names
from tests.harness import Automations, running, serving
from tests.receivers import Receiver, reply
from tests.test_cli import automations, complaint


async def fill(server: Automations, url: str) -> None:
    """An automation that needs a secret, and a run that it fired for."""
    await server.write("set_secret", "success", name="HOOK", value=f"{url}/{CANARY}")
    await server.automation({"webhook": {"url_secret": "HOOK"}}, name="kept")
    await server.set_state(await server.run(await server.flow()), "Failed")
    await are_delivered(server, 1)


async def are_delivered(server: Automations, count: int) -> None:
    assert [row["status"] for row in await server.settled(count)] == ["DELIVERED"] * count


async def contents(database_url: str) -> dict[str, int]:
    """How many rows each table has; the queues of changes are not backed up whole, being unlogged."""
    connection = await Database(database_url).dedicated()
    tables = await table_names(connection)
    counts = {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables}
    await connection.close()
    return counts


async def test_backup_of_a_running_server_fills_an_empty_database(
    server: Automations, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "all.backup"
    async with Receiver(reply(200, b"ok")) as receiver:
        await fill(server, receiver.url)
        done = await automations("backup", str(file), database_url=database_url)
        assert (done.code, done.out) == (0, "")
        assert "The key that opens the secrets is not among them" in done.err
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        restored = await automations(
            "restore", str(file), database_url=empty_database_url, data_dir=str(tmp_path)
        )  # the data folder has the key of the server
        assert (restored.code, restored.err) == (0, "Restored.\n")
        async with running(empty_database_url, tmp_path) as other:
            assert (await other.execute("{ automation { name } }"))["automation"] == [{"name": "kept"}]
            await other.set_state(await other.run(await other.flow()), "Failed")
            await are_delivered(other, 2)
    assert (await contents(empty_database_url)).keys() == (await contents(database_url)).keys()


async def test_secrets_without_their_key_are_named(
    server: Automations, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await server.write("set_secret", "success", name="HOOK", value=CANARY)
    file = tmp_path / "all.backup"
    await automations("backup", str(file), database_url=database_url)
    restored = await automations(
        "restore", str(file), database_url=empty_database_url, data_dir=str(tmp_path / "elsewhere")
    )
    assert restored.code == 0
    assert "does not open these secrets: HOOK. Put the file secret.key" in restored.err


async def test_database_with_data_is_not_overwritten(server: Automations, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    await automations("backup", str(file), database_url=database_url)
    before = await contents(database_url)
    done = await automations("restore", str(file), database_url=database_url)
    assert done.code == 1
    assert complaint(done).startswith("the database is not empty")
    assert await contents(database_url) == before


@pytest.mark.parametrize("kept", [0, 0.01, 0.5])
async def test_damaged_file_restores_nothing(
    server: Automations, database_url: str, empty_database_url: str, tmp_path: Path, kept: float
) -> None:
    file = tmp_path / "all.backup"
    await automations("backup", str(file), database_url=database_url)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    done = await automations("restore", str(file), database_url=empty_database_url)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert await contents(empty_database_url) == {}


async def test_failed_backup_leaves_the_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    file.write_bytes(b"earlier")
    done = await automations("backup", str(file), database_url="postgresql://me:hunter2@127.0.0.1:1/none")
    assert done.code == 1
    assert "hunter2" not in done.err
    assert file.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["all.backup"]


async def test_key_of_the_key_file_is_changed(tmp_path: Path, database_url: str) -> None:
    async with Receiver(reply(200, b"ok")) as receiver:
        async with running(database_url, tmp_path) as server:
            await fill(server, receiver.url)
        before = (tmp_path / "secret.key").read_text()
        done = await automations("secrets", "rotate", database_url=database_url, data_dir=str(tmp_path))
        assert (done.code, done.out.splitlines()[0]) == (0, "1 secrets were sealed again")
        after = (tmp_path / "secret.key").read_text()
        assert len(after.splitlines()) == 1
        assert after != before
        async with running(database_url, tmp_path) as server:
            await server.set_state(await server.run(await server.flow()), "Failed")
            await are_delivered(server, 2)


async def test_key_is_not_changed_under_a_running_server(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url):
        before = (tmp_path / "secret.key").read_text()
        done = await automations("secrets", "rotate", database_url=database_url, data_dir=str(tmp_path))
    assert done.code == 1
    assert "stop it first" in complaint(done)
    assert (tmp_path / "secret.key").read_text() == before


async def test_rotation_that_was_cut_short_leaves_all_readable(tmp_path: Path, database_url: str) -> None:
    """As after a kill between the new key and the end: the file has both, and the next rotation tidies up."""
    async with Receiver(reply(200, b"ok")) as receiver:
        async with running(database_url, tmp_path) as server:
            await fill(server, receiver.url)
        shutil.copy(tmp_path / "secret.key", tmp_path / "old.key")
        await automations("secrets", "rotate", database_url=database_url, data_dir=str(tmp_path))
        with (tmp_path / "secret.key").open("a") as file:
            file.write((tmp_path / "old.key").read_text())
        async with running(database_url, tmp_path) as server:
            await server.set_state(await server.run(await server.flow()), "Failed")
            await are_delivered(server, 2)
        done = await automations("secrets", "rotate", database_url=database_url, data_dir=str(tmp_path))
    assert done.code == 0
    assert len((tmp_path / "secret.key").read_text().splitlines()) == 1


async def test_secret_that_does_not_open_stops_the_rotation(tmp_path: Path, database_url: str) -> None:
    async with running(database_url, tmp_path) as server:
        await server.write("set_secret", "success", name="A", value=CANARY)
    (tmp_path / "secret.key").unlink()
    done = await automations("secrets", "rotate", database_url=database_url, data_dir=str(tmp_path))
    assert done.code == 1
    assert "Secret 'A' was sealed with key" in complaint(done)
    assert complaint(done).endswith("Nothing was changed.")
