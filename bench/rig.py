"""What benchmarks stand on: an embedded PostgreSQL in a temporary folder, and the server, the receiver and the floors
in processes of their own. Whatever is started here is ended here, by its own pid.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import orjson
import psutil

from automations.database import Database, DedicatedConnection
from automations.migrations import migrate
from automations.orchestration.tenants import ensure_default_tenant
from automations.postgres import EmbeddedPostgres
from bench.server_settings import server_settings

POSTGRES = "postgres"
"""Folder of PostgreSQL in the run's own."""
START_SECONDS = 60.0
STOP_SECONDS = 30.0
LINE_BYTES = 1 << 28
LOOK_SECONDS = 0.002

Value = TypeVar("Value")


class Child:
    """A process of ours that speaks JSON lines, or the server, whose log is a file."""

    def __init__(self, process: asyncio.subprocess.Process, url: str = "") -> None:
        self.process, self.url = process, url
        self._seen = psutil.Process(process.pid)

    @property
    def processor_seconds(self) -> float:
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    @property
    def resident_mib(self) -> float:
        return float(self._seen.memory_info().rss) / 2**20

    async def hear(self) -> Any:
        """The next line of its standard output."""
        assert self.process.stdout is not None
        return orjson.loads(await self.process.stdout.readline())

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class Receiver(Child):
    """The far end of webhooks."""

    urls: Sequence[str]

    async def wait_for(self, count: int, seconds: float) -> None:
        """Return once so many requests came since the last `take`; TimeoutError where they do not."""
        came = await self._command(f"wait {count} {seconds}")
        if came < count:
            raise TimeoutError(f"{came} of {count} webhooks came within {seconds:g} seconds")

    async def take(self) -> list[tuple[float, dict[str, Any]]]:
        """What came since the last one: (seconds of time.time(), body)."""
        return [(at, orjson.loads(body)) for at, body in await self._command("take")]

    async def _command(self, line: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        return await self.hear()


class Rig:
    """One run of benchmarks."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path, *, quick: bool, huge: Sequence[int] = ()) -> None:
        self.folder, self.quick, self.huge = folder, quick, huge
        self._postgres = postgres

    def pick(self, quick: Value, full: Value) -> Value:
        """What suits the run's length."""
        return quick if self.quick else full

    def busy_seconds(self) -> float:
        """Processor time of this run so far: its own process, PostgreSQL, and all that they started."""
        return _seconds_of_family(psutil.Process(os.getpid())) + self.postgres_seconds()

    def postgres_seconds(self) -> float:
        """Processor time of PostgreSQL so far, with all its processes."""
        postmaster = int((self.folder / POSTGRES / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        return _seconds_of_family(psutil.Process(postmaster))

    @property
    def postgres_log(self) -> Path:
        return self.folder / POSTGRES / "postgres" / "server.log"

    @asynccontextmanager
    async def careless(self) -> AsyncIterator[None]:
        """Meanwhile, nothing would outlive a crash: for data that is made, not measured."""
        settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "max_wal_size": "'16GB'",
            "maintenance_work_mem": "'1GB'",
        }
        async with self.connection(self._postgres.url) as connection:
            try:
                async with server_settings(connection, settings):
                    yield
            finally:
                await connection.execute("CHECKPOINT")

    async def postgres_version(self) -> str:
        async with self.connection(self._postgres.url) as connection:
            return str(await connection.fetchval("SHOW server_version"))

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """URL of a migrated database of one benchmark's own."""
        async with self.empty_database() as url:
            async with self.connection(url) as connection:
                await migrate(connection)
            yield url

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """URL of a database of one benchmark's own with nothing in it."""
        name = f"bench_{uuid4().hex[:12]}"
        async with self.connection(self._postgres.url) as connection:
            await connection.execute(f'CREATE DATABASE "{name}"')
        url = urlunsplit(urlsplit(self._postgres.url)._replace(path=f"/{name}"))
        try:
            yield url
        finally:
            async with self.connection(self._postgres.url) as connection:
                await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    @asynccontextmanager
    async def connection(self, url: str) -> AsyncIterator[DedicatedConnection]:
        """A connection as the loops have one."""
        connection = await Database(url).dedicated()
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def server(
        self, database_url: str | None = None, data_dir: Path | None = None, *, auth: str = "auto"
    ) -> AsyncIterator[Child]:
        """`automations serve`, ready; on this database, or on the embedded one of the data folder."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMATIONS_")}
        environment["AUTOMATIONS_AUTH"] = auth
        environment["AUTOMATIONS_DATA_DIR"] = str(data_dir or self.folder / "server")
        if database_url is not None:
            environment["AUTOMATIONS_DATABASE_URL"] = database_url
        log = self.folder / f"server-{uuid4().hex[:12]}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "automations", "serve", "--port", "0", env=environment, stderr=file
            )
        child = Child(process)
        try:
            child.url = await _url_when_ready(process, log)
            yield child
        finally:
            await child.stop()
            log.unlink()

    @asynccontextmanager
    async def receiver(self, ports: int = 1) -> AsyncIterator[Receiver]:
        """A process that takes webhooks on so many ports."""
        receiver = Receiver(await _spawn("bench.receiver", str(ports)))
        try:
            receiver.urls = await receiver.hear()
            yield receiver
        finally:
            await receiver.stop()

    @asynccontextmanager
    async def floor_app(self, database_url: str) -> AsyncIterator[Child]:
        """Bare routes under the same uvicorn, on the same database."""
        async with self.connection(database_url) as connection:
            await connection.execute(
                "CREATE TABLE floor (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), run text, state text)"
            )
        child = Child(await _spawn("bench.floor_app", database_url))
        try:
            child.url = await child.hear()
            yield child
        finally:
            await child.stop()

    async def floor_sender(self, arrangement: str, **work: Any) -> dict[str, float]:
        """What a process that sends with plain httpx has to say."""
        child = Child(await _spawn("bench.floor_sender", arrangement))
        assert child.process.stdin is not None
        try:
            child.process.stdin.write(orjson.dumps(work))
            child.process.stdin.close()
            async with asyncio.timeout(START_SECONDS):
                said: dict[str, float] = await child.hear()
                return said
        finally:
            await child.stop()


def busy_seconds() -> float:
    """Processor time of the whole machine so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _seconds_of_family(process: psutil.Process) -> float:
    times = process.cpu_times()
    seconds = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            seconds += _seconds_of_family(child)
    return seconds


async def default_tenant(connection: DedicatedConnection) -> UUID:
    """The tenant that everybody is."""
    return await ensure_default_tenant(connection)


async def _spawn(module: str, argument: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, argument, stdin=pipe, stdout=pipe, limit=LINE_BYTES
    )


async def _url_when_ready(process: asyncio.subprocess.Process, log: Path) -> str:
    ends_at = time.monotonic() + START_SECONDS
    while process.returncode is None and time.monotonic() < ends_at:
        if url := _ready_url(log):
            return url
        await asyncio.sleep(LOOK_SECONDS)
    raise RuntimeError("the server did not start:\n" + await asyncio.to_thread(log.read_text))


def _ready_url(log: Path) -> str | None:
    for line in log.read_bytes().splitlines():
        with suppress(orjson.JSONDecodeError):
            entry = orjson.loads(line)
            if entry.get("event") == "ready":
                return str(entry["graphql"]).removesuffix("/graphql")
    return None
