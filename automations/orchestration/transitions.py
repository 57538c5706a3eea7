"""States that clients set on runs, of flows and of tasks alike: what they must be, and why one is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from automations.database import Record
from automations.errors import Conflict, InvalidInput, NotFound, RequestError, VersionConflict
from automations.orchestration.states import canonical_states
from automations.times import parse_time

STATE_BYTES = 1_000_000  # as Prefect Server: a larger state is refused
STATES_PER_CALL = 10_000


@dataclass(frozen=True)
class NewState:
    """A state to set: the run, the serialized state as a client sends it, and the run's version the client knows."""

    run_id: UUID
    state: Any
    version: int | None = None


@dataclass(frozen=True)
class StateColumns:
    """A serialized state as its columns."""

    state: str
    message: str | None
    result: str | None
    start_time: datetime | None
    serialized: str


def columns_of(new_states: Sequence[NewState]) -> list[StateColumns]:
    """The columns of each state; InvalidInput says what is wrong with one."""
    if len(new_states) > STATES_PER_CALL:
        raise InvalidInput(f"states takes {STATES_PER_CALL} states at most; {len(new_states)} were given.")
    return [_columns(new_state.state) for new_state in new_states]


def parameters(new_states: Sequence[NewState], columns: list[StateColumns]) -> dict[str, list[Any]]:
    """The parameters that both statements which set states take."""
    return {
        "run_ids": [new_state.run_id for new_state in new_states],
        "versions": [new_state.version for new_state in new_states],
        "states": [column.state for column in columns],
        "messages": [column.message for column in columns],
        "results": [column.result for column in columns],
        "start_times": [column.start_time for column in columns],
        "serialized_states": [column.serialized for column in columns],
    }


def refusal(noun: str, row: Record) -> RequestError:
    """Why a state was refused: `row` names the run, the problem, and the versions that differ."""
    match row["problem"]:
        case "MISSING":
            return NotFound(f"State update failed: there is no {noun} {row['run_id']}.")
        case "SUBMITTED":  # the exact text by which a losing agent knows that it lost
            return Conflict("State update failed: this run has already been submitted.")
        case "NOT_RUNNING":
            return Conflict(
                f"State update failed: {noun} {row['run_id']} cannot be Running, since its flow run is not running."
            )
        case _:
            return VersionConflict(
                f"State update failed: {noun} {row['run_id']} is at version {row['run_version']}, "
                f"not {row['expected']}."
            )


def _columns(state: Any) -> StateColumns:
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
    result = state.get("_result")
    return StateColumns(
        state=canonical_states([state["type"]])[0],
        message=message,
        result=None if result is None else orjson.dumps(result).decode(),
        start_time=None if start_time is None else parse_time(start_time),
        serialized=serialized.decode(),
    )
