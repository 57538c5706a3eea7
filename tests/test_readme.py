"""The README says what is true: every setting with its default, and every dependency."""

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from automations.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """The rows of the README's table of settings."""
    return "".join(
        f"| `{PREFIX}{item.name.upper()}` | {_default(item)} | {item.metadata['description']} |\n"
        for item in fields(Settings)
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
            return ",".join(f"{value:g}" for value in item.default)
        case float():
            return f"{item.default:g}"
    return str(item.default)


def test_readme_has_every_setting_with_its_default() -> None:
    assert settings_table() in README


def test_readme_says_why_each_dependency_is_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    listed = project.split("dependencies = [")[1].split("]")[0]
    names = re.findall(r'"([a-z-]+)', listed)
    table = README.split("## Dependencies")[1].split("\n## ")[0]
    assert names
    assert [name for name in names if name not in table] == []
