"""Behind a real PgBouncer everything works, whichever way it pools, and goes on after it was started anew."""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from automations.commands.shared import bring_up_to_date
from automations.database import STATEMENT_SECONDS, Database, DedicatedConnection
from automations.postgres_install import Account, server_account
from automations.settings import SettingsError
from tests.harness import Automations, GraphQLError, eventually, running
from tests.receivers import Receiver

PROGRAM = os.environ.get("TESTS_PGBOUNCER") or shutil.which(
    "pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
)

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer here: apt-get install pgbouncer")

PLACES = 3  # sessions that a pooler by transaction has; a server has up to 20 connections to it
CONFIG = """\
[databases]
* = host={server} port=5432 user={user}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
logfile = {folder}/log
"""
BY_SESSION = "pool_mode = session\ndefault_pool_size = 60\n"
BY_TRANSACTION = f"pool_mode = transaction\ndefault_pool_size = {PLACES}\n"
KEEPING_STATEMENTS = f"{BY_TRANSACTION}max_prepared_statements = 100\n"


def version() -> tuple[int, ...]:
    """Of the PgBouncer that is installed here."""
    said = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True).stdout
    [number] = re.findall(r"PgBouncer (\d+\.\d+)", said)
    return tuple(map(int, number.split(".")))


def configured(ways: str) -> str:
    """Lines of the config for the version that is here, or a skip that says which one they need."""
    if version() >= (1, 21):
        return f"{ways}max_prepared_statements = 0\n" if ways == BY_TRANSACTION else ways
    if ways == KEEPING_STATEMENTS:
        pytest.skip(f"PgBouncer {'.'.join(map(str, version()))} knows no prepared statements: 1.21 or newer does")
    return ways


