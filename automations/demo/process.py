"""The server in a process of its own, which the demo may kill, and the folder where everything of it lives."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import orjson

from automations.postgres import EmbeddedPostgres, PostgresUnavailable
from automations.postgres_install import locate_socket_folder
from automations.settings import PREFIX

LEASE_SECONDS = 2
RATES = "slack_notification=none"
STOP_SECONDS = 15.0
_LINE_BYTES = 2**20
_LAST_LINES = 15


class ServerFailed(Exception):
    """The server ended before it was ready; the text is what it said last."""


class Server:
    """`automations serve`, ready. `url` is that of its GraphQL API."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, reading: asyncio.Task[None]) -> None:
        self.url = url
        self._process, self._reading = process, reading

    @classmethod
    async def start(
        cls, data_dir: Path, settings: Mapping[str, Any], on_log: Callable[[Mapping[str, Any]], None]
    ) -> Self:
        """Start it with these settings too and wait until it is ready; `on_log` gets each line that it logs then."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "automations", "serve", "--port", "0"),
            env=_environment({"DATA_DIR": data_dir, **settings}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,  # the terminal's Ctrl-C is the demo's, which then stops the server
        )
        try:
            url = await _wait_until_ready(process)
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return cls(process, url, asyncio.create_task(_read_log(process, on_log)))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def kill(self) -> None:
        """SIGKILL: it can do nothing about it any more."""
        self._process.kill()
        await self._process.wait()
        await self._reading

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long. One that has ended already is left in peace."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
        await self._reading


@contextmanager
def temporary_data_folder() -> Iterator[Path]:
    """A fresh data folder. At the end PostgreSQL is stopped, should it still run, and all files are removed."""
    folder = Path(tempfile.mkdtemp(prefix="automations-demo-"))
    folder.chmod(0o711)  # the account of PostgreSQL, where root runs the demo, passes through
    try:
        yield folder
    finally:
        home = (folder / "postgres").resolve()  # a link, where that account could not reach the folder all the same
        if (home / "data" / "postmaster.pid").exists():  # it outlives a server that was killed
            with suppress(PostgresUnavailable):
                EmbeddedPostgres.attach(folder).release()
        for leftover in (locate_socket_folder(home), home, folder):
            shutil.rmtree(leftover, ignore_errors=True)


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Without the user's settings: the demo must not write to their database."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    own = {"LEASE_SECONDS": LEASE_SECONDS, "DESTINATION_RATES": RATES, "LOG_FORMAT": "json"}
    return inherited | {f"{PREFIX}{name}": str(value) for name, value in {**own, **settings}.items()}


async def _wait_until_ready(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None  # noqa: S101
    lines = []
    async for line in process.stderr:
        lines.append(line.decode(errors="replace"))
        entry = _parse(line)
        if entry.get("event") == "ready":
            return str(entry["graphql"])
    raise ServerFailed("".join(lines[-_LAST_LINES:]).strip())


async def _read_log(process: asyncio.subprocess.Process, on_log: Callable[[Mapping[str, Any]], None]) -> None:
    assert process.stderr is not None  # noqa: S101
    async for line in process.stderr:
        on_log(_parse(line))


def _parse(line: bytes) -> Mapping[str, Any]:
    with suppress(orjson.JSONDecodeError):
        entry = orjson.loads(line)
        if isinstance(entry, dict):
            return entry
    return {}
