"""Rows for every table of a database, made up from what it says of its columns, keys and checks.

So a table that a new migration adds gets rows without anybody writing them. Row n of a table belongs to row n of each
table that it refers to, and all belong to the first tenant. What no catalogue tells is given by the caller.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import asyncpg

from automations.database import DedicatedConnection, Record

ROWS = 3
"""Of each table: with little in it, with much, and one more."""
TRIES = 500
"""Of which columns to leave empty, until the checks agree."""

Given = Mapping[str, str]
"""SQL expressions by `column`, or by `table.column`, which comes first."""

_TABLES = """
SELECT pg_class.oid, relname AS name, format('%I.%I', nspname, relname) AS source
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname IN ('public', 'automations') AND relname <> 'migration'
ORDER BY pg_class.oid
"""
_COLUMNS = """
SELECT attname AS name, format_type(atttypid, NULL) AS type, atthasdef AS has_default,
    attnotnull OR attname = 'tenant_id' AS is_needed,
    (
        SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
        WHERE conrelid = attrelid AND contype = 'c' AND conkey = ARRAY[attnum]
    ) AS listed,
    (
        SELECT target.relname FROM pg_constraint JOIN pg_class AS target ON target.oid = confrelid
        WHERE conrelid = attrelid AND contype = 'f' AND attnum = ANY(conkey) AND attname <> 'tenant_id'
        LIMIT 1
    ) AS target
FROM pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attidentity = ''
ORDER BY attnum
"""
_BY_TYPE = {
    "boolean": "true",
    "bytea": "sha256('{name} {number}')",
    "double precision": "{number}",
    "integer": "1 + {number}",
    "interval": "interval '1 minute'",
    "jsonb": "jsonb_build_object()",
    "pg_snapshot": "pg_current_snapshot()",
    "text": "'{name} {number}'",
    "text[]": "ARRAY['{name} {number}']",
    "timestamp with time zone": "now()",
    "uuid": "gen_random_uuid()",
}


@dataclass
class MadeUpRows:
    """What `fill` adds to a database. `ids` are those of each table's rows, by their numbers."""

    connection: DedicatedConnection
    given: Given
    ids: dict[str, list[str]] = field(default_factory=dict)

    async def fill(self) -> None:
        """Add rows to each table; AssertionError where there is one that takes none."""
        for table in await self.connection.fetch(_TABLES):
            columns = await self.connection.fetch(_COLUMNS, table["oid"])
            ids = [await self._add(table, columns, number) for number in range(ROWS)]
            self.ids[table["name"]] = [id_ for id_ in ids if id_ is not None]
            assert await self.connection.fetchval(f"SELECT count(*) FROM {table['source']}"), table["source"]

    async def _add(self, table: Record, columns: Sequence[Record], number: int) -> str | None:
        """A row: its id. First with as little or as much as there may be in it, then with what chance says."""
        values = {column["name"]: self._value(table, column, number) for column in columns}
        optional = [column["name"] for column in columns if not self._is_needed(table, column)]
        random = Random(number)
        for attempt in range(TRIES):
            left_out = {name for name in optional if (random.random() < 0.5 if attempt else number % 2 == 0)}
            given = {name: value for name, value in values.items() if value is not None and name not in left_out}
            try:
                async with self.connection.transaction():
                    id_: str | None = await self.connection.fetchval(
                        f"INSERT INTO {table['source']} AS made ({', '.join(given)}) "
                        f"VALUES ({', '.join(given.values())}) RETURNING to_jsonb(made) ->> 'id'"
                    )
                    return id_
            except asyncpg.CheckViolationError:
                continue
            except asyncpg.UniqueViolationError:  # a table of one row
                return None
        raise AssertionError(f"{table['source']} takes none of the rows that were made up for it")

    def _value(self, table: Record, column: Record, number: int) -> str | None:
        """An SQL expression; None for what the table's default says."""
        given = self._given(table, column)
        if given is not None or column["has_default"]:
            return given
        return self._reference(column, number) or _plain(column, number)

    def _is_needed(self, table: Record, column: Record) -> bool:
        return bool(column["is_needed"]) or self._given(table, column) is not None

    def _given(self, table: Record, column: Record) -> str | None:
        name = column["name"]
        return self.given.get(f"{table['name']}.{name}", self.given.get(name))

    def _reference(self, column: Record, number: int) -> str | None:
        """The row that a foreign key, or the column's name, speaks of."""
        ids = self.ids.get(column["target"] or column["name"].removesuffix("_id"), [])
        if not ids or column["type"] != "uuid":
            return None
        return f"'{ids[0 if column['name'] == 'tenant_id' else number % len(ids)]}'"


def _plain(column: Record, number: int) -> str:
    """One of those that a check lists, or whatever the type allows."""
    listed = re.findall(r"'([^']*)'::text", column["listed"] or "")
    if listed:
        return f"'{listed[number % len(listed)]}'"
    return _BY_TYPE[column["type"]].format(name=column["name"], number=number)


async def rows(connection: DedicatedConnection) -> dict[str, set[str]]:
    """What tells the rows of each table apart: their primary keys, or all there is to them."""
    found = {}
    for table in await connection.fetch(_TABLES):
        key = await connection.fetchval(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_index JOIN pg_attribute "
            "ON attrelid = indrelid AND attnum = ANY(indkey) WHERE indrelid = $1 AND indisprimary",
            table["oid"],
        )
        keys = await connection.fetch(f"SELECT ROW({key or 'kept.*'})::text AS key FROM {table['source']} AS kept")
        found[table["source"]] = {row["key"] for row in keys}
    return found
