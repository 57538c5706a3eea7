"""`when`: the event of an automation as files have it, and as the API has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from automations.definitions.slas import KINDS
from automations.definitions.triggers import parse_trigger
from automations.errors import InvalidInput
from automations.events import EventType
from automations.files.fields import count, duration, duration_text, mapping, one_key, text, texts
from automations.files.problems import Place, Problems, require_known, suggestion
from automations.files.references import Directory, References, Unresolved
from automations.files.source import Value
from automations.health import PROBLEMS
from automations.orchestration.states import STATE_GROUPS


@dataclass(frozen=True)
class _Field:
    """A key of an event. `refers_to` is the kind of things whose names it holds; `choices` are all of its values."""

    name: str
    api_name: str
    kind: Literal["texts", "text", "count", "duration"]
    refers_to: str | None = None
    choices: tuple[str, ...] = ()


_FLOWS = _Field("flows", "flow_group_ids", "texts", refers_to="flows")
EVENTS: Mapping[str, tuple[_Field, ...]] = {
    "flow_run_state_changed": (
        _Field("state_group", "state_group", "text", choices=tuple(STATE_GROUPS)),
        _Field("states", "states", "texts"),
        _FLOWS,
        _Field("projects", "project_ids", "texts", refers_to="projects"),
    ),
    "flow_sla_failed": (
        _Field("kind", "kind", "text", choices=KINDS),
        _Field("duration", "duration_seconds", "duration"),
        _FLOWS,
        _Field("slas", "flow_sla_config_ids", "texts", refers_to="slas"),
    ),
    "agent_sla_failed": (
        _Field("agent_configs", "agent_config_ids", "texts", refers_to="agent_configs"),
        _Field("min_healthy", "min_healthy", "count"),
        _Field("unhealthy_after", "unhealthy_after_seconds", "duration"),
    ),
    "server_problem": (_Field("problems", "problems", "texts", choices=tuple(PROBLEMS)),),
}


@dataclass(frozen=True)
class Event:
    """An event as files have it, in canonical form, and as the API takes it."""

    in_file: dict[str, Any]
    for_api: dict[str, Any]
    type: EventType


def read_event(value: Value, directory: Directory, problems: Problems) -> Event | None:
    """`when` of a file; None where it cannot be used."""
    chosen = one_key(value, "when", EVENTS, problems)
    if chosen is None:
        return None
    key, inner = chosen
    fields = {field.name: field for field in EVENTS[key]}
    given = mapping(inner, key, fields, problems)
    if "slas" in given and len(given) > 1:
        problems.add(inner.place, f"{key} takes either slas, or kind and duration, with flows if you like.")
        return None
    read = {fields[name].api_name: _read(fields[name], item, directory, problems) for name, item in given.items()}
    if None in read.values():
        return None
    try:
        trigger = parse_trigger({key: read})
    except InvalidInput as error:
        problems.add(inner.place, _in_words_of_files(key, str(error)))
        return None
    return Event(event_in_file(key, trigger.event, directory), {key: read}, trigger.EVENT_TYPE)


def event_in_file(key: str, event: Mapping[str, Any], directory: Directory) -> dict[str, Any]:
    """An event of the API as files have it. What follows from something else is left out."""
    require_known("the event ", [key], EVENTS)
    require_known(f"{key}.", event, [field.api_name for field in EVENTS[key]])
    implied = {"states"} if "state_group" in event else {"slas"} if "kind" in event else set()
    fields = [field for field in EVENTS[key] if field.api_name in event and field.name not in implied]
    return {key: {field.name: _in_file(field, event[field.api_name], directory) for field in fields}}


def _read(field: _Field, value: Value, directory: Directory, problems: Problems) -> Any:
    """A field as the API takes it; None where it cannot be used."""
    match field.kind:
        case "count":
            return count(value, field.name, problems)
        case "duration":
            return duration(value, field.name, problems)
        case "text":
            chosen = text(value, field.name, problems)
            return None if chosen is None else _choice(field, chosen, value.place, problems)
    read = texts(value, field.name, problems)
    if field.choices:
        chosen_ones = [_choice(field, item, value.place, problems) for item in read]
        return None if None in chosen_ones else chosen_ones
    if field.refers_to is None:
        return read
    return ids(read, value.place, directory.of(field.refers_to), problems)


def _choice(field: _Field, chosen: str, place: Place, problems: Problems) -> str | None:
    """One of a field's choices; None where it is none."""
    if chosen in field.choices:
        return chosen
    hint = suggestion(chosen, field.choices)
    problems.add(place, f"{field.name} must be one of {', '.join(field.choices)}.{hint}")
    return None


def ids(names: Sequence[str], place: Place, references: References, problems: Problems) -> list[str] | None:
    """What the names mean; None where one means nothing, or several things."""
    found: list[str] = []
    for name in names:
        try:
            found.append(references.id_of(name))
        except Unresolved as error:
            problems.add(place, str(error))
    return found if len(found) == len(names) else None


def _in_file(field: _Field, value: Any, directory: Directory) -> Any:
    if field.refers_to is not None:
        return [directory.of(field.refers_to).text_of(id_) for id_ in value]
    return duration_text(value) if field.kind == "duration" else value


def _in_words_of_files(key: str, problem: str) -> str:
    """A message of the API with the names that files have for its fields."""
    for field in EVENTS[key]:
        problem = problem.replace(field.api_name, field.name)
    return problem
