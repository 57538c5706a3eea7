"""Agents: who asks for work, and what is waiting for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, load_queries
from automations.errors import NotFound

queries = load_queries("orchestration")


async def register_agent(
    connection: Connection,
    tenant_id: UUID,
    *,
    name: str | None,
    type_: str | None,
    core_version: str | None,
    labels: Sequence[str],
    agent_config_id: UUID | None,
) -> UUID:
    """The agent's id; the same name, type, core version and labels give the same agent."""
    if agent_config_id is not None and not await queries.agent_config_exists(
        connection, tenant_id=tenant_id, agent_config_id=agent_config_id
    ):
        raise NotFound(f"There is no agent config {agent_config_id}.")
    agent_id = await queries.register_agent(
        connection,
        tenant_id=tenant_id,
        agent_config_id=agent_config_id,
        name=name,
        type=type_,
        core_version=core_version,
        labels=_labels(labels),
    )
    return UUID(str(agent_id))


async def get_runs_in_queue(
    connection: Connection,
    tenant_id: UUID,
    *,
    before: datetime,
    labels: Sequence[str],
    agent_id: UUID | None,
    now: datetime,
) -> list[UUID]:
    """Ids of the runs that an agent with these labels may take, oldest first, 25 at most.

    Asking is an agent's only sign of life: it sets `last_queried`.
    """
    if agent_id is not None:
        await queries.touch_agent(connection, tenant_id=tenant_id, agent_id=agent_id, now=now)
    return list(await queries.runs_in_queue(connection, tenant_id=tenant_id, before=before, labels=_labels(labels)))


async def delete_agent(connection: Connection, tenant_id: UUID, agent_id: UUID) -> None:
    """Forget an agent."""
    if not await queries.delete_agent(connection, tenant_id=tenant_id, agent_id=agent_id):
        raise NotFound(f"There is no agent {agent_id}.")


async def create_agent_config(
    connection: Connection, tenant_id: UUID, *, name: str | None, settings: Mapping[str, Any]
) -> UUID:
    """Make a group of agents and return its id."""
    config_id = await queries.create_agent_config(
        connection, tenant_id=tenant_id, name=name, settings=orjson.dumps(settings).decode()
    )
    return UUID(str(config_id))


async def update_agent_config(
    connection: Connection, tenant_id: UUID, agent_config_id: UUID, changes: Mapping[str, Any]
) -> None:
    """Change a group's `name` (None empties it) and `settings`; what is absent stays."""
    if not await queries.update_agent_config(
        connection,
        tenant_id=tenant_id,
        agent_config_id=agent_config_id,
        has_name="name" in changes,
        name=changes.get("name"),
        settings=orjson.dumps(changes["settings"]).decode() if "settings" in changes else None,
    ):
        raise NotFound(f"There is no agent config {agent_config_id}.")


async def delete_agent_config(connection: Connection, tenant_id: UUID, agent_config_id: UUID) -> None:
    """Delete a group; its agents stay, in no group."""
    if not await queries.delete_agent_config(connection, tenant_id=tenant_id, agent_config_id=agent_config_id):
        raise NotFound(f"There is no agent config {agent_config_id}.")


def _labels(labels: Sequence[str]) -> str:
    return orjson.dumps(sorted(set(labels))).decode()
