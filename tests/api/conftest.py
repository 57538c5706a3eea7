"""Rows to ask for: runs, flows, projects and states of one tenant, and as many of another one."""

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest

from automations.database import Database, DedicatedConnection
from tests.api.queries import VALUES
from tests.api.second_opinion import COLUMNS, World
from tests.harness import Automations

_ROWS = {"project": 4, "flow": 8, "flow_run": 40, "flow_run_state": 60}
_REQUIRED = {
    "project": {"name"},
    "flow": {"name", "version", "archived", "settings"},
    "flow_run": {"version", "auto_scheduled", "scheduled_start_time", "parameters"},
    "flow_run_state": {"state", "timestamp"},
}


@dataclass(frozen=True)
class Seeded:
    """A tenant with rows: as a client sees it, and what the rows are."""

    api: Automations
    world: World
    ids: list[UUID]


@pytest.fixture(scope="session")
async def seeded(shared_server: Automations, shared_url: str) -> Seeded:
    """A tenant whose rows nothing changes, beside another one with rows like them."""
    connection = await Database(shared_url).dedicated()
    tenants = []
    for name in ("seeded", "beside"):
        tenant_id = UUID((await shared_server.write("create_tenant", name=name))["id"])
        await _seed(connection, tenant_id, random.Random(name))
        tenants.append(tenant_id)
    rows = {table: await _read(connection, table, tenants[0]) for table in COLUMNS}
    await connection.close()
    ids = [row["id"] for table in rows.values() for row in table[:4]]
    return Seeded(shared_server.as_tenant(str(tenants[0])), World(rows), ids)


async def _seed(connection: DedicatedConnection, tenant_id: UUID, choice: random.Random) -> None:
    group = await connection.fetchval("INSERT INTO public.flow_group (tenant_id) VALUES ($1) RETURNING id", tenant_id)
    ids: dict[str, list[UUID]] = {}
    async with connection.transaction():
        # Rows as they are given: no trigger is to copy states to runs or to queue them.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table, count in _ROWS.items():
            ids[table] = [await _insert(connection, table, tenant_id, group, ids, choice, n) for n in range(count)]


async def _insert(
    connection: DedicatedConnection,
    table: str,
    tenant_id: UUID,
    group: UUID,
    ids: dict[str, list[UUID]],
    choice: random.Random,
    number: int,
) -> UUID:
    row: dict[str, Any] = {"tenant_id": tenant_id}
    for name, type_ in COLUMNS[table].items():
        if type_ == "uuid" or name == "created":
            continue
        value = choice.choice(VALUES[type_]) if name in _REQUIRED[table] else choice.choice([None, *VALUES[type_]])
        row[name] = orjson.dumps(value).decode() if type_ == "jsonb" and value is not None else value
    if table == "project":
        row["name"] = f"{row['name']} {number}"
    if table == "flow":
        row |= {"project_id": choice.choice(ids["project"]), "flow_group_id": group}
    if table == "flow_run":
        row["flow_id"] = choice.choice(ids["flow"][:-1])
    if table == "flow_run_state":
        row["flow_run_id"] = choice.choice(ids["flow_run"])
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    sql = f"INSERT INTO public.{table} ({', '.join(row)}) VALUES ({places}) RETURNING id"
    made: UUID = await connection.fetchval(sql, *row.values())
    return made


async def _read(connection: DedicatedConnection, table: str, tenant_id: UUID) -> list[dict[str, Any]]:
    rows = await connection.fetch(f"SELECT * FROM public.{table} WHERE tenant_id = $1", tenant_id)
    documents = [name for name, type_ in COLUMNS[table].items() if type_ == "jsonb"]
    return [
        {**row, **{name: None if row[name] is None else orjson.loads(row[name]) for name in documents}} for row in rows
    ]
