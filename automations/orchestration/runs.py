"""Flow runs and their states. A batch of states is one statement, written whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, Record, load_queries
from automations.errors import Conflict, InvalidInput, NotFound, RequestError, VersionConflict
from automations.orchestration.names import random_name
from automations.orchestration.states import FINISHED, canonical_states
from automations.times import parse_time

queries = load_queries("orchestration")

STATE_BYTES = 1_000_000  # as Prefect Server: a larger state is refused
STATES_PER_CALL = 10_000


@dataclass(frozen=True)
class NewState:
    """A state to set: the serialized state as a client sends it, and the run's version the client knows."""

    flow_run_id: UUID
    state: Any
    version: int | None = None


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
    columns = {
        "name": name or random_name(),
        "parameters": _json(parameters or {}),
        "context": _json(context),
        "labels": None if labels is None else _json(sorted(set(labels))),
        "run_config": _json(run_config),
        "scheduled_start_time": scheduled_start_time or datetime.now(UTC),
        "idempotency_key": idempotency_key,
    }
    for _ in range(2):  # a run made meanwhile with the same key is seen at the second look
        run_id = await queries.create_flow_run(connection, tenant_id=tenant_id, flow_id=flow_id, **columns)
        if run_id is not None:
            return UUID(str(run_id))
    raise NotFound(f"There is no flow {flow_id}.")


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
    if len(new_states) > STATES_PER_CALL:
        raise InvalidInput(f"states takes {STATES_PER_CALL} states at most; {len(new_states)} were given.")
    columns = [_columns(new_state.state) for new_state in new_states]
    refused = [
        row
        async for row in queries.set_flow_run_states(
            connection,
            tenant_id=tenant_id,
            flow_run_ids=[new_state.flow_run_id for new_state in new_states],
            versions=[new_state.version for new_state in new_states],
            states=[column.state for column in columns],
            messages=[column.message for column in columns],
            results=[column.result for column in columns],
            start_times=[column.start_time for column in columns],
            serialized_states=[column.serialized for column in columns],
        )
    ]
    if refused:
        raise _refusal(refused[0])
    taken = [new.flow_run_id for new, column in zip(new_states, columns, strict=True) if column.state == "Submitted"]
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


async def delete_flow_run(connection: Connection, tenant_id: UUID, flow_run_id: UUID) -> None:
    """Delete a run and its states."""
    if not await queries.delete_flow_run(connection, tenant_id=tenant_id, flow_run_id=flow_run_id):
        raise NotFound(f"There is no flow run {flow_run_id}.")


@dataclass(frozen=True)
class _StateColumns:
    state: str
    message: str | None
    result: str | None
    start_time: datetime | None
    serialized: str


def _columns(state: Any) -> _StateColumns:
    if not isinstance(state, dict) or not isinstance(state.get("type"), str):
        raise InvalidInput('A state must be an object with a "type", such as {"type": "Failed", "message": "…"}.')
    serialized = orjson.dumps(state)
    if len(serialized) > STATE_BYTES:
        raise InvalidInput(f"A state may have {STATE_BYTES} bytes; one of {len(serialized)} was given.")
    message, start_time = state.get("message"), state.get("start_time")
    if message is not None and not isinstance(message, str):
        raise InvalidInput("A state's message must be a string.")
    if start_time is not None and not isinstance(start_time, str):
        raise InvalidInput("A state's start_time must be an ISO 8601 string.")
    return _StateColumns(
        state=canonical_states([state["type"]])[0],
        message=message,
        result=_json(state.get("_result")),
        start_time=None if start_time is None else parse_time(start_time),
        serialized=serialized.decode(),
    )


def _refusal(row: Record) -> RequestError:
    match row["problem"]:
        case "MISSING":
            return NotFound(f"State update failed: there is no flow run {row['flow_run_id']}.")
        case "SUBMITTED":  # the exact text by which a losing agent knows that it lost
            return Conflict("State update failed: this run has already been submitted.")
        case _:
            return VersionConflict(
                f"State update failed: flow run {row['flow_run_id']} is at version {row['run_version']}, "
                f"not {row['expected']}."
            )


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
