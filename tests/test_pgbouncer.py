"""Behind a real PgBouncer that pools by session, everything works: notifications, locks, settings and statements."""

import asyncio
import pwd
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from automations.database import STATEMENT_SECONDS, Database, DedicatedConnection
from automations.postgres_install import server_account
from tests.harness import eventually, running
from tests.receivers import Receiver

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer here: apt-get install pgbouncer")

CONFIG = """\
[databases]
* = host={server} port=5432 user={user}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = session
default_pool_size = 60
logfile = {folder}/log
"""


@pytest.fixture
async def bouncer_url(database_url: str, connection: DedicatedConnection) -> AsyncIterator[str]:
    """URL of the test's database by way of a PgBouncer of the test's own."""
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
        config.write_text(CONFIG.format(server=server, user=parts.username, folder=folder))
        if account is not None:
            shutil.chown(folder, account.uid, account.gid)
            config.chmod(0o644)
        bouncer = await asyncio.create_subprocess_exec(
            str(PROGRAM),
            "-q",
            config,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        try:
            await eventually(_exists(folder / ".s.PGSQL.6432"))
            yield f"postgresql://{parts.username}@{parts.path}?host={quote(name)}&port=6432"
        finally:
            bouncer.kill()
            await bouncer.wait()


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def exists() -> bool:
        return path.exists()

    return exists


async def test_a_failure_becomes_a_delivery(bouncer_url: str, tmp_path: Path) -> None:
    async with Receiver() as receiver, running(bouncer_url, tmp_path) as server:
        await server.automation({"webhook": {"url": receiver.url}})
        run = await server.run(await server.flow())
        await server.set_state(run, "Failed")
        [delivery] = await server.settled(1)
    assert delivery["status"] == "DELIVERED"


async def test_settings_of_sessions_hold(bouncer_url: str) -> None:
    database = Database(bouncer_url)
    await database.connect()
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == f"{STATEMENT_SECONDS}s"
        assert await connection.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
    async with database.reading() as connection:
        assert await connection.fetchval("SHOW plan_cache_mode") == "auto"
        assert await connection.fetchval("SHOW jit") == "off"
    await database.disconnect()
