"""What files say: saved actions and automations, each checked by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automations.definitions.automations import MOST_ACTIONS
from automations.files.events import Event, read_event
from automations.files.fields import mapping, switch, text
from automations.files.problems import Place, Problems
from automations.files.references import Directory
from automations.files.source import Value
from automations.files.steps import Config, SavedAction, read_config, read_step

_SECTIONS = ("actions", "automations")
_KEYS = ("name", "description", "enabled", "when", "then")
MOST_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class ActionEntry:
    """A saved action of a file."""

    name: str
    config: Config
    place: Place

    @property
    def in_file(self) -> dict[str, Any]:
        """The entry in canonical form."""
        return {"name": self.name, **self.config.in_file}


@dataclass(frozen=True)
class AutomationEntry:
    """An automation of a file."""

    name: str
    description: str | None
    enabled: bool
    event: Event
    steps: tuple[Config | SavedAction, ...]
    place: Place

    @property
    def in_file(self) -> dict[str, Any]:
        """The entry in canonical form."""
        steps = [step.in_file for step in self.steps]
        return automation_in_file(self.name, self.description, self.enabled, self.event.in_file, steps)


@dataclass(frozen=True)
class Document:
    """Everything that the files say, of what could be read."""

    actions: tuple[ActionEntry, ...]
    automations: tuple[AutomationEntry, ...]


def automation_in_file(
    name: str, description: str | None, enabled: bool, when: Mapping[str, Any], then: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """An automation as files have it."""
    described = {} if description is None else {"description": description}
    return {"name": name, **described, "enabled": enabled, "when": when, "then": list(then)}


def read_document(files: Sequence[Value], directory: Directory, problems: Problems) -> Document:
    """The entries of all files together, which may refer to one another's actions."""
    entries: dict[str, list[Value]] = {section: [] for section in _SECTIONS}
    for value in files:
        if value.value is None:
            continue
        for section, items in mapping(value, "A file", _SECTIONS, problems).items():
            if isinstance(items.value, list):
                entries[section] += items.value
            else:
                problems.add(items.place, f"{section} must be a list.")
    named = {section: _named(section, values, problems) for section, values in entries.items()}
    directory.new_actions |= named["actions"].keys()
    actions = [_action(name, value, directory, problems) for name, value in named["actions"].items()]
    automations = [_automation(name, value, directory, problems) for name, value in named["automations"].items()]
    return Document(tuple(filter(None, actions)), tuple(filter(None, automations)))


def _named(section: str, values: Sequence[Value], problems: Problems) -> dict[str, Value]:
    """The entries that have a name, by it; a name that is missing or stands there twice is a problem."""
    found: dict[str, Value] = {}
    for value in values:
        given = value.value.get("name") if isinstance(value.value, dict) else None
        name = None if given is None or given.value is None else text(given, "name", problems)
        if given is None or given.value is None:
            problems.add(value.place, f"Each of {section} must be a mapping with a name.")
        elif name is not None and not (name.strip() and len(name) <= MOST_NAME_CHARACTERS):
            problems.add(given.place, f"name must have 1 to {MOST_NAME_CHARACTERS} characters.")
        elif name in found:
            problems.add(value.place, f"{name!r} stands at {found[name].place} already; a name is given once.")
        elif name is not None:
            found[name] = value
    return found


def _action(name: str, value: Value, directory: Directory, problems: Problems) -> ActionEntry | None:
    config = Value({key: item for key, item in value.value.items() if key != "name"}, value.place)
    read = read_config(config, directory, problems)
    return None if read is None else ActionEntry(name, read, value.place)


def _automation(name: str, value: Value, directory: Directory, problems: Problems) -> AutomationEntry | None:
    given = mapping(value, "An automation", _KEYS, problems)
    description = text(given["description"], "description", problems) if "description" in given else None
    enabled = switch(given["enabled"], "enabled", problems) if "enabled" in given else True
    lacking = [key for key in ("when", "then") if key not in given]
    if lacking:
        problems.add(value.place, f"An automation needs {' and '.join(lacking)}.")
    event = read_event(given["when"], directory, problems) if "when" in given else None
    steps = _steps(given["then"], directory, problems) if "then" in given else None
    if enabled is None or event is None or steps is None:
        return None
    return AutomationEntry(name, description, enabled, event, steps, value.place)


def _steps(value: Value, directory: Directory, problems: Problems) -> tuple[Config | SavedAction, ...] | None:
    items = value.value if isinstance(value.value, list) else []
    if not 1 <= len(items) <= MOST_ACTIONS:
        problems.add(value.place, f"then must be a list of 1 to {MOST_ACTIONS} actions.")
        return None
    read = [read_step(item, directory, problems) for item in items]
    found = tuple(step for step in read if step is not None)
    return found if len(found) == len(read) else None
