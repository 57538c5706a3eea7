"""The page's own table of actions, events and states says what the API says."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from automations.actions import CLIENTS
from automations.actions.contract import Action
from automations.events import EVENT_TYPES, EventType
from automations.health import PROBLEMS
from automations.orchestration.states import STATES

CATALOG = (Path(__file__).parent.parent / "ui" / "src" / "builder" / "catalog.ts").read_text()
KINDS = {part.split('"', 1)[0]: part for part in CATALOG.split("ACTION_KINDS: ActionKind[]")[1].split('    key: "')[1:]}
NEVER_USED = {"api_token_secret"}


def words(name: str) -> list[str]:
    """The texts of a list in the catalog."""
    [listed] = re.findall(rf"{name}[^=\n]*?[=:] \[(.*?)\];?\n?", CATALOG, re.DOTALL)[:1]
    return re.findall(r'"(\w+)"', listed)


def test_each_action_can_be_chosen() -> None:
    assert set(KINDS) == {client.KEY for client in CLIENTS}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
def test_each_field_of_an_action_can_be_filled_in(client: type[Action]) -> None:
    part = KINDS[client.KEY].split("const BY_KEY")[0]
    named = set(re.findall(r'name: "([a-z_]+)"', part)) | ({"message"} if "MESSAGE" in part else set())
    assert named == {field.name for field in fields(client)} - NEVER_USED
    assert f'type: "{client.TYPE}"' in part


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=lambda event_type: event_type.name)
def test_attributes_that_are_offered_exist(event_type: EventType) -> None:
    offered = words(f"  {event_type.name}")
    assert offered or "OF_RUNS" in CATALOG
    shared = words("const OF_ALL") + (words("const OF_RUNS") if event_type.has_flow_run else [])
    assert set(offered + shared) <= set(event_type.attributes)


def test_each_state_can_be_chosen() -> None:
    assert set(words("export const STATES")) == set(STATES)


def test_each_problem_can_be_chosen_by_its_words() -> None:
    listed = CATALOG.split("export const PROBLEMS")[1].split("};")[0]
    assert dict(re.findall(r'(\w+): "([^"]+)"', listed)) == PROBLEMS
