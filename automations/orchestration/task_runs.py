"""Task runs and their states. A batch of states is one statement, written whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, Record, load_queries
from automations.errors import InvalidInput, NotFound
from automations.orchestration.transitions import NewState, columns_of, parameters, refusal

queries = load_queries("task")


@dataclass(frozen=True)
class TaskRun:
    """A task run as the process that executes it needs it."""

    id: UUID
    version: int
    state: str | None
    serialized_state: Any


async def get_or_create_task_run(
    connection: Connection, tenant_id: UUID, *, flow_run_id: UUID, task_id: UUID, map_index: int = -1
) -> TaskRun:
    """The run of a task of the flow in a flow run; children of a mapped task count from 0."""
    if map_index < -1:
        raise InvalidInput("map_index must be -1, or the number of a child of a mapped task from 0.")
    for _ in range(2):  # one made meanwhile is seen at the second look
        row = await queries.get_or_create_task_run(
            connection, tenant_id=tenant_id, flow_run_id=flow_run_id, task_id=task_id, map_index=map_index
        )
        if row is not None:
            return _task_run(row)
    raise NotFound(f"There is no flow run {flow_run_id} with a task {task_id}.")


async def task_run_info(connection: Connection, tenant_id: UUID, task_run_id: UUID) -> TaskRun | None:
    row = await queries.task_run_info(connection, tenant_id=tenant_id, task_run_id=task_run_id)
    return None if row is None else _task_run(row)


async def set_task_run_states(connection: Connection, tenant_id: UUID, new_states: Sequence[NewState]) -> None:
    """Set states in the order given, all or none.

    Raises NotFound for a run that is not there, VersionConflict for a stale version, and Conflict for one that another
    agent submitted already and for a Running one whose flow run is not running.
    """
    columns = columns_of(new_states)
    async for row in queries.set_task_run_states(connection, tenant_id=tenant_id, **parameters(new_states, columns)):
        raise refusal("task run", row)


async def set_task_run_name(connection: Connection, tenant_id: UUID, task_run_id: UUID, name: str) -> None:
    """Give a task run another name."""
    if not await queries.set_task_run_name(connection, tenant_id=tenant_id, task_run_id=task_run_id, name=name):
        raise NotFound(f"There is no task run {task_run_id}.")


async def update_task_run_heartbeat(
    connection: Connection, tenant_id: UUID, task_run_id: UUID, *, now: datetime
) -> None:
    """Note that a task run's process lives."""
    if not await queries.update_task_run_heartbeat(connection, tenant_id=tenant_id, task_run_id=task_run_id, now=now):
        raise NotFound(f"There is no task run {task_run_id}.")


def _task_run(row: Record) -> TaskRun:
    state = row["serialized_state"]
    return TaskRun(row["id"], row["version"], row["state"], None if state is None else orjson.loads(state))
