"""Agents and agent configs."""

from collections.abc import Mapping, Sequence
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
        labels=canonical_labels(labels),
    )
    return UUID(str(agent_id))


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


def canonical_labels(labels: Sequence[str]) -> str:
    """Labels as they are stored and compared: a JSON list, sorted, each once."""
    return orjson.dumps(sorted(set(labels))).decode()
