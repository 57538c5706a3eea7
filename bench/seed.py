"""Rows to begin with, written in bulk: ids are md5 of a noun and a number, so that they are known without asking."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import orjson

from automations.actions.webhook import Webhook
from automations.database import DedicatedConnection

PROJECT = "project"

# Triggers and keys are left out while seeding: what is seeded has happened long ago.
_BULK = "SET session_replication_role = replica; SET synchronous_commit = off"
_END = "SET session_replication_role = origin; SET synchronous_commit = on"


def id_of(noun: str, number: int) -> UUID:
    """The id of a seeded row, numbers from 1."""
    return UUID(hashlib.md5(f"{noun}{number}".encode(), usedforsecurity=False).hexdigest())


@asynccontextmanager
async def without_indexes(connection: DedicatedConnection, *tables: str) -> AsyncIterator[None]:
    """Meanwhile, these tables have no indexes but their keys: millions of rows come in faster without."""
    indexes = await connection.fetch(
        "SELECT format('%I.%I', nspname, relname) AS name, pg_get_indexdef(pg_class.oid) AS definition "
        "FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE indrelid = ANY($1::text[]::regclass[]) "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        tables,
    )
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    for index in indexes:
        await connection.execute(index["definition"])


def tenant_of(flow: int, tenants: int) -> UUID:
    """The tenant to which `share_out` gives the flow of this number."""
    return id_of("tenant", 1 + flow % tenants)


async def share_out(connection: DedicatedConnection, tenants: int) -> None:
    """Give what is there to so many tenants: flow, runs and automation of the same number to the same one."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.tenant (id, name, slug) "
        "SELECT md5('tenant' || n)::uuid, 'tenant ' || n, 'tenant-' || n FROM generate_series(1, $1::int) AS n",
        tenants,
    )
    for noun, column, table in (
        ("flow", "id", "public.flow"),
        ("flow_group", "id", "public.flow_group"),
        ("flow", "flow_id", "public.flow_run"),
        ("automation", "id", "automations.automation"),
        ("action", "id", "automations.action"),
        ("automation", "automation_id", "automations.automation_action"),
        ("automation", "automation_id", "automations.automation_match"),
    ):
        await connection.execute(
            f"UPDATE {table} SET tenant_id = md5('tenant' || 1 + n % $1::int)::uuid "
            f"FROM generate_series(1, (SELECT count(*)::int FROM public.flow)) AS n "
            f"WHERE {column} = md5('{noun}' || n)::uuid",
            tenants,
        )
    await connection.execute(_END)


async def flows(connection: DedicatedConnection, tenant_id: UUID, count: int, *, projects: int = 1) -> None:
    """Flows, each in a flow group of its own, so many after one another in each project."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.project (id, tenant_id, name) "
        "SELECT md5($2 || n)::uuid, $1, 'project ' || n FROM generate_series(1, $3::int) AS n",
        tenant_id,
        PROJECT,
        projects,
    )
    await connection.execute(
        "INSERT INTO public.flow_group (id, tenant_id, name) "
        "SELECT md5('flow_group' || n)::uuid, $1, 'group ' || n FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )
    await connection.execute(
        "INSERT INTO public.flow (id, tenant_id, project_id, flow_group_id, version_group_id, name) "
        "SELECT md5('flow' || n)::uuid, $1, md5($3 || 1 + (n - 1) * $4::int / $2)::uuid, md5('flow_group' || n)::uuid, "
        "'group ' || n, 'flow ' || n FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        PROJECT,
        projects,
    )
    await connection.execute(_END)


async def runs(connection: DedicatedConnection, tenant_id: UUID, count: int, *, flows: int) -> None:
    """Running runs, over the flows in turn."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.flow_run "
        "(id, tenant_id, flow_id, name, version, state, state_message, state_timestamp, start_time) "
        "SELECT md5('flow_run' || n)::uuid, $1, md5('flow' || 1 + n % $3::int)::uuid, 'run ' || n, 1, 'Running', "
        "'Running flow.', now(), now() FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        flows,
    )
    await connection.execute(_END)


