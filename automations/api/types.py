"""GraphQL types of the readable tables, made from their declarations: rows, filters, orders, aggregates."""

import inspect
import sys
from collections.abc import Callable
from enum import StrEnum
from types import GenericAlias
from typing import Annotated, Any, Optional

import strawberry
from strawberry.types.unset import UNSET

from automations.api.fields import enum
from automations.api.scalars import Jsonb, Timestamptz, Uuid_
from automations.api.tables import BY_NAME, TABLES, Column, Relation, Table

_PYTHON: dict[str, Any] = {
    "uuid": Uuid_,
    "text": str,
    "integer": int,
    "boolean": bool,
    "timestamptz": Timestamptz,
    "jsonb": Jsonb,
    "text[]": list[str],
}
_EXTREMES = ("text", "integer", "timestamptz")

_COMMON = ("_eq", "_neq", "_gt", "_gte", "_lt", "_lte")
_OPERATORS: dict[str, str] = {
    "_eq": "Equal.",
    "_neq": "Not equal.",
    "_gt": "Greater.",
    "_gte": "Greater or equal.",
    "_lt": "Less.",
    "_lte": "Less or equal.",
    "_in": "Any of these.",
    "_nin": "None of these.",
    "_is_null": "Whether it is null.",
    "_like": "Matches the pattern, in which % stands for any text and _ for any character.",
    "_nlike": "Does not match the pattern.",
    "_ilike": "Matches the pattern, in either case.",
    "_nilike": "Does not match the pattern in either case.",
    "_similar": "Matches the SQL regular expression.",
    "_regex": "Matches the POSIX regular expression.",
    "_iregex": "Matches the POSIX regular expression, in either case.",
    "_contains": "Contains this JSON.",
    "_contained_in": "Is contained in this JSON.",
    "_has_key": "Has this key, or this string in an array.",
    "_has_keys_any": "Has any of these keys.",
    "_has_keys_all": "Has all of these keys.",
}
_TEXT_ONLY = ("_like", "_nlike", "_ilike", "_nilike", "_similar", "_regex", "_iregex")


@strawberry.enum(name="order_by", description="A direction, and where nulls go.")
class Order(StrEnum):
    """Directions of sorting; the plain ones put nulls where PostgreSQL does: last ascending, first descending."""

    asc = "asc"
    asc_nulls_first = "asc_nulls_first"
    asc_nulls_last = "asc_nulls_last"
    desc = "desc"
    desc_nulls_first = "desc_nulls_first"
    desc_nulls_last = "desc_nulls_last"


def row_type(table: Table) -> Any:
    """The output type of a table's rows."""
    return _made[table.name]


def list_arguments(table: Table) -> dict[str, Any]:
    """Arguments of every list of the table's rows: name → annotation."""
    return {
        "where": Annotated[
            Optional[_lazy(f"{table.name}_bool_exp")], strawberry.argument(description="Which rows; all by default.")
        ],
        "order_by": Annotated[
            Optional[_list_of(_lazy(f"{table.name}_order_by"))],
            strawberry.argument(description="In which order; one object or a list of them."),
        ],
        "limit": Annotated[Optional[int], strawberry.argument(description="How many rows at most; 100 by default.")],
        "offset": Annotated[Optional[int], strawberry.argument(description="How many rows to leave out first.")],
        "distinct_on": Annotated[
            Optional[_list_of(_lazy(f"{table.name}_select_column"))],
            strawberry.argument(description="One row for each value of these; order_by must begin with them."),
        ],
    }


def aggregate_type(table: Table) -> Any:
    """The output type of `X_aggregate`."""
    return _made[f"{table.name}_aggregate"]


def with_arguments(
    resolver: Callable[..., Any], returns: Any, arguments: dict[str, Any], *, required: bool = False
) -> Any:
    """The resolver, with a signature of these arguments for strawberry to read.

    Their values are not passed on: the select compiler reads them from the document.
    """
    default = inspect.Parameter.empty if required else UNSET
    parameters = [inspect.Parameter("info", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=strawberry.Info)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation in arguments.items()
    ]

    async def resolve(info: strawberry.Info, **_: Any) -> Any:
        return await resolver(info)

    resolve.__signature__ = inspect.Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
    resolve.__annotations__ = {"info": strawberry.Info, **arguments, "return": returns}
    return resolve


async def _compiled_above(info: strawberry.Info) -> Any:
    """Fields inside a row are part of the root field's statement."""
    raise AssertionError(info.field_name)


def _unread(*_: Any) -> None:
    """What an input of a read is in Python."""


_made: dict[str, Any] = {}


def _list_of(item: Any) -> Any:
    return GenericAlias(list, (item,))


def _lazy(name: str) -> Any:
    """The type of this name: itself where it is made already, else one that strawberry looks up on every use."""
    return _made.get(name) or Annotated[name, strawberry.lazy(__name__)]


def _make(decorator: Any, name: str, description: str, annotations: dict[str, Any], values: dict[str, Any]) -> None:
    made = decorator(
        type(name, (), {"__annotations__": annotations, "__module__": __name__, **values}),
        name=name,
        description=description,
    )
    if decorator is strawberry.input:
        # Nobody reads these as Python objects: making them would cost more than the query.
        made.__strawberry_definition__.from_input = _unread
    _register(name, made)


def _register(name: str, made: Any) -> None:
    _made[name] = made
    setattr(sys.modules[__name__], name, made)


