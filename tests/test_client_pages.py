"""The pages about files and clients say what is true: their examples run."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from automations.files.events import EVENTS
from tests.files.conftest import (
    Run,
    run,  # noqa: F401 - a fixture
)
from tests.harness import Automations

ROOT = Path(__file__).parent.parent
CLIENTS_PAGE = (ROOT / "docs" / "python-client.md").read_text()
PAGES = {"README": ROOT / "README.md", "files": ROOT / "docs" / "automations-as-files.md"}


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CLIENTS_PAGE, re.DOTALL)


async def run_example(server: Automations, command: list[str], code: str) -> str:
    """What the code prints on a server of the test's own."""
    code = code.replace("http://127.0.0.1:4200", server.url)
    done = await asyncio.to_thread(subprocess.run, [*command, code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("example", examples("python"), ids=lambda code: code.split("\n")[0])
async def test_python_of_the_page_runs(server: Automations, example: str) -> None:
    printed = await run_example(server, [sys.executable, "-W", "error", "-c"], example)
    if "ApiError" in example:
        assert "BAD_USER_INPUT There is no state 'Faild': did you mean Failed?" in printed
    if "gql" in example:
        assert printed == "{'automation': []}\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_curl_of_the_page_runs(server: Automations) -> None:
    [example] = examples("sh")
    assert await run_example(server, ["sh", "-c"], example) == '{"data":{"delivery":[]}}'


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_file_of_the_page_is_applied(api: Automations, run: Run, page: Path) -> None:  # noqa: F811
    await api.flow("etl")
    await api.flow("daily", "reporting")
    await api.write("create_agent_config", name="prod")
    [example] = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    done = await run("apply", "--yes", files=[example])
    assert (done.code, done.err) == (0, "")
    names = re.findall(r"- name: (.*)", example.split("automations:\n")[1])
    made = (await api.execute("{ automation(order_by: {created: asc}) { name } }"))["automation"]
    assert [row["name"] for row in made] == names


def test_every_key_of_an_event_is_on_the_page() -> None:
    page = PAGES["files"].read_text()
    for key, fields in EVENTS.items():
        assert f"| `{key}` |" in page
        assert all(f"`{field.name}`" in page for field in fields)
