"""The page about authentication says what is true: its examples run, and its roles are the roles there are."""

import asyncio
import os
import re
import sys
from pathlib import Path

import orjson

from automations.access.roles import Role
from tests.harness import running

PAGE = (Path(__file__).parent.parent / "docs" / "authentication.md").read_text()
COMMAND = f'automations() {{ "{sys.executable}" -m automations "$@" </dev/null; }}\n'


async def test_examples_run_one_after_the_other(database_url: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 5
    async with running(database_url, tmp_path, auth="on") as server:
        script = COMMAND + "\necho\n".join(blocks).replace("http://127.0.0.1:4200", server.url)
        process = await asyncio.create_subprocess_exec(
            "sh", "-euc", script,
            env={**os.environ, "AUTOMATIONS_DATABASE_URL": database_url},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    answers = [orjson.loads(line) for line in re.findall(r"\{\"(?:data|errors).*\}", out.decode())]
    assert len(answers) == 4
    assert not [answer for answer in answers if "errors" in answer]
    assert answers[0]["data"]["auth_info"]["role"] == "admin"
    assert answers[2]["data"]["tenant"] == [{"slug": "research"}, {"slug": "default"}]
    assert [row["operation"] for row in answers[3]["data"]["audit_event"]] == [
        "key create", "create_api_key", "key create",
    ]  # fmt: skip
    assert re.search(r"(?m)^\S+ +default +agents +agent +automations_", out.decode())


def test_page_has_each_role() -> None:
    assert re.findall(r"(?m)^\| `(\w+)` \|", PAGE.split("## Roles")[1]) == ["viewer", "editor", "admin", "agent"]
    assert {role.value for role in Role} == {"viewer", "editor", "admin", "agent"}
