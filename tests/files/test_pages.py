"""The pages about files say what is true: their examples are applied."""

import re
from pathlib import Path

import pytest

from automations.files.events import EVENTS
from tests.files.conftest import Run
from tests.harness import Automations

ROOT = Path(__file__).parent.parent.parent
PAGES = {"README": ROOT / "README.md", "files": ROOT / "docs" / "automations-as-files.md"}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
async def test_file_of_the_page_is_applied(api: Automations, run: Run, page: Path) -> None:
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
