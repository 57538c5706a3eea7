"""The names of the states a run can be in, and their groups (the classes of `prefect.engine.state` 1.4)."""

from collections.abc import Iterable
from difflib import get_close_matches

from automations.errors import InvalidInput

STATES = (
    "Pending",
    "Scheduled",
    "Paused",
    "Resume",
    "Retrying",
    "Submitted",
    "Queued",
    "ClientFailed",
    "Running",
    "Cancelling",
    "Finished",
    "Success",
    "Cached",
    "Mapped",
    "Skipped",
    "Failed",
    "TimedOut",
    "TriggerFailed",
    "ValidationFailed",
    "Cancelled",
    "Looped",
)

_SUCCESS = ("Success", "Cached", "Mapped", "Skipped")
_FAILED = ("Failed", "TimedOut", "TriggerFailed")

STATE_GROUPS = {
    "SUCCESS": _SUCCESS,
    "FAILED": _FAILED,
    "FINISHED": (*_SUCCESS, *_FAILED, "Cancelled", "Looped", "Finished"),
    "ALL": STATES,
}

# A run in one of these is over; ValidationFailed is a Failed state too, though no group names it.
FINISHED = (*STATE_GROUPS["FINISHED"], "ValidationFailed")

_SHOWN_CHARACTERS = 50
_BY_LOWER = {name.lower(): name for name in STATES}


def canonical_states(names: Iterable[str]) -> list[str]:
    """The state names as Prefect 1 spells them, each once, in the order given; compared without case."""
    found = []
    for name in names:
        state = _BY_LOWER.get(name.lower())
        if state is None:
            near = [_BY_LOWER[match] for match in get_close_matches(name[:_SHOWN_CHARACTERS].lower(), _BY_LOWER, n=3)]
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
            raise InvalidInput(f"There is no state {shown!r}: {hint}The states are {', '.join(STATES)}.")
        found.append(state)
    return list(dict.fromkeys(found))
