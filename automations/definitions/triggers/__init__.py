"""The events that automations wait for. A new one is a module here, its test, and one line below."""

from collections.abc import Mapping
from typing import Any

from automations.definitions.triggers.contract import Trigger
from automations.definitions.triggers.late_runs import LateRun
from automations.definitions.triggers.quiet_agents import QuietAgents
from automations.definitions.triggers.server_problems import ServerProblem
from automations.definitions.triggers.state_changes import StateChanged
from automations.errors import InvalidInput

__all__ = ["TRIGGERS", "LateRun", "QuietAgents", "ServerProblem", "StateChanged", "Trigger", "parse_trigger"]

TRIGGERS: tuple[type[Trigger], ...] = (StateChanged, LateRun, QuietAgents, ServerProblem)

_BY_KEY = {trigger.EVENT_TYPE.key: trigger for trigger in TRIGGERS}


def parse_trigger(event: Mapping[str, Any]) -> Trigger:
    """A trigger from `{key: {…}}` with exactly one key that is set; InvalidInput says what is wrong with it."""
    given = {key: value for key, value in event.items() if value is not None}
    if len(given) != 1 or not given.keys() <= _BY_KEY.keys():
        raise InvalidInput(f"event takes exactly one of {', '.join(_BY_KEY)}; {', '.join(given) or 'none'} was given.")
    [(key, fields)] = given.items()
    return _BY_KEY[key].parse(fields)