def _make_comparison(type_: str) -> None:
    python = _PYTHON[type_]
    operators: dict[str, Any] = dict.fromkeys(_COMMON, python)
    operators |= {"_in": _list_of(python), "_nin": _list_of(python), "_is_null": bool}
    if type_ == "text":
        operators |= dict.fromkeys(_TEXT_ONLY, str)
    if type_ == "jsonb":
        operators |= {"_contains": python, "_contained_in": python, "_has_key": str}
        operators |= {"_has_keys_any": list[str], "_has_keys_all": list[str]}
    _make(
        strawberry.input,
        f"{_GRAPHQL[type_]}_comparison_exp",
        f"Conditions on a value of type {_GRAPHQL[type_]}; all must hold, and null means no condition.",
        {name: Optional[annotation] for name, annotation in operators.items()},
        {name: strawberry.field(default=UNSET, description=_OPERATORS[name]) for name in operators},
    )


_GRAPHQL = {
    "uuid": "uuid",
    "text": "String",
    "integer": "Int",
    "boolean": "Boolean",
    "timestamptz": "timestamptz",
    "jsonb": "jsonb",
}


def _plain(table: Table) -> list[Column]:
    return [column for column in table.columns if column.function is None]


def _make_inputs(table: Table) -> None:
    name = table.name
    boolean = f"{name}_bool_exp"
    conditions: dict[str, Any] = {
        "_and": Optional[_list_of(_lazy(boolean))],
        "_or": Optional[_list_of(_lazy(boolean))],
        "_not": Optional[_lazy(boolean)],
    }
    described = {"_and": "All of these.", "_or": "Any of these.", "_not": "Not this."}
    orders: dict[str, Any] = {}
    for column in _plain(table):
        conditions[column.name] = Optional[_lazy(f"{_GRAPHQL[column.type]}_comparison_exp")]
        orders[column.name] = Optional[Order]
        described[column.name] = column.description
    for relation in table.relations:
        conditions[relation.name] = Optional[_lazy(f"{relation.table}_bool_exp")]
        described[relation.name] = (
            f"Has one such row: {relation.description}" if relation.many else relation.description
        )
        if not relation.many:
            orders[relation.name] = Optional[_lazy(f"{relation.table}_order_by")]
    for kind, fields, text in (
        (boolean, conditions, f"Conditions on {name}; all must hold, and an empty object means no condition."),
        (f"{name}_order_by", orders, f"Order of {name}. For several fields give a list of objects with one each."),
    ):
        _make(
            strawberry.input,
            kind,
            text,
            fields,
            {field: strawberry.field(default=UNSET, description=described[field]) for field in fields},
        )
    columns = [column.name for column in _plain(table)]
    _register(f"{name}_select_column", enum(f"{name}_select_column", columns, f"Columns of {name}."))


def _make_outputs(table: Table) -> None:
    name = table.name
    annotations: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for column in table.columns:
        python = _PYTHON[column.type]
        annotations[column.name] = Optional[python] if column.nullable else python
        values[column.name] = strawberry.field(description=column.description)
    for relation in table.relations:
        values[relation.name] = _relation_field(relation)
        if relation.many:
            values[f"{relation.name}_aggregate"] = strawberry.field(
                resolver=with_arguments(
                    _compiled_above, _lazy(f"{relation.table}_aggregate"), list_arguments(BY_NAME[relation.table])
                ),
                description=f"Counts and extremes of: {relation.description}",
            )
    _make(strawberry.type, name, table.description, annotations, values)
    extremes = {column.name: column for column in _plain(table) if column.type in _EXTREMES}
    for function, text in (("min", "Least"), ("max", "Greatest")):
        _make(
            strawberry.type,
            f"{name}_{function}_fields",
            f"{text} values of columns.",
            {field: Optional[_PYTHON[column.type]] for field, column in extremes.items()},
            {field: strawberry.field(description=column.description) for field, column in extremes.items()},
        )
    count = with_arguments(
        _compiled_above,
        int,
        {
            "columns": Annotated[
                Optional[_list_of(_lazy(f"{name}_select_column"))],
                strawberry.argument(description="Count rows in which these are not null."),
            ],
            "distinct": Annotated[Optional[bool], strawberry.argument(description="Count different values.")],
        },
    )
    _make(
        strawberry.type,
        f"{name}_aggregate_fields",
        f"Figures over {name}.",
        {"min": Optional[_lazy(f"{name}_min_fields")], "max": Optional[_lazy(f"{name}_max_fields")]},
        {
            "count": strawberry.field(resolver=count, description="How many rows."),
            "min": strawberry.field(description="Least values."),
            "max": strawberry.field(description="Greatest values."),
        },
    )
    _make(
        strawberry.type,
        f"{name}_aggregate",
        f"Figures over rows of {name}, and the rows.",
        {"aggregate": Optional[_lazy(f"{name}_aggregate_fields")], "nodes": _list_of(_lazy(name))},
        {
            "aggregate": strawberry.field(description="Figures over all the rows asked for."),
            "nodes": strawberry.field(description="The rows, 100 by default."),
        },
    )


def _relation_field(relation: Relation) -> Any:
    if not relation.many:
        return strawberry.field(
            resolver=with_arguments(_compiled_above, Optional[_lazy(relation.table)], {}),
            description=relation.description,
        )
    returns = _list_of(_lazy(relation.table))
    resolver = with_arguments(_compiled_above, returns, list_arguments(BY_NAME[relation.table]))
    return strawberry.field(resolver=resolver, description=relation.description)


for _type in _GRAPHQL:
    _make_comparison(_type)
for _table in TABLES:
    _make_inputs(_table)
for _table in TABLES:
    _make_outputs(_table)
