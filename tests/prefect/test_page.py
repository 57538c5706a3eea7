"""The page about Prefect 1 says what is true: its flow is registered, run by an agent, fails, and a message arrives."""

import re
from pathlib import Path

import orjson

from tests.harness import Automations
from tests.prefect.client import ClientFailed, Prefect
from tests.prefect.test_runs import SECONDS
from tests.prefect.wheel import REQUIREMENTS
from tests.receivers import Receiver

PAGE = (Path(__file__).parent.parent.parent / "docs" / "prefect.md").read_text()


def block(language: str, holding: str) -> str:
    """The code block that holds this text."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    [one] = [code for code in found if holding in code]
    return one


def test_page_installs_what_the_tests_do() -> None:
    command = block("sh", "pip install")
    assert [name for name in REQUIREMENTS if f"'{name}'" not in command] == []


async def test_flow_of_the_page_fails_and_the_message_arrives(server: Automations, prefect: Prefect) -> None:
    (prefect.home / "flow.py").write_text(block("python", "# flow.py"))
    run = re.search(r"^prefect (run .*)$", block("sh", "prefect run"), re.MULTILINE)
    start = re.search(r"^prefect agent local start (.*) &$", block("sh", "prefect run"), re.MULTILINE)
    assert run
    assert start
    assert start[1] == "--no-hostname-label"
    async with Receiver() as receiver:
        await server.execute(block("graphql", "create_automation").replace("http://127.0.0.1:9000/", receiver.url))
        await prefect.run(str(prefect.home / "flow.py"))
        async with prefect.agent():
            try:
                said = await prefect.cli(*run[1].split())
            except ClientFailed as error:  # the command tells of the failure with its exit code too
                said = str(error)
            [received] = await receiver.wait_for(1, SECONDS)
    assert "Some reference tasks failed" in said
    message = orjson.loads(received.body)["message"]
    assert "of flow nightly entered state Failed with message Some reference tasks failed." in message