async def history(connection: DedicatedConnection, tenant_id: UUID, count: int, *, flows: int, per_day: int) -> None:
    """Runs that were due one after another, so many a day up to now, and ended as runs do.

    Every other one is of flow 1 to 10; the rest are of each flow in its time, as versions of flows follow one another,
    so that most flows ran long ago. The last thousand are Scheduled, from now on, the thousand before Running.
    """
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.flow_run "
        "(id, tenant_id, flow_id, name, version, scheduled_start_time, created, updated, start_time, end_time, "
        "heartbeat, state, state_message, state_timestamp, state_start_time, serialized_state) "
        "SELECT md5('flow_run' || n)::uuid, $1, md5('flow' || number)::uuid, 'run ' || n, 3, due, due, due, "
        "CASE WHEN began THEN due END, CASE WHEN ended THEN due + interval '1 minute' END, due, state, "
        "'Flow run is ' || state, due, CASE WHEN NOT began THEN due END, jsonb_build_object('type', state) "
        "FROM generate_series(1, $2::int) AS n, "
        "LATERAL (SELECT abs(hashint4(n)::bigint), now() + (n - $2 + 1000) * interval '1 day' / $4::int, "
        "n <= $2 - 1000, n <= $2 - 2000) AS moment (chance, due, began, ended), "
        "LATERAL (SELECT CASE WHEN chance % 2 = 0 THEN 1 + chance / 2 % 10 ELSE 1 + n::bigint * $3 / ($2 + 1) END, "
        "CASE WHEN NOT began THEN 'Scheduled' WHEN NOT ended THEN 'Running' WHEN chance % 100 < 5 THEN 'Failed' "
        "WHEN chance % 1000 = 50 THEN 'Cancelled' ELSE 'Success' END) AS present (number, state)",
        tenant_id,
        count,
        flows,
        per_day,
    )
    await connection.execute(_END)