@dataclass
class Bouncer:
    """A PgBouncer of the test's own."""

    folder: Path
    account: Account | None
    user: str
    database: str
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Of the test's database by way of it."""
        return f"postgresql://{self.user}@{self.database}?host={quote(str(self.folder))}&port=6432"

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            "-q",
            self.folder / "pgbouncer.ini",
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

        async def is_there() -> bool:
            return (self.folder / ".s.PGSQL.6432").exists()

        await eventually(is_there)

    async def kill(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        for left in (".s.PGSQL.6432", ".s.PGSQL.6432.lock"):
            (self.folder / left).unlink(missing_ok=True)


@asynccontextmanager
async def bouncing(ways: str, database_url: str, connection: DedicatedConnection) -> AsyncIterator[Bouncer]:
    """A PgBouncer before the test's database that pools in these ways."""
    parts = urlsplit(database_url)
    [server] = parse_qs(parts.query)["host"]
    account = server_account(Path(server).parent / "data")
    if account is not None:  # run as root, PgBouncer has the account of PostgreSQL, which knows only root by itself
        ident, name = Path(server).parent / "ident.conf", pwd.getpwuid(account.uid).pw_name
        ident.write_text(f'{ident.read_text()}{parts.username} "{name}" {parts.username}\n')
        await connection.execute("SELECT pg_reload_conf()")
    with TemporaryDirectory(prefix="automations-bouncer-", dir="/tmp") as name:
        folder = Path(name)
        config = folder / "pgbouncer.ini"
        config.write_text(CONFIG.format(server=server, user=parts.username, folder=folder) + configured(ways))
        if account is not None:
            shutil.chown(folder, account.uid, account.gid)
            config.chmod(0o644)
        bouncer = Bouncer(folder, account, str(parts.username), parts.path)
        await bouncer.start()
        try:
            yield bouncer
        finally:
            await bouncer.kill()


async def fail_one(server: Automations, flow: str) -> None:
    run = await server.run(flow)
    await server.set_state(run, "Failed")


@pytest.mark.parametrize("ways", [BY_TRANSACTION, KEEPING_STATEMENTS], ids=["plain", "keeping_statements"])
async def test_requests_share_few_sessions_and_become_deliveries(
    ways: str, database_url: str, connection: DedicatedConnection, tmp_path: Path
) -> None:
    async with (
        bouncing(ways, database_url, connection) as bouncer,
        Receiver() as receiver,
        running(database_url, tmp_path, pooled_database_url=bouncer.url) as server,
    ):
        await server.automation({"webhook": {"url": receiver.url}})
        flow = await server.flow()
        await asyncio.gather(*(fail_one(server, flow) for _ in range(30)))
        deliveries = await server.settled(30)
        assert {delivery["status"] for delivery in deliveries} == {"DELIVERED"}
        with pytest.raises(GraphQLError, match="no flow"):
            await server.run("00000000-0000-0000-0000-000000000001")
        assert len((await server.execute("{ flow_run { id } }"))["flow_run"]) == 30


@pytest.mark.parametrize(
    ("ways", "keeps"), [(BY_TRANSACTION, False), (KEEPING_STATEMENTS, True)], ids=["plain", "keeping_statements"]
)
async def test_sessions_of_other_clients_get_no_settings_and_no_statements(
    ways: str, keeps: bool, database_url: str, connection: DedicatedConnection
) -> None:
    async with bouncing(ways, database_url, connection) as bouncer:
        database = Database(database_url, pooled_url=bouncer.url)
        await database.connect()
        for _ in range(3):
            async with database.connection() as one, database.reading() as other:
                assert await one.fetchval("SELECT $1::int", 1) == 1
                assert await other.fetchval("SELECT current_setting('plan_cache_mode')") == "auto"
                assert await other.fetchval("SELECT current_setting('statement_timeout')") == "0"
                kept = await other.fetchval("SELECT count(*) FROM pg_prepared_statements")
                assert (kept > 0) is keeps
        async with database.transaction() as one:
            assert await one.fetchval("SELECT $1::text", "in a transaction") == "in a transaction"
        await database.disconnect()


async def test_requests_go_on_after_the_pooler_was_killed(
    database_url: str, connection: DedicatedConnection, tmp_path: Path
) -> None:
    ways = KEEPING_STATEMENTS if version() >= (1, 21) else BY_TRANSACTION
    async with AsyncExitStack() as stack:
        bouncer = await stack.enter_async_context(bouncing(ways, database_url, connection))
        receiver = await stack.enter_async_context(Receiver())
        server = await stack.enter_async_context(running(database_url, tmp_path, pooled_database_url=bouncer.url))
        await server.automation({"webhook": {"url": receiver.url}})
        flow = await server.flow()
        done = 0
        is_over = asyncio.Event()

        async def keep_failing() -> None:
            nonlocal done
            while not is_over.is_set():
                with suppress(GraphQLError):
                    await fail_one(server, flow)
                    done += 1
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as load:
            for _ in range(6):
                load.create_task(keep_failing())
            try:
                for _ in range(3):
                    before = done

                    async def has_gone_on(before: int = before) -> bool:
                        return done >= before + 20

                    await eventually(has_gone_on, 30)
                    await bouncer.kill()
                    await bouncer.start()
                before = done
                await eventually(has_gone_on, 30)
            finally:
                is_over.set()
        failed = await connection.fetchval("SELECT count(*) FROM flow_run WHERE state = 'Failed'")
        assert failed >= done
        assert len({delivery["id"] for delivery in await server.settled(failed)}) == failed


async def test_a_pooler_by_transaction_in_place_of_the_database_is_refused(
    database_url: str, connection: DedicatedConnection
) -> None:
    async with bouncing(BY_TRANSACTION, database_url, connection) as bouncer:
        with pytest.raises(SettingsError, match="AUTOMATIONS_POOLED_DATABASE_URL"):
            await asyncio.to_thread(bring_up_to_date, bouncer.url)


async def test_everything_may_go_by_way_of_one_that_pools_by_session(
    database_url: str, connection: DedicatedConnection, tmp_path: Path
) -> None:
    async with (
        bouncing(BY_SESSION, database_url, connection) as bouncer,
        Receiver() as receiver,
        running(bouncer.url, tmp_path) as server,
    ):
        await server.automation({"webhook": {"url": receiver.url}})
        run = await server.run(await server.flow())
        await server.set_state(run, "Failed")
        [delivery] = await server.settled(1)
    assert delivery["status"] == "DELIVERED"


async def test_settings_of_sessions_hold(database_url: str, connection: DedicatedConnection) -> None:
    async with bouncing(BY_SESSION, database_url, connection) as bouncer:
        database = Database(bouncer.url)
        await database.connect()
        async with database.connection() as one:
            assert await one.fetchval("SHOW statement_timeout") == f"{STATEMENT_SECONDS}s"
            assert await one.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
        async with database.reading() as one:
            assert await one.fetchval("SHOW plan_cache_mode") == "auto"
            assert await one.fetchval("SHOW jit") == "off"
        await database.disconnect()
