"""The real client and real agents as processes: nothing of them is changed, they are told where our server is."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

FLOWS = Path(__file__).parent / "flows"


class ClientFailed(Exception):
    """The process ended with an error; the text is what it printed."""


def cloud(key: str) -> dict[str, str]:
    """Settings of the cloud mode, with an API key."""
    return {
        "PREFECT__BACKEND": "cloud",
        "PREFECT__CLOUD__API_KEY": key,
        "PREFECT__CLOUD__USE_LOCAL_SECRETS": "false",
    }


@dataclass
class Prefect:
    """Prefect 1 with a home folder of its own and one server. Agents may have settings of their own on top."""

    python: Path
    api: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    agent_settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "PYTHON"))}
        return kept | {
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT__HOME_DIR": str(self.home),
            "PREFECT__USER_CONFIG_PATH": str(self.home / "config.toml"),
            "PREFECT__BACKEND": "server",
            "PREFECT__SERVER__ENDPOINT": self.api,
            "PREFECT__CLOUD__ENDPOINT": self.api,
            "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "1",
            "PREFECT__CLOUD__HEARTBEAT_INTERVAL": "1",
            **self.settings,
        }

    async def run(self, *arguments: str, seconds: float = 120) -> str:
        """What `python arguments` prints."""
        process = await asyncio.create_subprocess_exec(
            str(self.python), "-W", "ignore", *arguments, env=self.environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
        if process.returncode:
            raise ClientFailed(output.decode())
        return output.decode()

    async def cli(self, *arguments: str, seconds: float = 120) -> str:
        """What `prefect arguments` prints."""
        return await self.run("-m", "prefect", *arguments, seconds=seconds)

    async def script(self, name: str, *arguments: str) -> Any:
        """The JSON in the last line that a script of `flows` prints."""
        output = await self.run(str(FLOWS / f"{name}.py"), *arguments)
        return orjson.loads(output.strip().splitlines()[-1])

    async def register(self, *names: str) -> dict[str, str]:
        """Register flows; name → flow id."""
        return dict(await self.script("register", *names))

    @asynccontextmanager
    async def agent(self, *arguments: str) -> AsyncIterator["Agent"]:
        """A local agent, stopped in the end with the runs that it started."""
        log = (self.home / f"agent-{os.urandom(4).hex()}.log").open("wb+")
        process = await asyncio.create_subprocess_exec(
            str(self.python), "-W", "ignore", "-m", "prefect", "agent", "local", "start", "--no-hostname-label",
            "--show-flow-logs", *arguments, env=self.environment | self.agent_settings,
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        agent = Agent(process, Path(log.name))
        try:
            yield agent
        except BaseException:
            sys.stderr.write(agent.output)
            raise
        finally:
            await agent.stop()
            log.close()


@dataclass
class Agent:
    """An agent's process."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    async def stop(self) -> None:
        """SIGKILL to the agent and to all that it started in its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()