async def automations(connection: DedicatedConnection, tenant_id: UUID, count: int, urls: Sequence[str]) -> None:
    """Automations, each for failed runs of one flow group, each with a webhook to one of the URLs in turn."""
    actions = [Webhook(url=url) for url in urls]
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO automations.action (tenant_id, id, action_type, action_config, inline, destination) "
        "SELECT $1, md5('action' || n)::uuid, 'WebhookAction', ($3::jsonb[])[1 + n % cardinality($3)], true, "
        "($4::text[])[1 + n % cardinality($4)] FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        [orjson.dumps({"url": action.url}).decode() for action in actions],
        [action.destination for action in actions],
    )
    await connection.execute(
        "INSERT INTO automations.automation (tenant_id, id, name, event_type, event, event_tags) "
        "SELECT $1, md5('automation' || n)::uuid, 'automation ' || n, 'FlowRunStateChangedEvent', event, '{}' "
        "FROM generate_series(1, $2::int) AS n, LATERAL (SELECT jsonb_build_object('states', '[\"Failed\"]'::jsonb, "
        "'flow_group_ids', jsonb_build_array(md5('flow_group' || n)::uuid))) AS trigger (event)",
        tenant_id,
        count,
    )
    await connection.execute(
        "INSERT INTO automations.automation_action (tenant_id, automation_id, position, action_id) "
        "SELECT $1, md5('automation' || n)::uuid, 0, md5('action' || n)::uuid FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )
    await connection.execute(
        "INSERT INTO automations.automation_match (tenant_id, state, flow_group_id, project_id, automation_id) "
        "SELECT $1, 'failed', md5('flow_group' || n)::uuid, $3, md5('automation' || n)::uuid "
        "FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        UUID(int=0),
    )
    await connection.execute(_END)


async def ledger(connection: DedicatedConnection, tenant_id: UUID, count: int, *, automations: int) -> None:
    """Firings of these automations in turn, with a delivery and an attempt each, all done."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO automations.firing (tenant_id, id, automation_id, event_type, event_id, event, flow_run_id) "
        "SELECT $1, md5('firing' || n)::uuid, md5('automation' || 1 + n % $3::int)::uuid, 'FlowRunStateChangedEvent', "
        "md5('flow_run_state' || n)::uuid, '{}', md5('flow_run' || n)::uuid FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        automations,
    )
    await connection.execute(
        "INSERT INTO automations.delivery (tenant_id, id, firing_id, automation_id, action_id, action_type, "
        "destination, status, attempt_count, started_at, finished_at) "
        "SELECT $1, md5('delivery' || n)::uuid, md5('firing' || n)::uuid, md5('automation' || 1 + n % $3::int)::uuid, "
        "md5('action' || 1 + n % $3::int)::uuid, 'WebhookAction', 'webhook:http://127.0.0.1:' || n % 100, "
        "'DELIVERED', 1, now(), now() FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        automations,
    )
    await connection.execute(
        "INSERT INTO automations.attempt (tenant_id, delivery_id, number, started_at, finished_at, outcome) "
        "SELECT $1, md5('delivery' || n)::uuid, 1, now(), now(), 'DELIVERED' FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )
    await connection.execute(_END)


async def timers(connection: DedicatedConnection, tenant_id: UUID, count: int) -> None:
    """Timers of an SLA, none of which is due within a day."""
    await connection.execute(
        "INSERT INTO automations.sla_timer (tenant_id, flow_sla_config_id, flow_run_id, version, anchored_at, due_at) "
        "SELECT $1, md5('sla')::uuid, md5('flow_run' || n)::uuid, 1, now(), "
        "now() + interval '1 day' + n * interval '1 ms' FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )


async def states(connection: DedicatedConnection, tenant_id: UUID, count: int) -> None:
    """A state for each run, as history: it is on no queue."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.flow_run_state (id, tenant_id, flow_run_id, version, state, message) "
        "SELECT md5('flow_run_state' || n)::uuid, $1, md5('flow_run' || n)::uuid, 2, 'Failed', 'Some tasks failed.' "
        "FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )
    await connection.execute(_END)


async def entered_states(connection: DedicatedConnection, tenant_id: UUID, count: int, *, each: int) -> None:
    """So many Running states for each run, as history: they are on no queue."""
    await connection.execute(_BULK)
    await connection.execute(
        "INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, message) "
        "SELECT $1, md5('flow_run' || n)::uuid, version, 'Running', 'Running flow.' "
        "FROM generate_series(1, $2::int) AS n, generate_series(1, $3::int) AS version",
        tenant_id,
        count,
        each,
    )
    await connection.execute(_END)


async def agents(connection: DedicatedConnection, tenant_id: UUID, count: int) -> None:
    """Registered agents that were never heard of."""
    await connection.execute(
        "INSERT INTO public.agent (id, tenant_id, name) "
        "SELECT md5('agent' || n)::uuid, $1, 'agent ' || n FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
    )


async def changes(connection: DedicatedConnection, tenant_id: UUID, count: int, *, failed_percent: int) -> None:
    """A state change on the queue for each run; so many in a hundred are failures, the rest match nothing."""
    await connection.execute(
        "INSERT INTO automations.state_change (tenant_id, flow_run_id, flow_run_state_id, state) "
        "SELECT $1, md5('flow_run' || n)::uuid, md5('flow_run_state' || n)::uuid, "
        "CASE WHEN n % 100 < $3::int THEN 'failed' ELSE 'running' END FROM generate_series(1, $2::int) AS n",
        tenant_id,
        count,
        failed_percent,
    )


async def fail_runs(connection: DedicatedConnection, tenant_id: UUID, numbers: range) -> None:
    """Let these runs fail in one statement, as a backend would: triggers and all."""
    await connection.execute(
        "INSERT INTO public.flow_run_state (tenant_id, flow_run_id, version, state, message) "
        "SELECT $1, md5('flow_run' || n)::uuid, 2, 'Failed', 'Some tasks failed.' "
        "FROM generate_series($2::int, $3::int) AS n",
        tenant_id,
        numbers.start,
        numbers.stop - 1,
    )
