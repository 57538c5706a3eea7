"""What a server has, read over its API, in the words of files."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automations.actions import BY_TYPE
from automations.actions.contract import Action
from automations.client import AutomationsClient
from automations.events import EVENT_TYPES
from automations.files.document import automation_in_file
from automations.files.events import event_in_file
from automations.files.problems import FileProblems, require_known
from automations.files.references import Directory, References
from automations.files.steps import SAVED, config_in_file

_ACTION = "id name action_type action_config inline"
_HIDDEN = "(hidden)"


@dataclass(frozen=True)
class PresentAction:
    """A saved action of the server. `name` is None for one that files cannot speak of by name."""

    id: str
    name: str | None
    action: Action
    in_file: dict[str, Any]


@dataclass(frozen=True)
class PresentAutomation:
    """An automation of the server."""

    id: str
    name: str
    in_file: dict[str, Any]


@dataclass(frozen=True)
class State:
    """Everything of a server that files can speak of."""

    directory: Directory
    actions: tuple[PresentAction, ...]
    automations: tuple[PresentAutomation, ...]
    secret_names: frozenset[str]


def read_state(client: AutomationsClient) -> State:
    """What the server has now."""
    saved = list(_every(client, "action", _ACTION, {"inline": {"_eq": False}}))
    directory = Directory(
        flows=_flows(client),
        projects=_by_name(client, "project", "project"),
        agent_configs=_by_name(client, "agent config", "agent_config"),
        slas=_by_name(client, "SLA", "flow_sla_config"),
        actions=References("saved action", {row["id"]: _names(row) for row in saved}),
    )
    automations = _every(client, "automation", f"id name description enabled event_type event actions {{ {_ACTION} }}")
    return State(
        directory,
        tuple(_action(row, directory) for row in saved),
        tuple(_automation(row, directory) for row in automations),
        frozenset(client.secret_names()),
    )


def exported(state: State) -> dict[str, Any]:
    """A file that says what the server has; FileProblems where names do not tell things apart."""
    for noun, present in (("saved actions", state.actions), ("automations", state.automations)):
        counts = Counter(item.name for item in present if item.name is not None)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise FileProblems(
                f"The server has several {noun} called {', '.join(map(repr, sorted(twice)[:5]))}, "
                "and a file tells them apart by name: rename all but one of each."
            )
    return {
        "actions": [item.in_file for item in state.actions if item.name is not None],
        "automations": [item.in_file for item in state.automations],
    }


def _every(
    client: AutomationsClient, table: str, fields: str, where: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """All rows of a table, in pages that are as long as the server likes, in the order of their ids."""
    document = f"query($where: {table}_bool_exp) {{ {table}(where: $where, order_by: [{{id: asc}}]) {{ {fields} }} }}"
    after: Mapping[str, Any] = {}
    while page := client.execute(document, {"where": {"_and": [where or {}, after]}})[table]:
        yield from page
        after = {"id": {"_gt": page[-1]["id"]}}


def _flows(client: AutomationsClient) -> References:
    """Flow groups by the name and the project of their newest version."""
    newest: dict[str, dict[str, Any]] = {}
    for row in _every(client, "flow", "id name version flow_group_id project { name }"):
        if row["version"] >= newest.get(row["flow_group_id"], row)["version"]:
            newest[row["flow_group_id"]] = row
    names = {id_: (row["name"], f"{row['project']['name']}/{row['name']}") for id_, row in newest.items()}
    return References("flow", names)


def _by_name(client: AutomationsClient, noun: str, table: str) -> References:
    return References(noun, {row["id"]: _names(row) for row in _every(client, table, "id name")})


def _names(row: Mapping[str, Any]) -> Sequence[str]:
    return (row["name"],) if (row["name"] or "").strip() else ()


def _action(row: Mapping[str, Any], directory: Directory) -> PresentAction:
    config = _config(row, directory)
    name = row["name"] if _names(row) else None
    action = BY_TYPE[row["action_type"]](**row["action_config"])
    return PresentAction(row["id"], name, action, {"name": name, **config})


def _automation(row: Mapping[str, Any], directory: Directory) -> PresentAutomation:
    require_known("the event ", [row["event_type"]], EVENT_TYPES)
    then = [_config(step, directory) if step["inline"] else _saved(step, directory) for step in row["actions"]]
    when = event_in_file(EVENT_TYPES[row["event_type"]].key, row["event"], directory)
    in_file = automation_in_file(row["name"], row["description"], row["enabled"], when, then)
    return PresentAutomation(row["id"], row["name"], in_file)


def _saved(step: Mapping[str, Any], directory: Directory) -> dict[str, Any]:
    return {SAVED: directory.actions.text_of(step["id"])}


def _config(row: Mapping[str, Any], directory: Directory) -> dict[str, Any]:
    if _HIDDEN in str(row["action_config"]):
        raise FileProblems("The server has credentials in actions, which it shows to editors: use an editor's key.")
    return config_in_file(row["action_type"], row["action_config"], directory)
