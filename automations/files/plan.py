"""What has to be done so that a server has what files say. Nothing is done here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from automations.actions.contract import Action, secret_names
from automations.definitions.actions import check_event_feeds, check_templates
from automations.errors import InvalidInput
from automations.files.document import ActionEntry, AutomationEntry, Document
from automations.files.problems import Problems
from automations.files.server_state import PresentAction, PresentAutomation, State
from automations.files.steps import Config, SavedAction


@dataclass(frozen=True)
class Difference:
    """A field, such as `then[0].slack_notification.message`, before and after; None is absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """One mutation. `entry` is what the files say, `id` what the server has; one of them may be missing."""

    kind: Literal["create", "update", "delete"]
    noun: Literal["action", "automation"]
    name: str
    id: str | None = None
    entry: ActionEntry | AutomationEntry | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Changes in the order in which they are made, and what their author should know."""

    changes: tuple[Change, ...]
    unchanged: int
    warnings: tuple[str, ...]


def make_plan(document: Document, state: State, problems: Problems, *, prune: bool) -> Plan:
    """What to do. With `prune`, what the server has by name and the files do not name or use is deleted."""
    actions = [_change("action", entry, state.actions, problems) for entry in document.actions]
    automations = [_change("automation", entry, state.automations, problems) for entry in document.automations]
    _check_steps(document, state, problems)
    written = [change for change in (*actions, *automations) if change is not None]
    deleted = list(_deletions(document, state)) if prune else []
    unchanged = len(document.actions) + len(document.automations) - len(written)
    return Plan((*written, *deleted), unchanged, tuple(_warnings(document, state)))


def _change(
    noun: Literal["action", "automation"],
    entry: ActionEntry | AutomationEntry,
    present: Sequence[PresentAction | PresentAutomation],
    problems: Problems,
) -> Change | None:
    found = [item for item in present if item.name == entry.name]
    if len(found) > 1:
        ids = ", ".join(item.id for item in found)
        problems.add(
            entry.place, f"The server has {len(found)} {noun}s called {entry.name!r} ({ids}): rename all but one."
        )
        return None
    if not found:
        return Change("create", noun, entry.name, entry=entry)
    differences = tuple(_differences("", found[0].in_file, entry.in_file))
    return Change("update", noun, entry.name, found[0].id, entry, differences) if differences else None


def _deletions(document: Document, state: State) -> Iterator[Change]:
    named = {entry.name for entry in document.automations}
    for automation in state.automations:
        if automation.name not in named:
            yield Change("delete", "automation", automation.name, automation.id)
    kept = {entry.name for entry in document.actions} | _used(document)
    for action in state.actions:
        if action.name is not None and not kept & {action.name, action.id}:
            yield Change("delete", "action", action.name, action.id)


def _used(document: Document) -> set[str]:
    return {step.name for entry in document.automations for step in entry.steps if isinstance(step, SavedAction)}


def _check_steps(document: Document, state: State, problems: Problems) -> None:
    for entry in document.automations:
        for action in _actions(entry, document, state):
            try:
                check_event_feeds(action, entry.event.type)
            except InvalidInput as error:
                problems.add(entry.place, str(error))


def _warnings(document: Document, state: State) -> Iterator[str]:
    used = [entry.config.action for entry in document.actions]
    for entry in document.automations:
        used += [step.action for step in entry.steps if isinstance(step, Config)]
        for action in _actions(entry, document, state):
            for warning in check_templates(action, entry.event.type):
                yield f"{entry.place}: {warning}"
    missing = {name for action in used for name in secret_names(action)} - state.secret_names
    for name in sorted(missing):
        yield f"The secret {name!r} does not exist; sending fails until it is set."


def _actions(entry: AutomationEntry, document: Document, state: State) -> Iterator[Action]:
    """What an automation will do: its configs, and the saved actions as they will be."""
    saved: dict[str, Action] = {}
    for present in state.actions:
        saved |= dict.fromkeys(filter(None, (present.name, present.id)), present.action)
    saved |= {item.name: item.config.action for item in document.actions}
    for step in entry.steps:
        if isinstance(step, Config):
            yield step.action
        elif step.name in saved:
            yield saved[step.name]


def _differences(path: str, before: Any, after: Any) -> Iterator[Difference]:
    """Where two values in canonical form differ, as deep as they are alike."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _differences(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif _are_lists_of_mappings(before, after):
        for position in range(max(len(before), len(after))):
            items = (side[position] if position < len(side) else None for side in (before, after))
            yield from _differences(f"{path}[{position}]", *items)
    elif not _are_same(before, after):
        yield Difference(path, before, after)


def _are_same(before: Any, after: Any) -> bool:
    """Whether two JSON values are the same. 1e300 comes back from the database as a whole number; true is not 1."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_are_same, before, after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_are_same(before[key], after[key]) for key in before)
    if isinstance(before, float) != isinstance(after, float) and not isinstance(before, bool | str | None):
        return isinstance(after, int | float) and not isinstance(after, bool) and float(before) == float(after)
    return type(before) is type(after) and bool(before == after)


def _are_lists_of_mappings(*sides: Any) -> bool:
    return all(isinstance(side, list) and side and all(isinstance(item, Mapping) for item in side) for side in sides)
