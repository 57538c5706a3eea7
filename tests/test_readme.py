"""The README and the pages about actions say what is true: settings, dependencies, and examples that run."""

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest

from automations.actions import CLIENTS
from automations.actions.contract import Action
from automations.settings import PREFIX, ClientSettings, Settings
from tests.harness import Automations

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ACTIONS = (ROOT / "docs" / "actions.md").read_text()


def settings_table(settings: type[Settings] | type[ClientSettings]) -> str:
    """The rows of the README's table of these settings."""
    return "".join(
        f"| `{PREFIX}{item.name.upper()}` | {_default(item)} | {item.metadata['description']} |\n"
        for item in fields(settings)
    )


def _default(item: Field[Any]) -> str:
    if item.default is MISSING:
        return "a folder of yours"
    match item.default:
        case None | ():
            return "none"
        case bool():
            return "yes" if item.default else "no"
        case tuple():
            return ",".join(value if isinstance(value, str) else f"{value:g}" for value in item.default)
        case float():
            return f"{item.default:g}"
    return str(item.default)


def test_readme_has_every_setting_with_its_default() -> None:
    assert settings_table(Settings) in README
    assert settings_table(ClientSettings) in README


def test_readme_says_why_each_dependency_is_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    listed = project.split("dependencies = [")[1].split("]")[0]
    names = re.findall(r'"([a-z-]+)', listed)
    table = README.split("## Dependencies")[1].split("\n## ")[0]
    assert names
    assert [name for name in names if name not in table] == []


def test_readme_and_the_page_of_actions_have_each_action() -> None:
    for client in CLIENTS:
        assert f"| `{client.KEY}` |" in README
        assert f"\n## {client.KEY}\n" in ACTIONS


def test_smallest_action_is_shown_as_it_is() -> None:
    shown = (ROOT / "docs" / "adding-an-action.md").read_text()
    assert f"```python\n{(ROOT / 'automations' / 'actions' / 'pause_schedule.py').read_text()}```" in shown


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
async def test_example_of_an_action_can_be_pasted(api: Automations, client: type[Action]) -> None:
    section = ACTIONS.split(f"\n## {client.KEY}\n")[1].split("\n## ")[0]
    [example] = re.findall(r"```graphql\n(.*?)```", section, re.DOTALL)
    made = (await api.execute(example))["create_automation"]
    assert [warning for warning in made["warnings"] if "does not exist; sending fails until" not in warning] == []
    data = await api.execute("{ action { action_type } }")
    assert data["action"] == [{"action_type": client.TYPE}]
