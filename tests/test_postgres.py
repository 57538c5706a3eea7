"""Real servers, processes and kills: an owner is a child process that attaches, obeys and dies as it is told."""

import asyncio
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
import pytest

from automations import postgres, postgres_install
from automations.postgres import EmbeddedPostgres, PostgresUnavailable
from automations.postgres_install import Account, can_reach, find_binaries

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
DEADLINE_SECONDS = 60

OWNER = """
import asyncio, json, os, random, sys, time
from pathlib import Path
import asyncpg
from automations import postgres_install
from automations.postgres import EmbeddedPostgres, PostgresUnavailable

order = json.loads(sys.argv[1])
postgres_install.SHELTER = Path(order["shelter"])
if order["site"]:
    sys.path.insert(0, order["site"])
if order["uid"]:
    os.setgroups([])
    os.setgid(order["gid"])
    os.setuid(order["uid"])

async def query(statement):
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()

def attach():
    return EmbeddedPostgres.attach(Path(order["data_dir"]))

try:
    if order["rounds"]:
        for _ in range(order["rounds"]):
            server = attach()
            assert asyncio.run(query("SELECT 1")) == 1
            server.release()
            time.sleep(random.random() * 0.1)  # long enough for others to be the last one out
        sys.exit()
    server = attach()
    print(json.dumps(server.url), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command == "release":
            answer = server.release()
        elif command == "release in a forked child":
            child = os.fork()
            if child == 0:
                server.release()
                os._exit(0)
            answer = os.waitpid(child, 0)[1]
        else:
            answer = asyncio.run(query(command))
        print(json.dumps(answer), flush=True)
except PostgresUnavailable as error:
    print(json.dumps({"unavailable": str(error)}), flush=True)
"""

STRANGER = """
import os, socket, struct, sys
path, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
try:
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    names = b"user\\0automations\\0database\\0automations\\0\\0"
    server.sendall(struct.pack("!ii", len(names) + 8, 3 << 16) + names)
    print(server.recv(4096))
except OSError as error:
    print(repr(error))
"""


@dataclass
class Owner:
    process: asyncio.subprocess.Process
    url: str = ""

    async def read(self) -> object:
        assert self.process.stdout
        line = await asyncio.wait_for(self.process.stdout.readline(), DEADLINE_SECONDS)
        assert line, "the owner ended without an answer"
        return json.loads(line)

    async def attached(self) -> "Owner":
        answer = await self.read()
        assert isinstance(answer, str), answer
        self.url = answer
        return self

    async def refused(self) -> str:
        answer = await self.read()
        assert isinstance(answer, dict), answer
        return str(answer["unavailable"])

    async def ask(self, command: str) -> object:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self.read()

    async def socket_folder(self) -> Path:
        return Path(str(await self.ask("SHOW unix_socket_directories")))

    async def release(self) -> None:
        assert await self.ask("release") is None

    async def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), DEADLINE_SECONDS)


