"""Where rows of an existing backend's tables are read from, so that all reads are as over our own.

Its tables may lack columns that we declare, leave out tenants, and have nulls where the API promises a value.
"""

from collections.abc import Mapping
from typing import Final

from automations.api.conditions import quoted
from automations.api.tables import TABLES, Column, Table
from automations.attachment import Backend

_TENANT: Final[Mapping[str, str]] = {
    "project": "automations.tenant_of_project(theirs.id)",
    "flow_group": "automations.tenant_of_flow_group(theirs.id)",
    "flow": "automations.tenant_of_flow(theirs.id)",
    "task": "automations.tenant_of_flow(theirs.flow_id)",
    "edge": "automations.tenant_of_flow(theirs.flow_id)",
    "flow_run": "automations.tenant_of_flow(theirs.flow_id)",
    "flow_run_state": "automations.tenant_of_flow_run(theirs.flow_run_id)",
    "task_run": "automations.tenant_of_flow_run(theirs.flow_run_id)",
    "task_run_state": "automations.tenant_of_task_run(theirs.task_run_id)",
    "log": "automations.tenant_of_flow_run(theirs.flow_run_id)",
}
"""The tenant of a row that has none itself."""

_INSTEAD: Final[Mapping[tuple[str, str], str]] = {
    ("flow", "version"): "1",
    ("flow", "project_id"): "'00000000-0000-0000-0000-000000000000'::uuid",
    ("flow_run", "times_resurrected"): "0",
    ("task", "slug"): "''::text",
    ("task", "max_retries"): "0",
    ("log", "created"): "theirs.timestamp",
    ("log", "updated"): "theirs.timestamp",
}
"""What stands for a null, or for a column that is not there, in a field that is never null."""


def row_sources(backend: Backend) -> dict[str, str]:
    """For each watched table what is read in its place; nothing where the tables are ours."""
    if not backend.is_attached:
        return {}
    watched = (table for table in TABLES if table.source.startswith("public."))
    return {table.source: _source(table, backend.columns.get(table.name, frozenset())) for table in watched}


def _source(table: Table, there: frozenset[str]) -> str:
    names = {column.name: column for column in table.columns if column.function is None}
    arguments = {name for column in table.columns if column.function for name in column.arguments}
    columns = [f"{_expression(table, column, there)} AS {quoted(name)}" for name, column in names.items()]
    columns += [f"theirs.{quoted(name)}" for name in sorted(arguments - set(names))]
    return f"(SELECT {', '.join(columns)} FROM {table.source} AS theirs)"  # noqa: S608 - declared tables


def _expression(table: Table, column: Column, there: frozenset[str]) -> str:
    instead = _INSTEAD.get((table.name, column.name))
    if column.name == "tenant_id":
        instead = _TENANT.get(table.name)
    if column.name not in there:
        return instead or f"NULL::{column.type}"
    own = f"theirs.{quoted(column.name)}"
    return f"coalesce({own}, {instead})" if instead else own
