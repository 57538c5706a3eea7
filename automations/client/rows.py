"""What the API returns, as frozen dataclasses. A field here is a field of the schema; a query asks for all of them."""

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

Row = TypeVar("Row")


@dataclass(frozen=True)
class Action:
    """A config of an action client. `inline`: it was made inside an automation. `problems` keep it from working."""

    id: str
    name: str | None
    action_type: str
    action_config: dict[str, Any]
    inline: bool
    destination: str
    problems: list[str]
    paused_at: datetime | None
    paused_reason: str | None
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class Automation:
    """When this happens, do that. `event` is the inner object of the event's key."""

    id: str
    name: str
    description: str | None
    enabled: bool
    event_type: str
    event: dict[str, Any]
    actions: tuple[Action, ...]
    created: datetime
    updated: datetime


@dataclass(frozen=True)
class Firing:
    """An automation met its event."""

    id: str
    automation_id: str | None
    event_type: str
    event_id: str
    event: dict[str, Any]
    flow_run_id: str | None
    depth: int
    is_test: bool
    created: datetime


@dataclass(frozen=True)
class Delivery:
    """What is owed because of a firing. `status`: PENDING, SENDING, DELIVERED, FAILED or SUPPRESSED."""

    id: str
    firing_id: str
    automation_id: str | None
    action_id: str
    action_type: str
    destination: str
    target: str | None
    status: str
    attempt_count: int
    status_code: int | None
    reason: str | None
    waits_for: str | None
    redelivery_of: str | None
    is_test: bool
    created: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Attempt:
    """One try to send a delivery. `outcome`: DELIVERED, RETRY, FAILED or LOST."""

    id: str
    delivery_id: str
    number: int
    outcome: str
    status_code: int | None
    reason: str | None
    request: Any
    answer: str | None
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True)
class Saved:
    """What was written, and what its author should know about it."""

    id: str
    warnings: list[str]


@dataclass(frozen=True)
class Trial:
    """How sending with an action went. `rendered` is what was sent, without secrets."""

    action_id: str
    success: bool
    error: str | None
    status_code: int | None
    rendered: Any


@dataclass(frozen=True)
class Preview:
    """A message as it would be sent, and the names in it that such an event lacks."""

    rendered: str
    unknown_fields: list[str]


def selection(row: Any) -> str:
    """The fields of a class as a query asks for them."""
    inner = {item: f"{item} {{ {selection(class_)} }}" for item, class_ in _rows_inside(row).items()}
    return " ".join(inner.get(item.name, item.name) for item in fields(row))


def read(row: type[Row], answer: dict[str, Any]) -> Row:
    """An object of a class from the answer's."""
    class_: Any = row
    inside, times = _rows_inside(class_), _times(class_)
    values = dict(answer)
    for name in inside:
        values[name] = tuple(read(inside[name], item) for item in values[name])
    for name in times:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    return row(**values)


@cache
def _rows_inside(row: Any) -> dict[str, Any]:
    """The fields that hold a tuple of rows, and of which class."""
    hints = get_type_hints(row).items()
    return {name: item for name, hint in hints for item in get_args(hint) if is_dataclass(item)}


@cache
def _times(row: Any) -> list[str]:
    return [name for name, hint in get_type_hints(row).items() if datetime in {hint, *get_args(hint)}]
