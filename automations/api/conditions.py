"""Filters as SQL conditions. Null and {} mean "no condition", as existing clients rely on.

Identifiers come from the declared tables and are always quoted; every value is a parameter; every row source is
limited to the tenant, which is always $1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from automations.access.roles import EDITORS, Role
from automations.api.limits import MOST_FILTER_RELATIONS, MOST_VALUES
from automations.api.permissions import require
from automations.api.tables import BY_NAME, FOR_VIEWERS, Column, Relation, Table
from automations.errors import LimitExceeded

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


class Values:
    """The parameters of one statement, its row sources and names for them, and the tables that its reader may see."""

    def __init__(self, tenant_id: UUID, role: Role, sources: Mapping[str, str]) -> None:
        self.arguments: list[Any] = [tenant_id]
        self._role, self._sources = role, sources
        self._names = 0

    def name(self) -> str:
        """A name that nothing else in the statement has."""
        self._names += 1
        return f"t{self._names}"

    def related(self, relation: Relation) -> Table:
        """The table that a relation leads to; Forbidden where it is not for the reader, who must not filter by it."""
        require(relation.table, self._role)
        return BY_NAME[relation.table]

    def rows(self, source: str) -> str:
        """What is read in place of these rows: those of an existing backend's table as if it were ours, and nothing
        that the reader does not see, so that it cannot filter by that.
        """
        if source in self._sources:
            return self._sources[source]
        return source if self._role in EDITORS else FOR_VIEWERS.get(source, source)

    def parameter(self, value: Any, type_: str) -> str:
        """The value's place in the statement."""
        if len(self.arguments) >= MOST_VALUES:
            raise LimitExceeded(f"A root field may have {MOST_VALUES} values in its filters. Put them into _in lists.")
        if type_ == "jsonb":
            value = orjson.dumps(value).decode()
        elif type_ == "jsonb[]":
            value = [orjson.dumps(item).decode() for item in value]
        self.arguments.append(value)
        return f"${len(self.arguments)}::{type_}"


@dataclass(frozen=True)
class Link:
    """How rows hang on their parent's: the relation, and the parent's name in the statement."""

    relation: Relation
    parent: str

    def conditions(self, alias: str, table: Table) -> list[str]:
        """Which rows are the parent's."""
        return [f"{alias}.{quoted(table.tenant_column)} = $1"] + [
            f"{alias}.{quoted(theirs)} = {self.parent}.{quoted(ours)}" for theirs, ours in self.relation.on
        ]


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def source(values: Values, table: Table, link: Link | None) -> str:
    """What rows are read from. Where a relation to one row meets several, it is the first of them."""
    if link is None:
        return values.rows(table.source)
    rows = values.rows(link.relation.source or table.source)
    if link.relation.many or link.relation.order is None:
        return rows
    found = " AND ".join(link.conditions("met", table))
    first = f"ORDER BY met.{quoted(link.relation.order)} LIMIT 1"
    return f"(SELECT * FROM {rows} AS met WHERE {found} {first})"  # noqa: S608 - identifiers of declared tables


def conditions(
    values: Values,
    table: Table,
    alias: str,
    where: Mapping[str, Any] | None,
    link: Link | None = None,
    *,
    deleted: bool = False,
) -> str:
    """Which rows: the tenant's, the parent's or else those that were not deleted, and of these the ones asked for.

    With `deleted`, deleted ones as well.
    """
    return _Conditions(values).of(table, alias, where or {}, link, deleted=deleted)


class _Conditions:
    def __init__(self, values: Values) -> None:
        self._values = values
        self._level = 0

    def of(
        self, table: Table, alias: str, where: Mapping[str, Any], link: Link | None, *, deleted: bool = False
    ) -> str:
        if link is not None:
            parts = link.conditions(alias, table)
        else:
            parts = [f"{alias}.{quoted(table.tenant_column)} = $1"]
            if table.live and not deleted:
                parts.append(f"{alias}.{quoted(table.live)} IS NULL")
        if asked := self._where(table, alias, where):
            parts.append(asked)
        return " AND ".join(parts)

    def _where(self, table: Table, alias: str, where: Mapping[str, Any]) -> str | None:
        """The condition, or None where it does not restrict."""
        parts = [
            part for name, value in where.items() if value is not None for part in self._part(table, alias, name, value)
        ]
        return f"({' AND '.join(parts)})" if parts else None

    def _part(self, table: Table, alias: str, name: str, value: Any) -> Iterator[str]:
        if name == "_and":
            yield from filter(None, (self._where(table, alias, item) for item in value))
        elif name == "_or":
            known = len(self._values.arguments)
            choices = [self._where(table, alias, item) for item in value]
            if not all(choices):
                del self._values.arguments[known:]  # PostgreSQL refuses values that the statement does not use
            else:
                yield f"({' OR '.join(filter(None, choices)) or 'false'})"
        elif name == "_not":
            if inner := self._where(table, alias, value):
                yield f"NOT {inner}"
        elif column := table.column(name):
            yield from self._comparisons(f"{alias}.{quoted(name)}", column, value)
        elif relation := table.relation(name):
            yield self._related(relation, alias, value)

    def _related(self, relation: Relation, parent: str, where: Mapping[str, Any]) -> str:
        self._level += 1
        if self._level > MOST_FILTER_RELATIONS:
            raise LimitExceeded(f"A filter may go through {MOST_FILTER_RELATIONS} relations, one inside the other.")
        table, alias, link = self._values.related(relation), self._values.name(), Link(relation, parent)
        found = self.of(table, alias, where, link)
        self._level -= 1
        return f"EXISTS (SELECT FROM {source(self._values, table, link)} AS {alias} WHERE {found})"

    def _comparisons(self, expression: str, column: Column, operators: Mapping[str, Any]) -> Iterator[str]:
        for operator, operand in operators.items():
            if operand is None:
                continue
            if operator == "_is_null":
                yield f"{expression} IS {'' if operand else 'NOT '}NULL"
            elif operator in _ARRAY:
                yield f"{expression} {_ARRAY[operator]} ({self._values.parameter(operand, f'{column.type}[]')})"
            else:
                operand_type = _OPERAND.get(operator, column.type)
                yield f"{expression} {_INFIX[operator]} {self._values.parameter(operand, operand_type)}"
