"""The servers that share one PostgreSQL. All of them may be hurt at any moment."""

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.harness import PRESENT, Automations, GraphQLError, Program, ServerProcess, new_client

SETTINGS = {
    "lease_seconds": "2",
    "shutdown_seconds": "5",
    "send_timeout_seconds": "5",
    # A destination that fails is tried again soon: the run is short.
    "retry_seconds": ",".join(["0.5", "1"] + ["2"] * 30),
    "circuit_failures": "10000",
}
TRY_SECONDS = 0.2


class Fleet:
    """Servers in processes of their own over one database."""

    def __init__(self, database_url: str, data_dir: Path, random: Random) -> None:
        self.database_url, self._data_dir, self._random = database_url, data_dir, random
        self.servers: list[ServerProcess] = []
        self._client = new_client()

    async def start(self) -> None:
        """One server more, as soon as the database lets it start."""
        while True:
            with suppress(RuntimeError):
                await self.start_once(PRESENT)
                return
            await asyncio.sleep(TRY_SECONDS)

    async def start_once(self, program: Program) -> ServerProcess:
        """One server more, of this version; RuntimeError where it does not start."""
        server = await ServerProcess.start(self._data_dir, self.database_url, program, **SETTINGS)
        self.servers.append(server)
        return server

    def any(self) -> Automations | None:
        """One of those that run, at random."""
        return Automations(self._random.choice(self.servers).url, self._client) if self.servers else None

    async def call(self, mutation: str, fields: str = "id", /, **input_: Any) -> Any:
        """Ask one server after another until one answers. What was lost on the way may have been done all the same."""
        while True:
            server = self.any()
            if server is not None:
                with suppress(httpx.TransportError, GraphQLError, ValueError):
                    return await server.write(mutation, fields, **input_)
            await asyncio.sleep(TRY_SECONDS)

    async def kill(self) -> None:
        """SIGKILL for one."""
        await self._remove().kill()

    async def stop(self, server: ServerProcess | None = None) -> None:
        """SIGTERM for one, or for this one. Nothing new is sent to it from now on."""
        await self._remove(server).stop()

    async def close(self) -> None:
        """End them all."""
        await self._client.aclose()
        await asyncio.gather(*(server.kill() for server in self.servers))

    def _remove(self, server: ServerProcess | None = None) -> ServerProcess:
        server = server or self._random.choice(self.servers)
        self.servers.remove(server)
        return server
