"""Flow runs and their states. A batch of states is one statement, written whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, Record, load_queries
from automations.errors import InvalidInput, NotFound
from automations.orchestration.names import random_name
from automations.orchestration.states import FINISHED
from automations.orchestration.transitions import NewState, columns_of, parameters, refusal

queries = load_queries("orchestration")


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """A run to make. Without a name it gets one; what else is None comes from the flow group and from the flow."""

    tenant_id: UUID
    flow_id: UUID
    scheduled_start_time: datetime
    name: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    context: Any = None
    labels: Sequence[str] | None = None
    run_config: Any = None
    idempotency_key: str | None = None


async def create_flow_run(
    connection: Connection,
    tenant_id: UUID,
    *,
    flow_id: UUID | None,
    version_group_id: str | None = None,
    name: str | None = None,
    parameters: Any = None,
    context: Any = None,
    labels: Sequence[str] | None = None,
    run_config: Any = None,
    scheduled_start_time: datetime | None = None,
    idempotency_key: str | None = None,
) -> UUID:
    """Make a Scheduled run of a flow, or of the newest version of a version group, and return its id."""
    if (flow_id is None) == (version_group_id is None):
        raise InvalidInput("Give either flow_id or version_group_id.")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidInput("parameters must be an object.")
    if flow_id is None:
        flow_id = await queries.flow_of_version_group(
            connection, tenant_id=tenant_id, version_group_id=version_group_id
        )
        if flow_id is None:
            raise NotFound(f"There is no flow with the version group {version_group_id!r}.")
    new_run = NewRun(
        tenant_id=tenant_id,
        flow_id=flow_id,
        name=name,
        parameters=parameters or {},
        context=context,
        labels=labels,
        run_config=run_config,
        scheduled_start_time=scheduled_start_time or datetime.now(UTC),
        idempotency_key=idempotency_key,
    )
    for _ in range(2):  # a run made meanwhile with the same key is seen at the second look
        rows = await create_flow_runs(connection, [new_run])
        if not rows:
            break
        if rows[0]["missing"]:
            raise InvalidInput(f"Required parameters were not supplied: {', '.join(rows[0]['missing'])}.")
        if rows[0]["id"] is not None:
            return UUID(str(rows[0]["id"]))
    raise NotFound(f"There is no flow {flow_id}.")


async def create_flow_runs(
    connection: Connection, new_runs: Sequence[NewRun], *, auto_scheduled: bool = False
) -> list[Record]:
    """Make runs in one statement. For each whose flow there is: `id`, `is_new`, and `missing` parameters."""
    return [
        row
        async for row in queries.create_flow_runs(
            connection,
            tenant_ids=[run.tenant_id for run in new_runs],
            flow_ids=[run.flow_id for run in new_runs],
            names=[run.name or random_name() for run in new_runs],
            parameters=[_json(run.parameters) for run in new_runs],
            contexts=[_json(run.context) for run in new_runs],
            labels=[None if run.labels is None else _json(sorted(set(run.labels))) for run in new_runs],
            run_configs=[_json(run.run_config) for run in new_runs],
            scheduled_start_times=[run.scheduled_start_time for run in new_runs],
            idempotency_keys=[run.idempotency_key for run in new_runs],
            auto_scheduled=auto_scheduled,
        )
    ]


async def set_flow_run_states(
    connection: Connection,
    tenant_id: UUID,
    new_states: Sequence[NewState],
    *,
    agent_id: UUID | None = None,
    now: datetime,
) -> None:
    """Set states in the order given, all or none; a run that an agent sets to Submitted is that agent's from then on.

    Needs a transaction where an agent is given. Raises NotFound for a run that is not there, Conflict for one that
    another agent submitted already, and VersionConflict for a stale version.
    """
    columns = columns_of(new_states)
    refused = [
        row
        async for row in queries.set_flow_run_states(connection, tenant_id=tenant_id, **parameters(new_states, columns))
    ]
    if refused:
        raise refusal("flow run", refused[0])
    taken = [new.run_id for new, column in zip(new_states, columns, strict=True) if column.state == "Submitted"]
    if agent_id is not None and taken:
        await queries.set_flow_run_agent(
            connection, tenant_id=tenant_id, flow_run_ids=taken, agent_id=agent_id, now=now
        )


async def cancel_flow_run(connection: Connection, tenant_id: UUID, flow_run_id: UUID, *, message: str) -> str:
    """Cancel a run and return the state it is in now: Cancelling, Cancelled, or the one it had finished in."""
    row = await queries.cancel_flow_run(
        connection, tenant_id=tenant_id, flow_run_id=flow_run_id, message=message, finished=list(FINISHED)
    )
    if row is None:
        raise NotFound(f"There is no flow run {flow_run_id}.")
    return str(row["state"])


async def set_flow_run_name(connection: Connection, tenant_id: UUID, flow_run_id: UUID, name: str) -> None:
    """Give a run another name."""
    if not await queries.set_flow_run_name(connection, tenant_id=tenant_id, flow_run_id=flow_run_id, name=name):
        raise NotFound(f"There is no flow run {flow_run_id}.")


async def set_flow_run_labels(
    connection: Connection, tenant_id: UUID, flow_run_id: UUID, labels: Sequence[str]
) -> None:
    """Give a run other labels: only an agent that has all of them may take it."""
    if not await queries.set_flow_run_labels(
        connection, tenant_id=tenant_id, flow_run_id=flow_run_id, labels=_json(sorted(set(labels)))
    ):
        raise NotFound(f"There is no flow run {flow_run_id}.")


async def update_flow_run_heartbeat(
    connection: Connection, tenant_id: UUID, flow_run_id: UUID, *, now: datetime
) -> None:
    """Note that a run's process lives."""
    if not await queries.update_flow_run_heartbeat(connection, tenant_id=tenant_id, flow_run_id=flow_run_id, now=now):
        raise NotFound(f"There is no flow run {flow_run_id}.")


async def delete_flow_run(connection: Connection, tenant_id: UUID, flow_run_id: UUID) -> None:
    """Delete a run and its states."""
    if not await queries.delete_flow_run(connection, tenant_id=tenant_id, flow_run_id=flow_run_id):
        raise NotFound(f"There is no flow run {flow_run_id}.")


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
