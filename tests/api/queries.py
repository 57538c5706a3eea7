"""Queries over runs, flows, projects and states: hypothesis strategies, and their text."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from tests.api.second_opinion import COLUMNS, REGEXES, RELATIONS, SIMILAR, Asked

# Few values, so that filters meet rows and rows meet each other.
TEXTS = ["alpha", "Alpha", "beta", "a_b", "a%b", "axb", "", "été", 'it\'s "x"', "two\nlines", "Running", "Failed"]
PATTERNS = ["a%", "%a", "A%", "_lpha", r"a\_b", r"a\%b", "%", "", "É%", "%\n%", "%'%"]
NUMBERS = [0, 1, 2, 3]
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
TIMES = [START, START + timedelta(microseconds=500_000), START + timedelta(microseconds=1), START + timedelta(days=400)]
DOCUMENTS: list[Any] = [
    {},
    {"a": 1},
    {"a": 1, "b": [1, 2]},
    {"a": True},
    {"b": [2]},
    [],
    ["a", "b"],
    ["a"],
    [1, {"a": 1}],
    "a",
    1,
    True,
]
VALUES: dict[str, list[Any]] = {
    "text": TEXTS,
    "integer": NUMBERS,
    "boolean": [True, False],
    "timestamptz": TIMES,
    "jsonb": DOCUMENTS,
}
DIRECTIONS = ["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]
_DEPTH = 3


@st.composite
def comparisons(draw: st.DrawFn, type_: str, ids: list[UUID]) -> dict[str, Any]:
    """Conditions on a column of this type, nulls (no condition) included."""
    values = st.sampled_from(ids if type_ == "uuid" else VALUES[type_])
    operator = draw(st.sampled_from(_operators(type_)))
    if operator == "_is_null":
        return {operator: draw(st.booleans())}
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([{}, {operator: None}]))
    operands = {"_in": st.lists(values, max_size=3), "_nin": st.lists(values, max_size=3), **_OPERANDS}
    return {operator: draw(operands.get(operator, values))}


_KEYS = st.sampled_from(["a", "b", "c"])
_OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("_like", "_nlike", "_ilike", "_nilike"), st.sampled_from(PATTERNS)),
    **dict.fromkeys(("_regex", "_iregex"), st.sampled_from(list(REGEXES))),
    "_similar": st.sampled_from(list(SIMILAR)),
    "_has_key": _KEYS,
    **dict.fromkeys(("_has_keys_any", "_has_keys_all"), st.lists(_KEYS, max_size=2)),
}


def _operators(type_: str) -> list[str]:
    operators = ["_eq", "_neq", "_in", "_nin", "_is_null"]
    if type_ == "jsonb":
        return [*operators, "_contains", "_contained_in", "_has_key", "_has_keys_any", "_has_keys_all"]
    operators += ["_gt", "_gte", "_lt", "_lte"]
    if type_ == "text":
        operators += ["_like", "_nlike", "_ilike", "_nilike", "_regex", "_iregex", "_similar"]
    return operators


@st.composite
def filters(draw: st.DrawFn, table: str, ids: list[UUID], depth: int = _DEPTH) -> dict[str, Any]:
    """Objects for `where`."""
    kinds = ["column", "column", "_and", "_or", "_not", "_not", "both", "relation", "nothing"]
    match draw(st.sampled_from(kinds)) if depth else "column":
        case "column":
            name = draw(st.sampled_from(list(COLUMNS[table])))
            return {name: draw(comparisons(COLUMNS[table][name], ids))}
        case "relation":
            name = draw(st.sampled_from(list(RELATIONS[table])))
            return {name: draw(filters(RELATIONS[table][name][0], ids, depth - 1))}
        case "_not":
            return {"_not": draw(filters(table, ids, depth - 1))}
        case "both":
            return {**draw(filters(table, ids, depth - 1)), **draw(filters(table, ids, depth - 1))}
        case "nothing":
            return {}
        case several:
            return {several: [draw(filters(table, ids, depth - 1)) for _ in range(draw(st.integers(0, 3)))]}


@st.composite
def arguments(draw: st.DrawFn, table: str, ids: list[UUID], *, distinct: bool = True) -> dict[str, Any]:
    """Arguments of a list. Pages come with an order only: without one any page is right."""
    given: dict[str, Any] = {}
    if draw(st.booleans()):
        given["where"] = draw(filters(table, ids))
    sortable = [name for name, type_ in COLUMNS[table].items() if type_ != "jsonb"]
    orders: list[dict[str, Any]] = [
        {name: draw(st.sampled_from(DIRECTIONS))} for name in draw(st.lists(st.sampled_from(sortable), max_size=2))
    ]
    if distinct and draw(st.integers(0, 3)) == 0:
        given["distinct_on"] = draw(st.lists(st.sampled_from(sortable), min_size=1, max_size=2, unique=True))
        leading = draw(st.permutations(given["distinct_on"])) if orders else []
        orders = [{name: draw(st.sampled_from(DIRECTIONS))} for name in leading] + orders
    elif draw(st.booleans()):
        ones = [(name, other) for name, (other, _, _, many) in RELATIONS[table].items() if not many]
        for name, other in ones[:1]:
            column = draw(st.sampled_from([key for key, type_ in COLUMNS[other].items() if type_ != "jsonb"]))
            orders.insert(draw(st.integers(0, len(orders))), {name: {column: draw(st.sampled_from(DIRECTIONS))}})
    if orders:
        given["order_by"] = orders
    if orders or "distinct_on" in given:
        given |= draw(st.fixed_dictionaries({}, optional={"limit": st.integers(0, 5), "offset": st.integers(0, 5)}))
    return given


@st.composite
def asked(draw: st.DrawFn, table: str, ids: list[UUID], depth: int = 2) -> Asked:
    """A list of a table, with columns and what hangs on them."""
    names = st.sampled_from(list(COLUMNS[table]))
    keys = st.from_regex(r"[A-Za-z][A-Za-z_0-9]{0,5}", fullmatch=True)
    columns = {name: name for name in draw(st.lists(names, min_size=1, max_size=4))}
    columns |= {f"c_{key}": draw(names) for key in draw(st.lists(keys, max_size=2))}
    related = {}
    if depth:
        for key in draw(st.lists(keys, max_size=2, unique=True)):
            relation = draw(st.sampled_from(list(RELATIONS[table])))
            inner = draw(asked(RELATIONS[table][relation][0], ids, depth - 1))
            if not RELATIONS[table][relation][3]:
                inner.arguments = {}
            related[f"r_{key}"] = (relation, inner)
    return Asked(table, draw(arguments(table, ids)), columns, related)


def is_ordered(arguments: dict[str, Any]) -> bool:
    return bool(arguments.get("order_by") or arguments.get("distinct_on"))


def text_of(asked: Asked) -> str:
    """The field as GraphQL, its arguments as literals."""
    return f"{asked.table}{_arguments(asked)} {selection_of(asked)}"


def selection_of(asked: Asked) -> str:
    """The selection set as GraphQL."""
    fields = [f"{key}: {column}" for key, column in asked.columns.items()]
    for key, (relation, inner) in asked.related.items():
        fields.append(f"{key}: {relation}{_arguments(inner)} {selection_of(inner)}")
    return f"{{ {' '.join(fields)} }}"


def _arguments(asked: Asked) -> str:
    parts = []
    for name, value in asked.arguments.items():
        if name == "where":
            parts.append(f"where: {_where(asked.table, value)}")
        elif name == "order_by":
            parts.append(f"order_by: {_bare(value)}")
        else:
            parts.append(f"{name}: {_bare(value)}")
    return f"({', '.join(parts)})" if parts else ""


def _bare(value: Any) -> str:
    """Enums, numbers, and lists and objects of them."""
    if isinstance(value, list):
        return f"[{', '.join(map(_bare, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_bare(item)}' for key, item in value.items())}}}"
    return str(value)


def _where(table: str, where: dict[str, Any]) -> str:
    parts = []
    for name, value in where.items():
        if name in {"_and", "_or"}:
            parts.append(f"{name}: [{', '.join(_where(table, item) for item in value)}]")
        elif name == "_not":
            parts.append(f"_not: {_where(table, value)}")
        elif name in RELATIONS[table]:
            parts.append(f"{name}: {_where(RELATIONS[table][name][0], value)}")
        else:
            type_ = COLUMNS[table][name]
            conditions = ", ".join(f"{operator}: {_operand(type_, operator, item)}" for operator, item in value.items())
            parts.append(f"{name}: {{{conditions}}}")
    return f"{{{', '.join(parts)}}}"


def _operand(type_: str, operator: str, value: Any) -> str:
    if value is None or operator == "_is_null" or (type_ == "boolean" and isinstance(value, bool)):
        return json.dumps(value)
    if operator in {"_in", "_nin", "_has_keys_any", "_has_keys_all"}:
        inner = operator if operator.startswith("_has") else "_eq"
        return f"[{', '.join(_operand('text' if inner != '_eq' else type_, '_eq', item) for item in value)}]"
    if type_ == "jsonb" and not operator.startswith("_has"):
        return json.dumps(json.dumps(value))  # a string in a document is read as JSON
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)


def variables_of(value: Any) -> Any:
    """A filter as JSON for a variable."""
    if isinstance(value, dict):
        return {key: variables_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [variables_of(item) for item in value]
    return str(value) if isinstance(value, UUID | datetime) else value
