"""Flows: registered versions of one version group (its flow group)."""

import zlib
from base64 import b64decode
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson

from automations.database import Connection, load_queries
from automations.errors import InvalidInput, LimitExceeded, NotFound
from automations.orchestration import graphs, scheduled_runs

queries = load_queries("orchestration")

FLOW_BYTES = 100_000_000  # of a flow that came compressed, when it is not any more
_GZIP = 16 + zlib.MAX_WBITS


async def create_flow(
    connection: Connection,
    tenant_id: UUID,
    *,
    project_id: UUID,
    serialized_flow: Any,
    version_group_id: str | None,
    set_schedule_active: bool,
    description: str | None,
    idempotency_key: str | None,
) -> UUID:
    """Register a flow, with the tasks and edges that it has inside, and return the id of the new version.

    Needs a transaction. Without a version group it is that of the project's newest flow of this name, or a new one.
    The same idempotency key as the group's newest version has gives that version again.
    """
    if not isinstance(serialized_flow, dict) or not _text(serialized_flow.get("name")):
        raise InvalidInput('serialized_flow must be an object with a "name", as a flow\'s serialize() gives it.')
    if not await queries.project_exists(connection, tenant_id=tenant_id, project_id=project_id):
        raise NotFound(f"There is no project {project_id}.")
    group = version_group_id or await _version_group(connection, tenant_id, project_id, serialized_flow["name"])
    await queries.lock_version_group(connection, tenant_id=str(tenant_id), version_group_id=group)
    if idempotency_key is not None:
        existing = await queries.flow_of_idempotency_key(
            connection, tenant_id=tenant_id, version_group_id=group, idempotency_key=idempotency_key
        )
        if existing is not None:
            return UUID(str(existing["id"]))
    flow_id = await queries.create_flow(
        connection,
        tenant_id=tenant_id,
        project_id=project_id,
        version_group_id=group,
        name=serialized_flow["name"],
        description=description,
        core_version=_text(serialized_flow.get("__version__")),
        idempotency_key=idempotency_key,
        serialized_flow=_json(serialized_flow),
        environment=_json(serialized_flow.get("environment")),
        storage=_json(serialized_flow.get("storage")),
        run_config=_json(serialized_flow.get("run_config")),
        parameters=_json(serialized_flow.get("parameters") or []),
        schedule=_json(serialized_flow.get("schedule")),
    )
    await scheduled_runs.delete_runs_ahead(connection, tenant_id, flow_id)
    if tasks := _list(serialized_flow, "tasks"):
        await graphs.register_tasks(connection, tenant_id, flow_id, tasks)
    if edges := _list(serialized_flow, "edges"):
        await graphs.register_edges(connection, tenant_id, flow_id, edges)
    if set_schedule_active and serialized_flow.get("schedule") is not None:
        await _try_schedule(connection, tenant_id, flow_id)
    return UUID(str(flow_id))


def decompress(text: str) -> Any:
    """The serialized flow that a client compressed: JSON, by gzip, in base64."""
    try:
        reader = zlib.decompressobj(_GZIP)
        document = reader.decompress(b64decode(text, validate=True), FLOW_BYTES)
        if reader.unconsumed_tail:
            raise LimitExceeded(f"The flow has more than {FLOW_BYTES} bytes.")
        return orjson.loads(document)
    except (ValueError, zlib.error):
        raise InvalidInput("serialized_flow must be JSON, compressed by gzip, in base64.") from None


async def archive_flow(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    """End a flow version: its schedule is off, and the runs that it made ahead are gone. Needs a transaction."""
    if not await queries.archive_flow(connection, tenant_id=tenant_id, flow_id=flow_id):
        raise NotFound(f"There is no flow {flow_id}.")
    await scheduled_runs.delete_runs_ahead(connection, tenant_id, flow_id)


async def delete_flow(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    """Delete a flow version, its graph and its runs; its flow group stays."""
    if not await queries.delete_flow(connection, tenant_id=tenant_id, flow_id=flow_id):
        raise NotFound(f"There is no flow {flow_id}.")


async def flow_of_flow_group(
    connection: Connection, tenant_id: UUID, flow_group_id: UUID, *, idempotency_key: str | None = None
) -> UUID:
    """Id of a flow group's newest version, or of the one that has a run with this key already."""
    flow_id = await queries.flow_of_flow_group(
        connection, tenant_id=tenant_id, flow_group_id=flow_group_id, idempotency_key=idempotency_key
    )
    if flow_id is None:
        raise NotFound(f"There is no flow in the flow group {flow_group_id}.")
    return UUID(str(flow_id))


async def _try_schedule(connection: Connection, tenant_id: UUID, flow_id: UUID) -> None:
    """Switch a new flow's schedule on. One that can make no runs stays off, and the flow is registered all the same."""
    with suppress(InvalidInput):
        await scheduled_runs.set_schedule_active(connection, tenant_id, flow_id, active=True, now=datetime.now(UTC))


async def _version_group(connection: Connection, tenant_id: UUID, project_id: UUID, name: str) -> str:
    await queries.lock_flow_name(connection, project_id=str(project_id), name=name)
    group = await queries.version_group_of_name(connection, tenant_id=tenant_id, project_id=project_id, name=name)
    return str(uuid4()) if group is None else str(group)


def _list(serialized_flow: dict[str, Any], key: str) -> list[Any]:
    value = serialized_flow.get(key) or []
    if not isinstance(value, list):
        raise InvalidInput(f'The "{key}" of serialized_flow must be a list.')
    return value


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
