"""A flow's graph: its tasks and which follows which, registered in batches as clients send them."""

from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, load_queries
from automations.errors import InvalidInput, NotFound

queries = load_queries("task")


async def register_tasks(connection: Connection, tenant_id: UUID, flow_id: UUID, tasks: list[Any]) -> None:
    """Add tasks as Prefect serializes them; those that are there already stay. Needs a transaction."""
    if not all(isinstance(task, dict) and isinstance(task.get("slug"), str) for task in tasks):
        raise InvalidInput('A task must be an object with a "slug", as a flow\'s serialize() gives it.')
    await _lock(connection, tenant_id, flow_id)
    await queries.register_tasks(connection, tenant_id=tenant_id, flow_id=flow_id, tasks=_json(tasks))
    await queries.place_tasks(connection, flow_id=flow_id)


async def register_edges(connection: Connection, tenant_id: UUID, flow_id: UUID, edges: list[Any]) -> None:
    """Add edges as Prefect serializes them; those that are there already stay. Needs a transaction."""
    if not all(
        isinstance(edge, dict) and _slug(edge, "upstream_task") and _slug(edge, "downstream_task") for edge in edges
    ):
        raise InvalidInput('An edge must be an object with the slugs of its "upstream_task" and "downstream_task".')
    await _lock(connection, tenant_id, flow_id)
    unknown = [
        str(row["slug"])
        async for row in queries.register_edges(connection, tenant_id=tenant_id, flow_id=flow_id, edges=_json(edges))
    ]
    if unknown:
        raise NotFound(f"There are no tasks {', '.join(unknown)} in the flow {flow_id}: register tasks before edges.")
    await queries.place_tasks(connection, flow_id=flow_id)


async def _lock(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    if not await queries.lock_flow(connection, tenant_id=tenant_id, flow_id=flow_id):
        raise NotFound(f"There is no flow {flow_id}.")


def _slug(edge: dict[str, Any], end: str) -> bool:
    task = edge.get(end)
    return isinstance(task, dict) and isinstance(task.get("slug"), str)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