@dataclass
class Place:
    """A folder of this test, and the user who runs the owners in it."""

    folder: Path
    user: Account | None
    owners: list[Owner]

    @property
    def data_dir(self) -> Path:
        return self.folder / "user" / "data"

    @property
    def shelter(self) -> Path:
        return self.folder / "shelter"

    @property
    def data(self) -> Path:
        return self.data_dir / "postgres" / "data"

    @property
    def log(self) -> str:
        return (self.data_dir / "postgres" / "server.log").read_text()

    async def spawn(self, data_dir: Path | None = None, *, site: Path | None = None, rounds: int = 0) -> Owner:
        order = {
            "data_dir": str(data_dir or self.data_dir),
            "shelter": str(self.shelter),
            "site": str(site or ""),
            "uid": self.user.uid if self.user else 0,
            "gid": self.user.gid if self.user else 0,
            "rounds": rounds,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OWNER,
            json.dumps(order),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        self.owners.append(Owner(process))
        return self.owners[-1]

    async def attach(self, data_dir: Path | None = None, *, site: Path | None = None) -> Owner:
        return await (await self.spawn(data_dir, site=site)).attached()

    def postmaster(self, data: Path | None = None) -> psutil.Process | None:
        """The living postmaster of this place; zombies, which some machines never bury, are dead."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            process = psutil.Process(int(((data or self.data) / "postmaster.pid").read_text().splitlines()[0]))
            if str(data or self.data) in process.cmdline():
                return process
        return None

    async def clean(self) -> None:
        for owner in self.owners:
            if owner.process.returncode is None:
                await owner.end(signal.SIGKILL)
        locks = list(self.folder.rglob("server.lock"))
        await until(lambda: all(self.is_over(lock) for lock in locks))
        shutil.rmtree(self.folder)

    def is_over(self, lock: Path) -> bool:
        """Kill the server of `lock`; whatever runs on its cluster, `initdb` as well, holds the lock until its end."""
        if postmaster := self.postmaster(lock.with_name("data")):
            postmaster.kill()
        with lock.open() as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def account_of(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid)


def make_folder(user: Account | None) -> Path:
    # pytest's own folders are closed to the server's account.
    folder = Path(tempfile.mkdtemp(prefix="automations-test-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    for name in ("shelter", "user"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)
    if user:
        os.chown(folder / "user", user.uid, user.gid)
    return folder


@asynccontextmanager
async def new_place(user: Account | None) -> AsyncIterator[Place]:
    place = Place(make_folder(user), user, [])
    try:
        yield place
    finally:
        await place.clean()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with new_place(None) as place:
        yield place


def ordinary_user() -> Account | None:
    """None if that is who runs the tests."""
    if not IS_ROOT:
        return None
    user = account_of("nobody")
    if not can_reach(user, find_binaries(None) / "postgres"):
        pytest.skip("an ordinary user cannot reach this virtual environment")
    return user


@pytest.fixture
async def ordinary_place() -> AsyncIterator[Place]:
    async with new_place(ordinary_user()) as place:
        yield place


@pytest.fixture(params=["root", "ordinary user"])
async def any_place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "root" and not IS_ROOT:
        pytest.skip("only root can be root")
    async with new_place(None if request.param == "root" else ordinary_user()) as place:
        yield place


async def test_first_start_creates_the_database_and_data_persists(any_place: Place) -> None:
    owner = await any_place.attach()
    assert await owner.ask("SELECT current_user || '@' || current_database()") == "automations@automations"
    await owner.ask("CREATE TABLE kept AS SELECT 7 AS number")
    await owner.release()
    assert any_place.postmaster() is None

    owner = await any_place.attach()
    assert await owner.ask("SELECT number FROM kept") == 7


async def test_server_is_durable_utf8_and_deaf_to_the_network(place: Place) -> None:
    owner = await place.attach()
    for name, value in {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "listen_addresses": "",
        "max_connections": "500",
    }.items():
        assert await owner.ask(f"SHOW {name}") == value
    assert await owner.ask("SELECT upper('é')") == "É"


async def test_server_left_by_a_killed_owner_is_joined_and_stopped_by_the_next(any_place: Place) -> None:
    killed = await any_place.attach()
    await killed.ask("CREATE TABLE kept AS SELECT 7 AS number")
    postmaster = any_place.postmaster()
    assert postmaster
    await killed.end(signal.SIGKILL)

    owner = await any_place.attach()
    assert any_place.postmaster() == postmaster
    assert await owner.ask("SELECT number FROM kept") == 7
    await owner.release()
    assert any_place.postmaster() is None


async def test_last_one_out_stops_the_server_not_the_first(any_place: Place) -> None:
    first, second, third = [await any_place.attach() for _ in range(3)]
    assert first.url == second.url == third.url
    await first.release()
    await second.end(signal.SIGKILL)
    assert await third.ask("SELECT 1") == 1
    await third.release()
    assert any_place.postmaster() is None


async def test_two_shares_in_one_process_count_as_two(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_install, "SHELTER", place.shelter)
    first = await asyncio.to_thread(EmbeddedPostgres.attach, place.data_dir)
    second = await asyncio.to_thread(EmbeddedPostgres.attach, place.data_dir)
    await asyncio.to_thread(first.release)
    await asyncio.to_thread(first.release)
    connection = await asyncpg.connect(second.url)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    await asyncio.to_thread(second.release)
    assert place.postmaster() is None


async def test_release_in_a_forked_child_leaves_the_server_to_the_parent(place: Place) -> None:
    owner = await place.attach()
    assert await owner.ask("release in a forked child") == 0
    assert await owner.ask("SELECT 1") == 1
    await owner.release()
    assert place.postmaster() is None


async def test_ten_processes_starting_at_once_share_one_server(any_place: Place) -> None:
    owners = [await any_place.spawn() for _ in range(10)]
    await asyncio.gather(*(owner.attached() for owner in owners))
    assert await asyncio.gather(*(owner.ask("SELECT 1") for owner in owners)) == [1] * 10
    assert any_place.log.count("ready to accept connections") == 1
    await asyncio.gather(*(owner.release() for owner in owners))
    assert any_place.postmaster() is None


async def test_attaching_while_the_last_one_leaves_never_fails(place: Place) -> None:
    owners = [await place.spawn(rounds=30) for _ in range(3)]
    endings = [asyncio.wait_for(owner.process.wait(), DEADLINE_SECONDS) for owner in owners]
    assert await asyncio.gather(*endings) == [0] * 3
    assert place.postmaster() is None
    assert place.log.count("database system is shut down") > 10, "they never met at the door"


async def test_first_start_survives_a_kill_at_any_moment(place: Place) -> None:
    started_at = time.monotonic()
    await (await place.attach()).release()
    whole = time.monotonic() - started_at
    for share in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        data_dir = place.folder / "user" / f"killed-at-{share}"
        killed = await place.spawn(data_dir)
        await asyncio.sleep(whole * share)
        await killed.end(signal.SIGKILL)

        owner = await place.attach(data_dir)
        assert await owner.ask("SELECT current_database()") == "automations"
        await owner.release()
        assert place.postmaster(data_dir / "postgres" / "data") is None


async def test_kills_amid_coming_and_going_are_repaired_by_the_next(place: Place) -> None:
    owner = await place.attach()
    await owner.ask("CREATE TABLE kept AS SELECT 7 AS number")
    await owner.release()
    for delay in (0.4, 0.5, 0.6, 0.7, 0.8):
        owners = [await place.spawn(rounds=1000) for _ in range(3)]
        await asyncio.sleep(delay)
        await asyncio.gather(*(owner.end(signal.SIGKILL) for owner in owners))
        assert all(owner.process.returncode == -signal.SIGKILL for owner in owners)
    owner = await place.attach()
    assert await owner.ask("SELECT number FROM kept") == 7
    await owner.release()
    assert place.postmaster() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_to_the_owner_leaves_data_safe(place: Place, number: signal.Signals) -> None:
    owner = await place.attach()
    await owner.ask("CREATE TABLE kept AS SELECT 7 AS number")
    await owner.end(number)
    owner = await place.attach()
    assert await owner.ask("SELECT number FROM kept") == 7
    await owner.release()
    assert place.postmaster() is None


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(place: Place) -> None:
    owner = await place.attach()
    postmaster = place.postmaster()
    assert postmaster
    assert os.getsid(postmaster.pid) != os.getsid(owner.process.pid)
    os.killpg(owner.process.pid, signal.SIGINT)
    await asyncio.wait_for(owner.process.wait(), DEADLINE_SECONDS)
    await place.attach()
    assert place.postmaster() == postmaster
    assert "shutdown request" not in place.log


async def test_killed_server_is_started_again_by_the_next_attach_and_recovers(any_place: Place) -> None:
    owner = await any_place.attach()
    await owner.ask("CREATE TABLE kept AS SELECT 7 AS number")
    postmaster = any_place.postmaster()
    assert postmaster
    postmaster.kill()

    second = await any_place.attach()
    assert await second.ask("SELECT number FROM kept") == 7
    assert await owner.ask("SELECT number FROM kept") == 7
    assert "automatic recovery in progress" in any_place.log
    await owner.release()
    await second.release()
    assert any_place.postmaster() is None


async def test_stale_pid_file_that_names_another_living_process_is_passed_over(any_place: Place) -> None:
    await (await any_place.attach()).release()
    owner = any_place.data.stat()
    bystander = await asyncio.create_subprocess_exec("/bin/sleep", "600", user=owner.st_uid if IS_ROOT else None)
    try:
        lines = [bystander.pid, any_place.data, 1, 5432, any_place.data.with_name("socket"), "", "  1  1", "ready"]
        (any_place.data / "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))
        os.chown(any_place.data / "postmaster.pid", owner.st_uid, owner.st_gid)
        await (await any_place.attach()).release()
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_empty_pid_file_of_a_machine_crash_is_passed_over(place: Place) -> None:
    await (await place.attach()).release()
    (place.data / "postmaster.pid").touch()
    assert await (await place.attach()).ask("SELECT 1") == 1


async def test_path_too_long_for_a_socket_gets_a_short_private_folder(any_place: Place) -> None:
    data_dir = any_place.folder / "user" / ("x" * 120)
    owner = await any_place.attach(data_dir)
    socket_folder = await owner.socket_folder()
    try:
        assert not socket_folder.is_relative_to(data_dir)
        assert socket_folder.stat().st_mode & 0o777 == 0o700
        assert socket_folder.stat().st_uid == (data_dir / "postgres" / "data").stat().st_uid
        assert await owner.ask("SELECT 1") == 1
        assert (await any_place.attach(data_dir)).url == owner.url
    finally:
        shutil.rmtree(socket_folder)


@pytest.mark.parametrize("name", ["a comma, a blank", "quote'percent%dollar$(false)\"é"])
async def test_any_name_of_a_data_folder_will_do(place: Place, name: str) -> None:
    owner = await place.attach(place.folder / "user" / name)
    socket_folder = await owner.socket_folder()
    assert await owner.ask("SELECT 1") == 1
    await owner.release()
    shutil.rmtree(socket_folder)


async def test_folder_of_another_user_where_the_socket_would_be_is_refused(ordinary_place: Place) -> None:
    data_dir = ordinary_place.folder / "user" / ("x" * 120)
    owner = await ordinary_place.attach(data_dir)
    socket_folder = await owner.socket_folder()
    await owner.release()
    shutil.rmtree(socket_folder)
    socket_folder.symlink_to("/nowhere")
    try:
        assert "is in the way" in await (await ordinary_place.spawn(data_dir)).refused()
    finally:
        socket_folder.unlink()


@needs_root
async def test_server_of_another_user_in_place_of_ours_is_refused(ordinary_place: Place) -> None:
    data_dir = ordinary_place.folder / "user" / ("x" * 120)
    owner = await ordinary_place.attach(data_dir)
    socket_folder = await owner.socket_folder()
    shutil.rmtree(socket_folder)
    socket_folder.mkdir()
    socket_folder.chmod(0o755)
    try:
        with socket.socket(socket.AF_UNIX) as impostor:
            impostor.bind(str(socket_folder / ".s.PGSQL.5432"))
            (socket_folder / ".s.PGSQL.5432").chmod(0o777)
            impostor.listen()
            assert "belongs to another user" in await (await ordinary_place.spawn(data_dir)).refused()
    finally:
        shutil.rmtree(socket_folder)


def ask_as(stranger: Account, socket_folder: Path) -> str:
    """What another user of this machine hears who asks the server for our role."""
    command = [
        sys.executable,
        "-c",
        STRANGER,
        str(socket_folder / ".s.PGSQL.5432"),
        str(stranger.uid),
        str(stranger.gid),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS)
    return done.stdout.removeprefix("b'")


@needs_root
async def test_another_local_user_is_refused(any_place: Place) -> None:
    owner = await any_place.attach()
    socket_folder = await owner.socket_folder()
    stranger = account_of("daemon")
    assert "PermissionError" in ask_as(stranger, socket_folder)

    for folder in (any_place.data_dir, any_place.data_dir / "postgres", socket_folder):
        folder.chmod(0o711)
    (socket_folder / ".s.PGSQL.5432").chmod(0o777)
    assert "Peer authentication failed" in ask_as(stranger, socket_folder)
    assert ask_as(any_place.user or Account(0, 0), socket_folder).startswith("R")


def permissions(folders: list[Path]) -> dict[Path, tuple[int, int, int]]:
    return {folder: (folder.stat().st_mode, folder.stat().st_uid, folder.stat().st_gid) for folder in folders}


@pytest.mark.parametrize("mode", [0o755, 0o700])
async def test_folders_that_were_there_before_are_left_as_they_were(any_place: Place, mode: int) -> None:
    closed = any_place.folder / "user"
    closed.chmod(mode)
    folders = [closed, *closed.parents, any_place.shelter, *find_binaries(None).parents]
    before = permissions(folders)
    owner = await any_place.attach()
    await owner.release()
    assert permissions(folders) == before


@needs_root
async def test_root_puts_the_cluster_where_the_account_can_reach_it_and_stays_with_it(place: Place) -> None:
    (place.folder / "user").chmod(0o700)
    owner = await place.attach()
    home = (place.data_dir / "postgres").readlink()
    assert home.parent == place.shelter
    assert (home / "data").stat().st_uid != 0
    assert (home / "data").stat().st_mode & 0o777 == 0o700
    await owner.ask("CREATE TABLE kept AS SELECT 7 AS number")

    (place.folder / "user").chmod(0o755)
    second = await place.attach()
    assert second.url == owner.url
    await owner.release()
    await second.release()
    assert place.postmaster(home / "data") is None
    assert await (await place.attach()).ask("SELECT number FROM kept") == 7


@needs_root
async def test_root_is_told_when_the_cluster_its_link_leads_to_is_gone(place: Place) -> None:
    (place.folder / "user").chmod(0o700)
    await (await place.attach()).release()
    shutil.rmtree((place.data_dir / "postgres").readlink())
    assert "which is gone" in await (await place.spawn()).refused()


@needs_root
async def test_root_copies_binaries_that_the_account_cannot_reach(place: Place) -> None:
    closed = place.folder / "closed"
    closed.mkdir(mode=0o700)
    package = find_binaries(None).parents[1]
    wanted = shutil.ignore_patterns("include", "pginstall", "*.a")
    shutil.copytree(package, closed / package.name, ignore=wanted)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)

    owners = [await place.spawn(site=closed) for _ in range(3)]
    await asyncio.gather(*(owner.attached() for owner in owners))
    postmaster = place.postmaster()
    assert postmaster
    assert Path(postmaster.exe()).is_relative_to(place.shelter)
    assert await owners[0].ask("SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700
    assert [path.name.startswith("automations-postgres-") for path in place.shelter.iterdir()] == [True]


@needs_root
async def test_root_does_not_take_over_the_server_of_another_user(ordinary_place: Place) -> None:
    await (await ordinary_place.attach()).release()
    ordinary_place.user = None
    assert "belongs to user" in await (await ordinary_place.spawn()).refused()


async def test_data_of_another_major_version_is_refused(place: Place) -> None:
    await (await place.attach()).release()
    (place.data / "PG_VERSION").write_text("16\n")
    message = await (await place.spawn()).refused()
    assert "was made by PostgreSQL 16, this is PostgreSQL 18" in message
    assert "AUTOMATIONS_DATABASE_URL" in message


async def test_failed_start_shows_the_last_lines_of_the_log(place: Place) -> None:
    await (await place.attach()).release()
    with (place.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("wal_compression = 'lz4'\n")
    message = await (await place.spawn()).refused()
    assert "stopped right after its start" in message
    assert "wal_compression" in message


async def test_folder_that_cannot_be_written_is_named(ordinary_place: Place) -> None:
    (ordinary_place.folder / "user").chmod(0o555)
    message = await (await ordinary_place.spawn()).refused()
    assert "Permission denied" in message
    assert str(ordinary_place.data_dir) in message
    (ordinary_place.folder / "user").chmod(0o755)


@needs_root
async def test_user_without_a_name_is_told_so(ordinary_place: Place) -> None:
    ordinary_place.user = Account(54321, 54321)
    os.chown(ordinary_place.folder / "user", 54321, 54321)
    assert "user id 54321 has no name" in await (await ordinary_place.spawn()).refused()


async def run(*command: str) -> int:
    return await (await asyncio.create_subprocess_exec(*command)).wait()


@needs_root
async def test_full_disk_is_named(place: Place) -> None:
    place.data_dir.mkdir()
    if await run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0755", "tmpfs", str(place.data_dir)) != 0:
        pytest.skip("this root may not mount")
    try:
        assert "the disk is full" in await (await place.spawn()).refused()
    finally:
        assert await run("umount", str(place.data_dir)) == 0


async def test_missing_binaries_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_install, "SHELTER", place.shelter)
    monkeypatch.setattr(postgres_install, "find_spec", lambda _name: None)
    with pytest.raises(
        PostgresUnavailable, match=r"there are no PostgreSQL 18 binaries for .*AUTOMATIONS_DATABASE_URL"
    ):
        await asyncio.to_thread(EmbeddedPostgres.attach, place.data_dir)


async def test_slow_start_is_left_to_finish(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_install, "SHELTER", place.shelter)
    monkeypatch.setattr(postgres, "START_SECONDS", 0.0)
    with pytest.raises(PostgresUnavailable, match="not ready after 0 seconds, try again"):
        await asyncio.to_thread(EmbeddedPostgres.attach, place.data_dir)
    owner = await place.attach()
    assert place.log.count("starting PostgreSQL") == 1
    await owner.release()


async def test_windows_is_told_to_bring_its_own_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(PostgresUnavailable, match="set AUTOMATIONS_DATABASE_URL"):
        EmbeddedPostgres.attach(place.data_dir)


async def test_log_does_not_grow_without_bounds(place: Place) -> None:
    owner = await place.attach()
    log = place.data_dir / "postgres" / "server.log"
    with log.open("a") as lines:
        lines.write("x" * (postgres.LOG_BYTES + 1))
    second = await place.attach()
    assert log.stat().st_size < postgres.LOG_BYTES
    await owner.release()
    await second.release()
    assert "database system is shut down" in place.log
    assert log.read_bytes().count(0) == 0
