"""What many tests need: a server in this process or in one of its own, a GraphQL client, and flows that run."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn

from automations.app import create_app
from automations.attachment import find_backend
from automations.database import Database
from automations.server import listen
from automations.settings import Settings
from automations.vault import Vault
from tests.canaries import refuse_in_answer, reveals


class GraphQLError(Exception):
    """The answer had errors."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("; ".join(error["message"] for error in errors))
        self.errors = errors
        self.code = errors[0]["extensions"]["code"]


@dataclass
class Automations:
    """A running server as a client sees it."""

    url: str
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def execute(self, query: str, **variables: Any) -> Any:
        """The answer's data; GraphQLError where there are errors."""
        response = await self.client.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, headers=self.headers
        )
        answer = orjson.loads(response.content)
        if answer.get("errors"):
            raise GraphQLError(answer["errors"])
        return answer["data"]

    async def write(self, mutation: str, fields: str = "id", /, **input_: Any) -> Any:
        """The payload of a mutation that is given this input."""
        data = await self.execute(
            f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {fields} }} }}", input=input_
        )
        return data[mutation]

    def as_tenant(self, tenant_id: str) -> "Automations":
        """The same server, spoken to as another tenant."""
        return Automations(self.url, self.client, {**self.headers, "X-PREFECT-TENANT-ID": tenant_id})

    def with_key(self, key: str) -> "Automations":
        """The same server, spoken to with an API key."""
        return Automations(self.url, self.client, {**self.headers, "Authorization": f"Bearer {key}"})

    async def flow(self, name: str = "etl", project: str | None = None) -> str:
        """Id of a new flow in a new project."""
        made = await self.write("create_project", name=project or f"project of {name} {os.urandom(4).hex()}")
        return str((await self.write("create_flow", project_id=made["id"], serialized_flow={"name": name}))["id"])

    async def run(self, flow_id: str, **more: Any) -> str:
        """Id of a new run."""
        return str((await self.write("create_flow_run", flow_id=flow_id, **more))["id"])

    async def set_state(self, flow_run_id: str, state: str, message: str | None = None, **more: Any) -> None:
        """Set a run's state."""
        states = [{"flow_run_id": flow_run_id, "state": {"type": state, "message": message}, **more}]
        await self.write("set_flow_run_states", "states { id }", states=states)

    async def automation(self, *actions: dict[str, Any], **more: Any) -> str:
        """Id of a new automation; for runs that fail unless another event is given."""
        event = {"flow_run_state_changed": {"state_group": "FAILED"}}
        made = await self.write("create_automation", **{"name": "tell", "event": event, "actions": actions, **more})
        return str(made["id"])

    async def deliveries(
        self, fields: str = "id status attempt_count reason status_code due_at"
    ) -> list[dict[str, Any]]:
        """All deliveries, oldest first."""
        data = await self.execute(f"{{ delivery(order_by: {{created: asc}}, limit: 1000) {{ {fields} }} }}")
        return list(data["delivery"])

    async def settled(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """All deliveries, once there are so many and each has an end or a next try."""

        async def found() -> list[dict[str, Any]] | None:
            rows = await self.deliveries()
            done = [row for row in rows if row["status"] not in {"PENDING", "SENDING"} or row["attempt_count"]]
            return rows if len(done) >= count and all(row["status"] != "SENDING" for row in rows) else None

        return list(await eventually(found, seconds))


def new_client() -> httpx.AsyncClient:
    """A client that takes no answer with a secret in it.

    It gives up an idle connection before the server does (5 s): else a request may meet its end.
    """
    return httpx.AsyncClient(
        timeout=30, limits=httpx.Limits(keepalive_expiry=2), event_hooks={"response": [refuse_in_answer]}
    )


async def eventually(found: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    """The first answer that is neither None nor False; asked again and again, for so long."""
    async with asyncio.timeout(seconds):
        while (answer := await found()) in (None, False):
            await asyncio.sleep(0.01)
    return answer


@asynccontextmanager
async def running(database_url: str, data_dir: Path, **settings: Any) -> AsyncIterator[Automations]:
    """A server in this process, on a free port of the loopback."""
    connection = await Database(database_url).dedicated()
    backend = await find_backend(connection)
    await connection.close()
    app = create_app(
        Settings(data_dir=data_dir, port=0, **settings),
        database_url=database_url,
        vault=Vault.load(None, data_dir),
        backend=backend,
    )
    bound = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="websockets-sansio"))
    server.capture_signals = suppress  # type: ignore[method-assign, assignment]
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            async with new_client() as client:
                yield Automations(f"http://127.0.0.1:{bound.getsockname()[1]}", client)
        finally:
            server.should_exit = True
            await serving
            bound.close()


@dataclass(frozen=True)
class Program:
    """A version of the program: the Python that runs it, the folder with its package, and further variables."""

    python: str = sys.executable
    folder: Path = Path()
    variables: Mapping[str, str] = field(default_factory=dict)


PRESENT = Program()


class ServerProcess:
    """`automations serve` in a process of its own, which tests may kill."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: list[str]) -> None:
        self.process, self.url, self.log = process, url, log
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, data_dir: Path, database_url: str | None = None, program: Program = PRESENT, /, **settings: str
    ) -> "ServerProcess":
        """Start it on a free port and wait until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTOMATIONS_")} | {
            f"AUTOMATIONS_{name.upper()}": value for name, value in settings.items()
        }
        environment |= {"AUTOMATIONS_DATA_DIR": str(data_dir), **program.variables}
        if database_url is not None:
            environment["AUTOMATIONS_DATABASE_URL"] = database_url
        process = await asyncio.create_subprocess_exec(
            program.python, "-m", "automations", "serve", "--port", "0",
            cwd=program.folder, env=environment, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        lines = []
        try:
            async with asyncio.timeout(60):
                async for line in process.stderr:
                    lines.append(line.decode())
                    with suppress(orjson.JSONDecodeError):
                        entry = orjson.loads(line)
                        if entry.get("event") == "ready":
                            return cls(process, entry["health"].removesuffix("/readyz"), lines)
        except BaseException:  # nobody would end it
            process.kill()
            await process.wait()
            raise
        raise RuntimeError("the server did not start:\n" + "".join(lines))

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())

    async def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        await self.process.wait()
        await self._end()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        code = await self.process.wait()
        await self._end()
        return code

    async def _end(self) -> None:
        await self._reading
        assert not reveals("".join(self.log)), "the server's log shows a secret"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Automations]:
        """A client of this server."""
        async with new_client() as client:
            yield Automations(self.url, client)


@asynccontextmanager
async def serving(
    data_dir: Path, database_url: str | None = None, program: Program = PRESENT, /, **settings: str
) -> AsyncIterator[ServerProcess]:
    """A server in a process of its own, which is gone in the end, however the test ends."""
    server = await ServerProcess.start(data_dir, database_url, program, **settings)
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            await server.kill()
