"""What a query over runs, flows, projects and states should answer, worked out in plain Python.

Rows are read with `SELECT *`; filters, orders and pages are then applied to lists of dictionaries. Nothing of the
compiler is used: where both agree, either both are right or two people made the same mistake.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cmp_to_key
from operator import itemgetter
from typing import Any
from uuid import UUID

Row = Mapping[str, Any]

COLUMNS: dict[str, dict[str, str]] = {
    "project": {"id": "uuid", "name": "text", "description": "text", "created": "timestamptz"},
    "flow": {
        "id": "uuid",
        "project_id": "uuid",
        "name": "text",
        "description": "text",
        "version": "integer",
        "archived": "boolean",
        "settings": "jsonb",
    },
    "flow_run": {
        "id": "uuid",
        "flow_id": "uuid",
        "name": "text",
        "state": "text",
        "version": "integer",
        "auto_scheduled": "boolean",
        "start_time": "timestamptz",
        "scheduled_start_time": "timestamptz",
        "parameters": "jsonb",
        "context": "jsonb",
    },
    "flow_run_state": {
        "id": "uuid",
        "flow_run_id": "uuid",
        "state": "text",
        "message": "text",
        "version": "integer",
        "timestamp": "timestamptz",
        "result": "jsonb",
    },
}
# Relation → the other table, its column, our column; the last says whether there are many.
RELATIONS: dict[str, dict[str, tuple[str, str, str, bool]]] = {
    "project": {"flows": ("flow", "project_id", "id", True)},
    "flow": {"project": ("project", "id", "project_id", False), "flow_runs": ("flow_run", "flow_id", "id", True)},
    "flow_run": {"flow": ("flow", "id", "flow_id", False), "states": ("flow_run_state", "flow_run_id", "id", True)},
    "flow_run_state": {"flow_run": ("flow_run", "id", "flow_run_id", False)},
}

# Patterns as PostgreSQL reads them, and as Python does.
REGEXES = {"^a": "^a", "a$": r"a\Z", "[xyz]": "[xyz]", "l.h": "l.h", "^$": r"^\Z", "(?i)ALPHA": "(?i)ALPHA"}
SIMILAR = {"a%": "a.*", "(alpha|beta)": "(alpha|beta)", "_": ".", "%": ".*", "[ab]%": "[ab].*"}


@dataclass
class Asked:
    """A field over a table: its arguments, and under each key a column, a relation or an aggregate."""

    table: str
    arguments: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    related: dict[str, tuple[str, "Asked"]] = field(default_factory=dict)


class World:
    """All rows of a tenant."""

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self.rows = rows

    def answer(self, asked: Asked) -> list[dict[str, Any]]:
        """The JSON of a list."""
        return [self._shown(asked, row) for row in self.found(asked.table, asked.arguments)]

    def found(self, table: str, arguments: Mapping[str, Any], rows: Iterable[Row] | None = None) -> list[Row]:
        """The rows, filtered, ordered, one of each where asked, and cut to the page."""
        where = arguments.get("where") or {}
        candidates = [row for row in (self.rows[table] if rows is None else rows) if self._meets(table, row, where)]
        ordered = self._ordered(table, candidates, arguments)
        if distinct := arguments.get("distinct_on"):
            first: dict[Any, Row] = {}
            for row in ordered:
                first.setdefault(tuple(row[name] for name in distinct), row)
            ordered = list(first.values())
        offset, limit = arguments.get("offset") or 0, arguments.get("limit")
        return ordered[offset : None if limit is None else offset + limit]

    def _related(self, table: str, row: Row, relation: str) -> tuple[str, list[Row], bool]:
        other, theirs, ours, many = RELATIONS[table][relation]
        return other, [found for found in self.rows[other] if found[theirs] == row[ours]], many

    def _shown(self, asked: Asked, row: Row) -> dict[str, Any]:
        shown = {key: as_json(row[column]) for key, column in asked.columns.items()}
        for key, (relation, inner) in asked.related.items():
            other, rows, many = self._related(asked.table, row, relation)
            if many:
                shown[key] = [self._shown(inner, found) for found in self.found(other, inner.arguments, rows)]
            else:
                shown[key] = self._shown(inner, rows[0]) if rows else None
        return shown

    def _meets(self, table: str, row: Row, where: Mapping[str, Any]) -> bool:
        condition = self._condition(table, where)
        return condition is None or condition(row) is True

    def _condition(self, table: str, where: Mapping[str, Any]) -> "Condition | None":
        """None where nothing is asked for."""
        parts = [part for name, value in where.items() if (part := self._part(table, name, value)) is not None]
        return _every(parts) if parts else None

    def _part(self, table: str, name: str, value: Any) -> "Condition | None":
        if value is None:
            return None
        if name == "_and":
            parts = [part for item in value if (part := self._condition(table, item)) is not None]
            return _every(parts) if parts else None
        if name == "_or":
            choices = [self._condition(table, item) for item in value]
            given = [choice for choice in choices if choice is not None]
            return _any(given) if len(given) == len(choices) else None
        if name == "_not":
            inner = self._condition(table, value)
            return None if inner is None else _not(inner)
        if name in RELATIONS[table]:

            def has_one(row: Row) -> bool:
                other, rows, _ = self._related(table, row, name)
                return any(self._meets(other, found, value) for found in rows)

            return has_one
        tests = [
            _comparison(COLUMNS[table][name], name, operator, operand)
            for operator, operand in value.items()
            if operand is not None
        ]
        return _every(tests) if tests else None

    def _ordered(self, table: str, rows: list[Row], arguments: Mapping[str, Any]) -> list[Row]:
        terms: list[tuple[Callable[[Row], Any], str]] = []
        for item in arguments.get("order_by") or ():
            for name, direction in item.items():
                if isinstance(direction, dict):
                    [(column, inner_direction)] = direction.items()
                    terms.append((self._of_one(table, name, column), inner_direction))
                else:
                    terms.append((itemgetter(name), direction))
        if not terms:
            terms = [(itemgetter(name), "asc") for name in arguments.get("distinct_on") or ()]
        if terms:
            terms.append((itemgetter("id"), "asc"))
        for value, direction in reversed(terms):
            rows = sorted(rows, key=cmp_to_key(_by(value, direction)))
        return rows

    def _of_one(self, table: str, relation: str, column: str) -> Callable[[Row], Any]:
        """A column of the one row that a relation leads to."""

        def value(row: Row) -> Any:
            _, rows, _ = self._related(table, row, relation)
            return rows[0][column]

        return value


Condition = Callable[[Row], bool | None]


def as_json(value: Any) -> Any:
    """A value as the answer writes it."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return re.sub(r"(\.\d*?)0+\+", r"\1+", value.isoformat()).replace(".+", "+")
    return value


