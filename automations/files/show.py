"""A plan as people read it, on a terminal or in a log."""

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from automations.files.plan import Change, Plan
from automations.files.source import dump

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_DONE = {"create": "created", "update": "changed", "delete": "deleted"}
_SHOWN_CHARACTERS = 200


def show_plan(plan: Plan, console: Console) -> None:
    """Every change with what it changes, then the counts and the warnings."""
    for change in plan.changes:
        sign, style = _SIGNS[change.kind]
        console.print(Text(f"{sign} {change.noun} {_line(change.name)}", style), soft_wrap=True)
        for line in _details(change):
            console.print(Text(f"    {line}"), soft_wrap=True)
    for warning in plan.warnings:
        console.print(Text(f"! {_line(warning)}", "yellow"), soft_wrap=True)
    if plan.changes:
        counts = {kind: sum(change.kind == kind for change in plan.changes) for kind in _SIGNS}
        told = ", ".join(f"{count} to {kind}" for kind, count in counts.items() if count)
        console.print(Text(f"= {plan.unchanged} unchanged; {told}."), soft_wrap=True)
    else:
        console.print(Text(f"= {plan.unchanged} unchanged: nothing to do."), soft_wrap=True)


def show_done(change: Change, console: Console) -> None:
    """A change that was made."""
    console.print(Text(f"{change.noun} {_line(change.name)} {_DONE[change.kind]}"), soft_wrap=True)


def _details(change: Change) -> Iterator[str]:
    if change.kind == "create" and change.entry is not None:
        content = {key: value for key, value in change.entry.in_file.items() if key != "name"}
        yield from map(_line, dump(content).splitlines())
    for difference in change.differences:
        yield f"{_line(difference.path)}: {_value(difference.before)} → {_value(difference.after)}"


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False)
    return _line(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def _line(text: str) -> str:
    """A text without characters that move the cursor: names come from elsewhere."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
