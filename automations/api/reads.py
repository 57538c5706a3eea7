"""Root fields of reads: the selection becomes one statement, and its JSON goes into the answer as it is."""

from collections.abc import Callable
from typing import Annotated, Any, Optional
from uuid import UUID

import orjson
import strawberry

from automations.api.context import RequestContext
from automations.api.limits import LONGEST_READ_SECONDS
from automations.api.permissions import allow
from automations.api.scalars import Uuid_
from automations.api.select import Statement, compile_aggregate, compile_by_pk, compile_list
from automations.api.selection import Document, Selected, read_field
from automations.api.tables import EVERY_TENANT, TABLES, Table
from automations.api.types import aggregate_type, list_arguments, row_type, with_arguments

Compile = Callable[..., Statement]


def read_fields() -> dict[str, Any]:
    """Name → strawberry field of every read: `X`, `X_by_pk` and `X_aggregate` of each table."""
    fields = {}
    for table in TABLES:
        for name in (table.name, f"{table.name}_aggregate"):
            allow(name, table.readers)
            allow(f"Query.{name}", table.readers)
        allow(f"Query.{table.name}_by_pk", table.readers)
        fields[table.name] = strawberry.field(
            resolver=with_arguments(_reader(table, compile_list), list[row_type(table)], list_arguments(table)),  # type: ignore[misc]
            description=f"Rows of {table.name}. {table.description}",
        )
        fields[f"{table.name}_by_pk"] = strawberry.field(
            resolver=with_arguments(
                _reader(table, compile_by_pk),
                Optional[row_type(table)],
                {table.key: Annotated[Uuid_, strawberry.argument(description=f"Id of the {table.name}.")]},
                required=True,
            ),
            description=f"One row of {table.name}, or null.",
        )
        fields[f"{table.name}_aggregate"] = strawberry.field(
            resolver=with_arguments(_reader(table, compile_aggregate), aggregate_type(table), list_arguments(table)),
            description=f"Counts and extremes over {table.name}.",
        )
    return fields


async def read_one(info: strawberry.Info, table: Table, id_: UUID) -> Any:
    """The row with this id for a field of a mutation's payload, or None."""
    asked = _selected(info)
    field = Selected(asked.key, asked.name, {table.key: id_}, asked.selections)
    return await _run(info, table, field, compile_by_pk)


def _reader(table: Table, compile_: Compile) -> Callable[[strawberry.Info], Any]:
    async def read(info: strawberry.Info) -> Any:
        return await _run(info, table, _selected(info), compile_)

    return read


def _selected(info: strawberry.Info) -> Selected:
    raw = info._raw_info  # noqa: SLF001 - strawberry has no public way to the nodes
    document = Document(raw.fragments, info.context.variables)
    return read_field(document, raw.field_nodes, raw.parent_type.fields[raw.field_name])


async def _run(info: strawberry.Info, table: Table, field: Selected, compile_: Compile) -> Any:
    context: RequestContext = info.context
    if table.name == EVERY_TENANT.name and context.caller.key_id is not None and context.caller.all_tenants:
        table = EVERY_TENANT
    services = context.services
    statement = compile_(
        table,
        field,
        context.tenant_id,
        most_rows=services.max_rows,
        role=context.caller.role,
        sources=services.sources,
    )
    async with context.database.reading() as connection:
        text = await connection.fetchval(statement.sql, *statement.arguments, timeout=LONGEST_READ_SECONDS)
    return None if text is None else orjson.Fragment(text)
