"""`then`, and saved actions: configs as files have them, and as the API has them."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, get_args, get_type_hints

import orjson

from automations.actions import BY_KEY, BY_TYPE
from automations.actions.contract import Action, Choices
from automations.definitions.actions import parse_action
from automations.errors import InvalidInput
from automations.files.events import ids
from automations.files.fields import mapping, one_key, text, texts
from automations.files.problems import Problems, require_known
from automations.files.references import Directory, Unresolved
from automations.files.source import Value

# No region: a number without a country would mean one person here and another one there.
_CHOICES = Choices(phone_country="ZZ")
SAVED = "action"


@dataclass(frozen=True)
class Config:
    """An action's config as files have it, in canonical form, and as the API takes it."""

    in_file: dict[str, Any]
    for_api: dict[str, Any]
    action: Action


@dataclass(frozen=True)
class SavedAction:
    """A saved action that an automation uses, by name; by id where it has none of its own."""

    name: str

    @property
    def in_file(self) -> dict[str, Any]:
        """The step as files have it."""
        return {SAVED: self.name}


def read_step(value: Value, directory: Directory, problems: Problems) -> Config | SavedAction | None:
    """One of `then` of a file: a config or a saved action; None where it cannot be used."""
    if not isinstance(value.value, dict) or SAVED not in value.value:
        return read_config(value, directory, problems, also=(SAVED,))
    if one_key(value, "A step of then", (SAVED, *BY_KEY), problems) is None:
        return None
    name = text(value.value[SAVED], SAVED, problems)
    try:
        return None if name is None else SavedAction(directory.canonical_action(name))
    except Unresolved as error:
        problems.add(value.place, str(error))
        return None


def read_config(value: Value, directory: Directory, problems: Problems, *, also: tuple[str, ...] = ()) -> Config | None:
    """A config, `{KEY: {…}}`; None where it cannot be used. `also` are keys that could stand there as well."""
    chosen = one_key(value, "An action", (*BY_KEY, *also), problems)
    if chosen is None:
        return None
    key, inner = chosen
    client = BY_KEY[key]
    hints = get_type_hints(client)
    known = {_name_in_file(item.name): item for item in fields(client)}
    given = mapping(Value({}, inner.place) if inner.value is None else inner, key, known, problems)
    read: dict[str, Any] = {}
    for name, item in given.items():
        field = known[name]
        if field.metadata["kind"] == "json_template":
            read[field.name] = item.plain
        elif field.metadata["kind"] == "flow_group":
            read[field.name] = _flow(item, f"{key}.{name}", directory, problems)
        else:
            take = texts if list[str] in (hints[field.name], *get_args(hints[field.name])) else text
            read[field.name] = take(item, f"{key}.{name}", problems)
    lacking = [name for name, item in known.items() if item.default is MISSING and name not in given]
    if lacking:
        problems.add(value.place, f"{key} needs {' and '.join(lacking)}.")
    if lacking or None in read.values():
        return None
    try:
        action = parse_action({key: read}, _CHOICES)
    except InvalidInput as error:
        problems.add(inner.place, str(error))
        return None
    return Config(config_in_file(action.TYPE, _stored(action), directory), {key: read}, action)


def config_in_file(action_type: str, config: Mapping[str, Any], directory: Directory) -> dict[str, Any]:
    """A config of the API as files have it."""
    require_known("the action ", [action_type], BY_TYPE)
    client = BY_TYPE[action_type]
    require_known(f"{client.KEY}.", config, [item.name for item in fields(client)])
    found: dict[str, Any] = {}
    for item in fields(client):
        value = config.get(item.name)
        if value is None:
            continue
        if item.metadata["kind"] == "flow_group":
            value = directory.flows.text_of(value)
        if item.metadata["kind"] == "json_template" and isinstance(value, str) and _is_json(value):
            value = orjson.dumps(value).decode()  # else it would be read as what it says
        found[_name_in_file(item.name)] = value
    return {client.KEY: found}


def _flow(value: Value, what: str, directory: Directory, problems: Problems) -> str | None:
    name = text(value, what, problems)
    found = None if name is None else ids([name], value.place, directory.flows, problems)
    return found[0] if found else None


def _stored(action: Action) -> dict[str, Any]:
    return {name: value for name, value in asdict(action).items() if value is not None}


def _name_in_file(name: str) -> str:
    return name.replace("flow_group_id", "flow")


def _is_json(value: str) -> bool:
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    return True
