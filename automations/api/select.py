"""Compiles a selection into one SQL statement that returns the answer's JSON.

With `conditions`, the only place where SQL is put together. What is nested is a subquery in the select list:
PostgreSQL evaluates those after ORDER BY and LIMIT, for the rows that are returned only. `sources` has what a table's
rows are read from, where that is not the table as it is declared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from automations.access.roles import Role
from automations.api.conditions import Link, Values, conditions, quoted, source
from automations.api.limits import DEFAULT_ROWS, MOST_RELATIONS
from automations.api.selection import Selected
from automations.api.tables import Column, Table
from automations.errors import InvalidInput, LimitExceeded

_KEY_BYTES = 63  # PostgreSQL cuts a longer name off
_ROW = '"0"'  # no key of an answer can begin with a digit

_DIRECTIONS = {
    "asc": "ASC",
    "desc": "DESC",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}


@dataclass(frozen=True)
class Statement:
    """SQL with $1, $2, … and their values; its one row has one column, the JSON as text."""

    sql: str
    arguments: list[Any]


def compile_list(
    table: Table, field: Selected, tenant_id: UUID, *, most_rows: int, role: Role, sources: Mapping[str, str]
) -> Statement:
    """A JSON array of the rows asked for."""
    compiler = _Compiler(tenant_id, role, most_rows, sources)
    return compiler.statement(compiler.array(table, field))


def compile_by_pk(
    table: Table, field: Selected, tenant_id: UUID, *, most_rows: int, role: Role, sources: Mapping[str, str]
) -> Statement:
    """A JSON object, or no row."""
    compiler = _Compiler(tenant_id, role, most_rows, sources)
    where = {name: {"_eq": value} for name, value in field.arguments.items()}
    return compiler.statement(compiler.one(table, Selected(field.key, field.name, {"where": where}, field.selections)))


def compile_aggregate(
    table: Table, field: Selected, tenant_id: UUID, *, most_rows: int, role: Role, sources: Mapping[str, str]
) -> Statement:
    """A JSON object with `aggregate` and `nodes`."""
    compiler = _Compiler(tenant_id, role, most_rows, sources)
    return compiler.statement(compiler.aggregate(table, field))


def compile_changed(
    table: Table,
    field: Selected,
    tenant_id: UUID,
    ids: Sequence[UUID],
    *,
    most_rows: int,
    role: Role,
    sources: Mapping[str, str],
) -> Statement:
    """One row for each of these ids that the tenant has, deleted ones included: its id, and its JSON as text."""
    compiler = _Compiler(tenant_id, role, most_rows, sources)
    return compiler.statement(compiler.changed(table, field, ids))


class _Compiler:
    def __init__(self, tenant_id: UUID, role: Role, most_rows: int, sources: Mapping[str, str]) -> None:
        self._values = Values(tenant_id, role, sources)
        self._most_rows = most_rows
        self._level = 0

    def statement(self, sql: str) -> Statement:
        return Statement(sql, self._values.arguments)

    def array(self, table: Table, field: Selected, link: Link | None = None) -> str:
        rows = self._rows(table, field, link)
        return f"SELECT coalesce(json_agg({_object(field)}), '[]') FROM ({rows}) AS {_ROW}"

    def one(self, table: Table, field: Selected, link: Link | None = None) -> str:
        rows = self._rows(table, field, link, single=True)
        return f"SELECT {_object(field)} FROM ({rows}) AS {_ROW}"

    def aggregate(self, table: Table, field: Selected, link: Link | None = None) -> str:
        parts = []
        for item in field.selections:
            match item.name:
                case "aggregate":
                    value = f"({self._aggregates(table, field.arguments, item, link)})"
                case "nodes":
                    nodes = Selected(item.key, item.name, field.arguments, item.selections)
                    value = f"({self.array(table, nodes, link)})"
                case _:
                    value = _text(f"{table.name}_aggregate")
            parts.append(f"{value} AS {_key(item.key)}")
        # The tenant is named here too: PostgreSQL refuses a value that no part of the statement uses.
        return f"SELECT row_to_json({_ROW}) FROM (SELECT {', '.join(parts)} WHERE $1::uuid IS NOT NULL) AS {_ROW}"

    def changed(self, table: Table, field: Selected, ids: Sequence[UUID]) -> str:
        alias = self._values.name()
        columns = ", ".join(f"{self._value(table, alias, item)} AS {_key(item.key)}" for item in field.selections)
        row = f"SELECT {_object(field)}::text FROM (SELECT {columns or 'NULL'}) AS {_ROW}"
        found = conditions(self._values, table, alias, {table.key: {"_in": ids}}, deleted=True)
        rows = source(self._values, table, None)
        return f"SELECT {alias}.{quoted(table.key)}, ({row}) FROM {rows} AS {alias} WHERE {found}"

    def _rows(self, table: Table, field: Selected, link: Link | None, *, single: bool = False) -> str:
        self._level += 1
        if self._level > MOST_RELATIONS:
            raise LimitExceeded(f"A query may be nested {MOST_RELATIONS} relations deep.")
        alias = self._values.name()
        columns = ", ".join(f"{self._value(table, alias, item)} AS {_key(item.key)}" for item in field.selections)
        arguments = {**field.arguments, "limit": 1} if single else field.arguments
        distinct, body = self._distinct(alias, arguments), self._body(table, alias, arguments, link)
        self._level -= 1
        return f"SELECT {distinct}{columns or 'NULL'} {body}"

    def _body(
        self, table: Table, alias: str, arguments: Mapping[str, Any], link: Link | None, *, limited: bool = True
    ) -> str:
        """FROM to OFFSET of a select over a table's rows."""
        found = conditions(self._values, table, alias, arguments.get("where"), link)
        parts = [f"FROM {source(self._values, table, link)} AS {alias} WHERE {found}"]
        if order := self._order(table, alias, arguments, link):
            parts.append(f"ORDER BY {order}")
        limit, offset = arguments.get("limit"), arguments.get("offset")
        if limited or limit is not None:
            parts.append(f"LIMIT {self._values.parameter(self._limit(limit), 'bigint')}")
        if offset:
            if offset < 0:
                raise InvalidInput("offset must not be negative.")
            parts.append(f"OFFSET {self._values.parameter(offset, 'bigint')}")
        return " ".join(parts)

    def _limit(self, limit: int | None) -> int:
        if limit is None:
            return min(DEFAULT_ROWS, self._most_rows)
        if limit < 0:
            raise InvalidInput("limit must not be negative.")
        if limit > self._most_rows:
            raise LimitExceeded(
                f"limit is {limit}; a list has {self._most_rows} rows at most. Ask for pages with offset."
            )
        return limit

    def _value(self, table: Table, alias: str, item: Selected) -> str:
        """A selected field's expression."""
        if item.name == "__typename":
            return _text(table.name)
        if column := table.column(item.name):
            return _column(alias, column)
        if relation := table.relation(item.name):
            compile_ = self.array if relation.many else self.one
        else:
            relation, compile_ = table.relation(item.name.removesuffix("_aggregate")), self.aggregate
        assert relation is not None  # noqa: S101 - the schema has no other fields
        return f"({compile_(self._values.related(relation), item, Link(relation, alias))})"

    def _order(self, table: Table, alias: str, arguments: Mapping[str, Any], link: Link | None) -> str:
        terms = [
            (expression, _DIRECTIONS[direction])
            for item in arguments.get("order_by") or ()
            for expression, direction in self._order_terms(table, alias, item)
        ]
        distinct = _distinct_columns(alias, arguments)
        if not terms:
            terms = [(column, "ASC") for column in distinct]
        elif {expression for expression, _ in terms[: len(distinct)]} != set(distinct):
            raise InvalidInput("order_by must begin with the columns of distinct_on.")
        if terms:
            terms.append((f"{alias}.{quoted(table.key)}", "ASC"))  # pages of equal rows must not overlap
        elif link is not None and link.relation.order:
            terms = [(f"{alias}.{quoted(link.relation.order)}", "ASC")]
        return ", ".join(f"{expression} {direction}" for expression, direction in terms)

    def _order_terms(self, table: Table, alias: str, order: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in order.items():
            if value is None:
                continue
            if table.column(name):
                yield f"{alias}.{quoted(name)}", value
            elif relation := table.relation(name):
                related, inner, link = self._values.related(relation), self._values.name(), Link(relation, alias)
                rows, found = source(self._values, related, link), " AND ".join(link.conditions(inner, related))
                body = f"FROM {rows} AS {inner} WHERE {found}"
                for expression, direction in self._order_terms(related, inner, value):
                    yield f"(SELECT {expression} {body})", direction

    def _distinct(self, alias: str, arguments: Mapping[str, Any]) -> str:
        columns = _distinct_columns(alias, arguments)
        return f"DISTINCT ON ({', '.join(columns)}) " if columns else ""

    def _aggregates(self, table: Table, arguments: Mapping[str, Any], item: Selected, link: Link | None) -> str:
        alias, rows = self._values.name(), self._values.name()
        figures = ", ".join(f"{_figure(table, rows, figure)} AS {_key(figure.key)}" for figure in item.selections)
        distinct, body = self._distinct(alias, arguments), self._body(table, alias, arguments, link, limited=False)
        # HAVING makes it one row even where no figure is asked for.
        summed = f"SELECT {figures} FROM (SELECT {distinct}{alias}.* {body}) AS {rows} HAVING true"
        return f"SELECT row_to_json({_ROW}) FROM ({summed}) AS {_ROW}"


def _object(field: Selected) -> str:
    """A row as JSON; one of which nothing is asked for has no columns that could tell its keys."""
    return f"row_to_json({_ROW})" if field.selections else "json_build_object()"


def _column(alias: str, column: Column) -> str:
    if column.function is None:
        return f"{alias}.{quoted(column.name)}"
    return f"{column.function}({', '.join(f'{alias}.{quoted(name)}' for name in column.arguments)})"


def _distinct_columns(alias: str, arguments: Mapping[str, Any]) -> list[str]:
    return [f"{alias}.{quoted(name)}" for name in dict.fromkeys(arguments.get("distinct_on") or ())]


def _figure(table: Table, rows: str, figure: Selected) -> str:
    match figure.name:
        case "count":
            return _count(rows, figure.arguments)
        case "min" | "max":
            extremes = (_extreme(table, rows, figure.name, item) for item in figure.selections)
            return f"json_build_object({', '.join(extremes)})"
        case _:
            return _text(f"{table.name}_aggregate_fields")


def _count(rows: str, arguments: Mapping[str, Any]) -> str:
    """Rows in which none of the columns is null, or of these the different ones."""
    columns = [f"{rows}.{quoted(name)}" for name in arguments.get("columns") or ()]
    if not columns:
        return "count(*)"
    counted = f"DISTINCT ({', '.join(columns)})" if arguments.get("distinct") else "*"
    return f"count({counted}) FILTER (WHERE {' AND '.join(f'{column} IS NOT NULL' for column in columns)})"


def _extreme(table: Table, rows: str, function: str, item: Selected) -> str:
    if item.name == "__typename":
        return f"{_text(item.key)}, {_text(f'{table.name}_{function}_fields')}"
    return f"{_text(item.key)}, {function}({rows}.{quoted(item.name)})"


def _key(name: str) -> str:
    if len(name) > _KEY_BYTES:
        raise LimitExceeded(f"The alias {name[:20]}… has {len(name)} characters; an alias may have {_KEY_BYTES}.")
    return quoted(name)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'::text"
