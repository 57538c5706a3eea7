"""What tests of files need: the commands, run as the test's own tenant against the shared server."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from automations.cli import main
from tests.harness import Automations


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def run(api: Automations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `automations COMMAND …` with files of these texts: `await run("apply", "--yes", files=[text])`."""
    monkeypatch.setenv("AUTOMATIONS_URL", api.url)
    monkeypatch.setenv("AUTOMATIONS_TENANT_ID", api.headers["X-PREFECT-TENANT-ID"])
    monkeypatch.chdir(tmp_path)

    async def run_command(command: str, *options: str, files: tuple[str, ...] | list[str] = ()) -> Done:
        arguments = [command, *options]
        for number, text in enumerate(files):
            Path(f"{number}.yaml").write_text(text)
            arguments += ["-f", f"{number}.yaml"]
        with capture_logs():  # the server's, which runs in this process
            capsys.readouterr()
            code = await asyncio.to_thread(main, arguments)
            printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run_command
