"""Operations of the API: a document, its variables, and how to read the answer. Nothing is sent here."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

from automations.client.rows import read, selection

Answer = TypeVar("Answer")
Row = TypeVar("Row")

Where = Mapping[str, Any]
OrderBy = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class AutomationChanges(TypedDict, total=False):
    """What to change of an automation; what is absent stays. A description of None is emptied."""

    name: str
    description: str | None
    enabled: bool
    event: Mapping[str, Any]
    actions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Operation(Generic[Answer]):
    """`repeatable`: carrying it out twice is the same as once."""

    document: str
    variables: Mapping[str, Any]
    read: Callable[[Any], Answer]
    repeatable: bool


def any_operation(document: str, variables: Mapping[str, Any] | None) -> Operation[Any]:
    """A document of the caller's own. One in which the word mutation occurs is not taken for repeatable."""
    return Operation(document, variables or {}, lambda data: data, not re.search(r"\bmutation\b", document))


def rows(
    row: type[Row],
    where: Where | None = None,
    order_by: OrderBy | None = None,
    limit: int | None = None,
    offset: int | None = None,
) -> Operation[list[Row]]:
    """Rows of the table that is called as the class, in lower case."""
    table = row.__name__.lower()
    return Operation(
        f"query($where: {table}_bool_exp, $order_by: [{table}_order_by!], $limit: Int, $offset: Int) {{ "
        f"{table}(where: $where, order_by: $order_by, limit: $limit, offset: $offset) {{ {selection(row)} }} }}",
        {"where": where, "order_by": order_by, "limit": limit, "offset": offset},
        lambda data: [read(row, item) for item in data[table]],
        repeatable=True,
    )


def row_by_id(row: type[Row], id_: str) -> Operation[Row | None]:
    """The row with this id, if there is one."""
    field = f"{row.__name__.lower()}_by_pk"
    return Operation(
        f"query($id: uuid!) {{ {field}(id: $id) {{ {selection(row)} }} }}",
        {"id": id_},
        lambda data: None if data[field] is None else read(row, data[field]),
        repeatable=True,
    )


def secret_names() -> Operation[list[str]]:
    """The names of the secrets there are."""
    return Operation("query { secret_names }", {}, lambda data: list(data["secret_names"]), repeatable=True)


def mutation(
    name: str, fields: str, input_: Mapping[str, Any], read_payload: Callable[[Any], Answer]
) -> Operation[Answer]:
    """A mutation with one input. It is repeatable where it carries an idempotency key."""
    return Operation(
        f"mutation($input: {name}_input!) {{ {name}(input: $input) {{ {fields} }} }}",
        {"input": input_},
        lambda data: read_payload(data[name]),
        repeatable=bool(input_.get("idempotency_key")),
    )


def write(name: str, row: type[Row], input_: Mapping[str, Any]) -> Operation[Row]:
    """A mutation whose payload is an object of a class."""
    return mutation(name, selection(row), input_, lambda payload: read(row, payload))


def order(name: str, input_: Mapping[str, Any]) -> Operation[None]:
    """A mutation that says nothing but that it was done."""
    return mutation(name, "success", input_, lambda _payload: None)


def try_automation(row: type[Row], input_: Mapping[str, Any]) -> Operation[list[Row]]:
    """`test_automation`: one result for each action."""
    return mutation(
        "test_automation",
        f"results {{ {selection(row)} }}",
        input_,
        lambda payload: [read(row, item) for item in payload["results"]],
    )


def redeliver(input_: Mapping[str, Any]) -> Operation[str]:
    """`redeliver`: the id of the new delivery."""
    return mutation("redeliver", "id", input_, lambda payload: str(payload["id"]))
