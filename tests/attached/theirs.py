"""An existing backend: its tables, the rows that it writes there, and what of its database can be compared."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from automations.database import DedicatedConnection

_DOCS = (Path(__file__).parents[2] / "docs" / "attaching.md").read_text()
GRANTS, TRIGGERS = re.findall(r"```sql\n(.*?)```", _DOCS, re.DOTALL)
"""Statements of the documentation: what an account needs, and what puts our triggers back."""
TABLES = (Path(__file__).parent / "prefect_server.sql").read_text()

# All that can be said of a database's objects outside our schema: columns, storage, constraints, indexes, triggers,
# functions, and who may do what.
_OBJECTS = """
SELECT 'column' AS kind, concat_ws(' ', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod),
    attnotnull, pg_get_expr(adbin, adrelid), attstattarget, attstorage, attacl) AS text
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'relation', concat_ws(' ', oid::regclass, relkind, relpersistence, reloptions, relacl, relrowsecurity,
    relreplident, pg_get_userbyid(relowner), obj_description(oid, 'pg_class'))
FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger', concat_ws(' ', pg_get_triggerdef(pg_trigger.oid), tgenabled)
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function', pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
UNION ALL
SELECT 'schema', concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
UNION ALL
SELECT 'extension', extname FROM pg_extension
"""


async def objects(connection: DedicatedConnection) -> set[tuple[str, str]]:
    """Every object outside our schema, as (kind, definition)."""
    return {(row["kind"], row["text"]) for row in await connection.fetch(_OBJECTS)}


async def contents(connection: DedicatedConnection) -> dict[str, list[str]]:
    """Every row of every table of theirs, with its place on disk: an update would move it."""
    names = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    return {
        row["name"]: [
            f"{found['place']} {found['row']}"
            for found in await connection.fetch(f"SELECT ctid::text AS place, t::text AS row FROM {row['name']} AS t")
        ]
        for row in names
    }


@dataclass(frozen=True)
class Flow:
    """A flow's ids."""

    id: UUID
    flow_group_id: UUID
    project_id: UUID


@dataclass(frozen=True)
class Theirs:
    """The backend at work on its database. `names_tenants`: whether it writes the tenant into its rows."""

    connection: DedicatedConnection
    tenant_id: UUID
    names_tenants: bool = True

    @property
    def _written_tenant(self) -> UUID | None:
        return self.tenant_id if self.names_tenants else None

    async def flow(self, name: str = "etl", *, schedule: bool = False) -> Flow:
        """A new flow of one task, in a project of its own. The project always has a tenant."""
        row = await self.connection.fetchrow(
            """
            WITH project AS (INSERT INTO project (tenant_id, name) VALUES ($1, gen_random_uuid()) RETURNING id),
            flow_group AS (INSERT INTO flow_group (tenant_id, name) VALUES ($2, gen_random_uuid()) RETURNING id)
            INSERT INTO flow (tenant_id, name, version, project_id, flow_group_id, is_schedule_active)
            SELECT $2, $3, CASE WHEN $2::uuid IS NOT NULL THEN 1 END, project.id, flow_group.id, $4
            FROM project, flow_group
            RETURNING id, flow_group_id, project_id
            """,
            self.tenant_id,
            self._written_tenant,
            name,
            schedule,
        )
        assert row is not None
        await self.connection.execute(
            "INSERT INTO task (tenant_id, flow_id) VALUES ($1, $2)", self._written_tenant, row[0]
        )
        return Flow(row["id"], row["flow_group_id"], row["project_id"])

    async def run(self, flow_id: UUID, name: str = "nightly", *, key: str | None = None) -> UUID:
        """A new run, Pending and then Scheduled."""
        run: UUID = await self.connection.fetchval(
            "INSERT INTO flow_run (tenant_id, flow_id, name, idempotency_key, times_resurrected)"
            " VALUES ($1, $2, $3, $4, NULL) RETURNING id",
            self._written_tenant,
            flow_id,
            name,
            key,
        )
        await self.enter(run, "Pending", version=0)
        await self.enter(run, "Scheduled", starts=True)
        return run

    async def enter(
        self,
        flow_run_id: UUID,
        state: str,
        message: str | None = None,
        *,
        version: int | None = None,
        starts: bool = False,
    ) -> None:
        """Let a run enter a state."""
        await self.connection.execute(
            """
            INSERT INTO flow_run_state (tenant_id, flow_run_id, state, message, version, start_time, serialized_state)
            SELECT $1, id, $3::text, $4, coalesce($5, version + 1), CASE WHEN $6 THEN now() END,
                jsonb_build_object('type', $3::text)
            FROM flow_run WHERE id = $2
            """,
            self._written_tenant,
            flow_run_id,
            state,
            message,
            version,
            starts,
        )

    async def state(self, flow_run_id: UUID) -> str:
        """The state a run is in."""
        return str(await self.connection.fetchval("SELECT state FROM flow_run WHERE id = $1", flow_run_id))

    async def agent(self, *, seconds_silent: float = 0) -> UUID:
        """Id of a new agent config with one agent, which asked for work so many seconds ago."""
        config: UUID = await self.connection.fetchval(
            "INSERT INTO agent_config (tenant_id, name) VALUES ($1, 'group') RETURNING id", self.tenant_id
        )
        await self.connection.execute(
            "INSERT INTO agent (tenant_id, agent_config_id, created, last_queried)"
            " VALUES ($1, $2, now() - $3 * interval '1 second', now() - $3 * interval '1 second')",
            self.tenant_id,
            config,
            seconds_silent,
        )
        return config

    async def log(self, flow_run_id: UUID, message: str) -> None:
        """Let a run log a line."""
        await self.connection.execute(
            "INSERT INTO log (tenant_id, flow_run_id, message, info) VALUES ($1, $2, $3, $4)",
            self._written_tenant,
            flow_run_id,
            message,
            orjson.dumps({}).decode(),
        )

    async def value(self, sql: str, *arguments: Any) -> Any:
        return await self.connection.fetchval(sql, *arguments)
