"""Compiles a selection into one SQL statement that returns the answer's JSON: the only place where SQL is put together.

Identifiers come from the declared tables and from keys of the answer, and are always quoted; every value is a
parameter; every row source is limited to the tenant, which is always $1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from automations.api.selection import Selected
from automations.api.tables import BY_NAME, Column, Relation, Table
from automations.errors import InvalidInput, LimitExceeded

DEFAULT_ROWS = 100
MOST_LEVELS = 12
_KEY_BYTES = 63  # PostgreSQL cuts a longer name off
_ROW = '"0"'  # no key of an answer can begin with a digit

_ARRAY = {"_in": "= ANY", "_nin": "<> ALL"}
_INFIX = {
    "_eq": "=",
    "_neq": "<>",
    "_gt": ">",
    "_gte": ">=",
    "_lt": "<",
    "_lte": "<=",
    "_like": "LIKE",
    "_nlike": "NOT LIKE",
    "_ilike": "ILIKE",
    "_nilike": "NOT ILIKE",
    "_similar": "SIMILAR TO",
    "_regex": "~",
    "_iregex": "~*",
    "_contains": "@>",
    "_contained_in": "<@",
    "_has_key": "?",
    "_has_keys_any": "?|",
    "_has_keys_all": "?&",
}
_OPERAND = {"_has_key": "text", "_has_keys_any": "text[]", "_has_keys_all": "text[]"}
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


def compile_list(table: Table, field: Selected, tenant_id: UUID, *, most_rows: int) -> Statement:
    """A JSON array of the rows asked for."""
    compiler = _Compiler(tenant_id, most_rows)
    return compiler.statement(compiler.array(table, field))


def compile_by_pk(table: Table, field: Selected, tenant_id: UUID, *, most_rows: int) -> Statement:
    """A JSON object, or no row."""
    compiler = _Compiler(tenant_id, most_rows)
    return compiler.statement(compiler.one(table, field))


def compile_aggregate(table: Table, field: Selected, tenant_id: UUID, *, most_rows: int) -> Statement:
    """A JSON object with `aggregate` and `nodes`."""
    compiler = _Compiler(tenant_id, most_rows)
    return compiler.statement(compiler.aggregate(table, field))


@dataclass(frozen=True)
class _Link:
    """How rows hang on their parent's: the relation, and the parent's alias."""

    relation: Relation
    parent: str


class _Compiler:
    def __init__(self, tenant_id: UUID, most_rows: int) -> None:
        self._arguments: list[Any] = [tenant_id]
        self._most_rows = most_rows
        self._aliases = 0
        self._level = 0

    def statement(self, sql: str) -> Statement:
        return Statement(sql, self._arguments)

    def array(self, table: Table, field: Selected, link: _Link | None = None) -> str:
        return f"SELECT coalesce(json_agg({_ROW}), '[]') AS value FROM ({self._rows(table, field, link)}) AS {_ROW}"

    def one(self, table: Table, field: Selected, link: _Link | None = None) -> str:
        return f"SELECT row_to_json({_ROW}) AS value FROM ({self._rows(table, field, link, single=True)}) AS {_ROW}"

    def aggregate(self, table: Table, field: Selected, link: _Link | None = None) -> str:
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
        return f"SELECT row_to_json({_ROW}) AS value FROM (SELECT {', '.join(parts)}) AS {_ROW}"

    def _rows(self, table: Table, field: Selected, link: _Link | None, *, single: bool = False) -> str:
        self._level += 1
        if self._level > MOST_LEVELS:
            raise LimitExceeded(f"A query may be nested {MOST_LEVELS} relations deep.")
        alias = self._alias()
        columns, joins = [], []
        for item in field.selections:
            value, join = self._value(table, alias, item)
            columns.append(f"{value} AS {_key(item.key)}")
            joins += join
        arguments = {"limit": 1} if single and link else field.arguments
        if single and not link:
            arguments = {"where": {name: {"_eq": value} for name, value in field.arguments.items()}, "limit": 1}
        body = self._body(table, alias, arguments, link, joins)
        distinct = self._distinct(table, alias, arguments)
        self._level -= 1
        return f"SELECT {distinct}{', '.join(columns)} {body}"

    def _body(
        self,
        table: Table,
        alias: str,
        arguments: Mapping[str, Any],
        link: _Link | None,
        joins: Sequence[str] = (),
        *,
        limited: bool = True,
    ) -> str:
        """FROM to LIMIT of a select over a table's rows."""
        source = table.source if link is None else link.relation.source or table.source
        parts = [f"FROM {source} AS {alias}", *joins, f"WHERE {self._conditions(table, alias, arguments, link)}"]
        if order := self._order(table, alias, arguments, link):
            parts.append(f"ORDER BY {order}")
        limit, offset = arguments.get("limit"), arguments.get("offset")
        if limited or limit is not None:
            parts.append(f"LIMIT {self._parameter(self._limit(limit), 'bigint')}")
        if offset:
            if not 0 <= offset:
                raise InvalidInput("offset must not be negative.")
            parts.append(f"OFFSET {self._parameter(offset, 'bigint')}")
        return " ".join(parts)

    def _limit(self, limit: int | None) -> int:
        if limit is None:
            return min(DEFAULT_ROWS, self._most_rows)
        if limit < 0:
            raise InvalidInput("limit must not be negative.")
        if limit > self._most_rows:
            raise LimitExceeded(f"limit is {limit}; a list has {self._most_rows} rows at most. Ask for pages with offset.")
        return limit

    def _conditions(self, table: Table, alias: str, arguments: Mapping[str, Any], link: _Link | None) -> str:
        conditions = [f"{alias}.{_quoted(table.tenant_column)} = $1"]
        if link is None and table.live:
            conditions.append(f"{alias}.{_quoted(table.live)} IS NULL")
        if link is not None:
            conditions += [
                f"{alias}.{_quoted(theirs)} = {link.parent}.{_quoted(ours)}" for theirs, ours in link.relation.on
            ]
        if where := self._where(table, alias, arguments.get("where") or {}):
            conditions.append(where)
        return " AND ".join(conditions)

    def _value(self, table: Table, alias: str, item: Selected) -> tuple[str, list[str]]:
        """A selected field's expression, and the lateral join that it needs."""
        if item.name == "__typename":
            return _text(table.name), []
        if column := table.column(item.name):
            return _column(alias, column), []
        relation = table.relation(item.name)
        aggregated = None if relation else table.relation(item.name.removesuffix("_aggregate"))
        joined = self._alias()
        if relation and relation.many:
            sql = self.array(BY_NAME[relation.table], item, _Link(relation, alias))
        elif relation:
            sql = self.one(BY_NAME[relation.table], item, _Link(relation, alias))
        else:
            assert aggregated is not None  # noqa: S101 - the schema has no other fields
            sql = self.aggregate(BY_NAME[aggregated.table], item, _Link(aggregated, alias))
        return f"{joined}.value", [f"LEFT JOIN LATERAL ({sql}) AS {joined} ON true"]

    def _where(self, table: Table, alias: str, where: Mapping[str, Any]) -> str | None:
        """The condition, or None where it does not restrict: null and {} mean "no condition"."""
        parts = [part for name, value in where.items() if value is not None for part in self._part(table, alias, name, value)]
        return f"({' AND '.join(parts)})" if parts else None

    def _part(self, table: Table, alias: str, name: str, value: Any) -> Iterator[str]:
        if name == "_and":
            yield from filter(None, (self._where(table, alias, item) for item in value))
        elif name == "_or":
            choices = [self._where(table, alias, item) for item in value]
            if not choices:
                yield "false"
            elif all(choices):
                yield f"({' OR '.join(filter(None, choices))})"
        elif name == "_not":
            if inner := self._where(table, alias, value):
                yield f"NOT {inner}"
        elif column := table.column(name):
            yield from self._comparisons(f"{alias}.{_quoted(name)}", column, value)
        elif relation := table.relation(name):
            yield f"EXISTS (SELECT {self._related(relation, alias, where=value)})"

    def _related(self, relation: Relation, parent: str, where: Mapping[str, Any]) -> str:
        related = BY_NAME[relation.table]
        alias = self._alias()
        link = _Link(relation, parent)
        conditions = self._conditions(related, alias, {"where": where}, link)
        return f"FROM {relation.source or related.source} AS {alias} WHERE {conditions}"

    def _comparisons(self, expression: str, column: Column, operators: Mapping[str, Any]) -> Iterator[str]:
        for operator, operand in operators.items():
            if operand is None:
                continue
            if operator == "_is_null":
                yield f"{expression} IS {'' if operand else 'NOT '}NULL"
            elif operator in _ARRAY:
                yield f"{expression} {_ARRAY[operator]} ({self._parameter(operand, f'{column.type}[]')})"
            else:
                yield f"{expression} {_INFIX[operator]} {self._parameter(operand, _OPERAND.get(operator, column.type))}"

    def _order(self, table: Table, alias: str, arguments: Mapping[str, Any], link: _Link | None) -> str:
        terms = [
            f"{expression} {_DIRECTIONS[direction]}"
            for item in arguments.get("order_by") or ()
            for expression, direction in self._order_terms(table, alias, item)
        ]
        distinct = self._distinct_columns(table, alias, arguments)
        if distinct and not terms:
            terms = distinct
        elif distinct:
            leading = {term.rsplit(" ", 1)[0].split(" ")[0] for term in terms[: len(distinct)]}
            if leading != set(distinct):
                raise InvalidInput("distinct_on must name the columns that order_by begins with.")
        if terms:
            terms.append(f"{alias}.{_quoted(table.key)}")  # pages of equal rows must not overlap
        elif link is not None and link.relation.order:
            terms = [f"{alias}.{_quoted(link.relation.order)}"]
        return ", ".join(terms)

    def _order_terms(self, table: Table, alias: str, order: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in order.items():
            if value is None:
                continue
            if table.column(name):
                yield f"{alias}.{_quoted(name)}", value
            elif relation := table.relation(name):
                related, inner = BY_NAME[relation.table], self._alias()
                conditions = self._conditions(related, inner, {}, _Link(relation, alias))
                for expression, direction in self._order_terms(related, inner, value):
                    yield (
                        f"(SELECT {expression} FROM {relation.source or related.source} AS {inner} WHERE {conditions} LIMIT 1)",
                        direction,
                    )

    def _distinct(self, table: Table, alias: str, arguments: Mapping[str, Any]) -> str:
        columns = self._distinct_columns(table, alias, arguments)
        return f"DISTINCT ON ({', '.join(columns)}) " if columns else ""

    def _distinct_columns(self, table: Table, alias: str, arguments: Mapping[str, Any]) -> list[str]:
        return [f"{alias}.{_quoted(name)}" for name in dict.fromkeys(arguments.get("distinct_on") or ())]

    def _aggregates(self, table: Table, arguments: Mapping[str, Any], item: Selected, link: _Link | None) -> str:
        alias, rows = self._alias(), self._alias()
        values = []
        for function in item.selections:
            match function.name:
                case "count":
                    value = _count(rows, function.arguments)
                case "min" | "max":
                    pairs = [_extreme(table, rows, function.name, column) for column in function.selections]
                    value = f"json_build_object({', '.join(pairs)})"
                case _:
                    value = _text(f"{table.name}_aggregate_fields")
            values.append(f"{value} AS {_key(function.key)}")
        body = self._body(table, alias, arguments, link, limited=False)
        distinct = self._distinct(table, alias, arguments)
        return (
            f"SELECT row_to_json({_ROW}) FROM (SELECT {', '.join(values)} "
            f"FROM (SELECT {distinct}{alias}.* {body}) AS {rows}) AS {_ROW}"
        )

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _parameter(self, value: Any, type_: str) -> str:
        if type_ == "jsonb":
            value = orjson.dumps(value).decode()
        elif type_ == "jsonb[]":
            value = [orjson.dumps(item).decode() for item in value]
        self._arguments.append(value)
        return f"${len(self._arguments)}::{type_}"


def _column(alias: str, column: Column) -> str:
    if column.function is None:
        return f"{alias}.{_quoted(column.name)}"
    return f"{column.function}({', '.join(f'{alias}.{_quoted(name)}' for name in column.arguments)})"


def _count(rows: str, arguments: Mapping[str, Any]) -> str:
    columns = ", ".join(f"{rows}.{_quoted(name)}" for name in arguments.get("columns") or ())
    if not columns:
        return "count(*)"
    return f"count({'DISTINCT ' if arguments.get('distinct') else ''}({columns}))"


def _extreme(table: Table, rows: str, function: str, item: Selected) -> str:
    if item.name == "__typename":
        return f"{_text(item.key)}, {_text(f'{table.name}_{function}_fields')}"
    return f"{_text(item.key)}, {function}({rows}.{_quoted(item.name)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _key(name: str) -> str:
    if len(name) > _KEY_BYTES:
        raise LimitExceeded(f"The alias {name[:20]}… has {len(name)} characters; an alias may have {_KEY_BYTES}.")
    return _quoted(name)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'::text"