def contains(outer: Any, inner: Any, *, top: bool = True) -> bool:
    """The containment of jsonb: https://www.postgresql.org/docs/current/datatype-json.html#JSON-CONTAINMENT."""
    if isinstance(outer, dict) and isinstance(inner, dict):
        return all(key in outer and contains(outer[key], item, top=False) for key, item in inner.items())
    if isinstance(outer, list) and isinstance(inner, list):
        return all(any(contains(mine, item, top=False) for mine in outer) for item in inner)
    if isinstance(outer, list) and top:  # an array may contain a bare scalar
        return not isinstance(inner, dict) and any(same(mine, inner) for mine in outer)
    return same(outer, inner)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


def _every(parts: list[Condition]) -> Condition:
    def test(row: Row) -> bool | None:
        results = [part(row) for part in parts]
        return False if False in results else None if None in results else True

    return test


def _any(parts: list[Condition]) -> Condition:
    def test(row: Row) -> bool | None:
        results = [part(row) for part in parts]
        return True if True in results else None if None in results else False

    return test


def _not(part: Condition) -> Condition:
    def test(row: Row) -> bool | None:
        result = part(row)
        return None if result is None else not result

    return test


def _comparison(type_: str, column: str, operator: str, operand: Any) -> Condition:
    equal = same if type_ == "jsonb" else lambda one, other: one == other

    def test(row: Row) -> bool | None:
        value = row[column]
        if operator == "_is_null":
            return (value is None) is operand
        # An empty list is answered without a look at the value, and a null in the row is neither in it nor not.
        if value is None:
            return {"_in": False, "_nin": True}.get(operator) if operand == [] else None
        return _OPERATORS[operator](value, operand, equal)

    return test


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _like(value: str, pattern: str, flags: int = 0) -> bool:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    regex = "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(regex, value, re.DOTALL | flags) is not None


_OPERATORS: dict[str, Callable[[Any, Any, Callable[[Any, Any], bool]], bool]] = {
    "_eq": lambda value, operand, equal: equal(value, operand),
    "_neq": lambda value, operand, equal: not equal(value, operand),
    "_gt": lambda value, operand, _: value > operand,
    "_gte": lambda value, operand, _: value >= operand,
    "_lt": lambda value, operand, _: value < operand,
    "_lte": lambda value, operand, _: value <= operand,
    "_in": lambda value, operand, equal: any(equal(value, item) for item in operand),
    "_nin": lambda value, operand, equal: not any(equal(value, item) for item in operand),
    "_like": lambda value, operand, _: _like(value, operand),
    "_nlike": lambda value, operand, _: not _like(value, operand),
    "_ilike": lambda value, operand, _: _like(value, operand, re.IGNORECASE),
    "_nilike": lambda value, operand, _: not _like(value, operand, re.IGNORECASE),
    "_similar": lambda value, operand, _: re.fullmatch(SIMILAR[operand], value, re.DOTALL) is not None,
    "_regex": lambda value, operand, _: re.search(REGEXES[operand], value, re.DOTALL) is not None,
    "_iregex": lambda value, operand, _: re.search(REGEXES[operand], value, re.DOTALL | re.IGNORECASE) is not None,
    "_contains": lambda value, operand, _: contains(value, operand),
    "_contained_in": lambda value, operand, _: contains(operand, value),
    "_has_key": lambda value, operand, _: operand in _keys(value),
    "_has_keys_any": lambda value, operand, _: any(item in _keys(value) for item in operand),
    "_has_keys_all": lambda value, operand, _: all(item in _keys(value) for item in operand),
}


def _by(value: Callable[[Row], Any], direction: str) -> Callable[[Row, Row], int]:
    """A comparison of rows; nulls stand where the direction says, or else where PostgreSQL puts them."""
    descending = direction.startswith("desc")
    nulls_first = direction.endswith("nulls_first") or direction == "desc"

    def compare(one: Row, other: Row) -> int:
        mine, theirs = value(one), value(other)
        if mine is None or theirs is None:
            order = (mine is not None) - (theirs is not None)
            return order if nulls_first else -order
        order = int(mine > theirs) - int(mine < theirs)
        return -order if descending else order

    return compare
