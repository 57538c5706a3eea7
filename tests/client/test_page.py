"""The page about clients says what is true: its examples run."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Automations

PAGE = (Path(__file__).parent.parent.parent / "docs" / "python-client.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


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
