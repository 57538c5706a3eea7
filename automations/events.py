"""The kinds of event an automation can wait for, and what each tells the actions that follow.

Pure declarations: nothing here reads a clock, a database or the network. Names and default messages of what happens to
runs and agents are those of the Prefect 1.x hook API, because templates that people already have name them.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_COMMON = ("id", "event_name", "event_type", "message", "tenant_id", "tenant_slug", "timestamp")
_FLOW_RUN = (
    "flow_id",
    "flow_name",
    "flow_group_id",
    "flow_link",
    "flow_run_id",
    "flow_run_name",
    "state",
    "state_message",
    "flow_run_link",
)


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event.

    `name` is stored and shown to clients (`event_type`), `key` is the key of the API's `event` input. `attributes` are
    in the order shown to people: those every event has, then its own. Attribute `message` holds `default_message`
    rendered with the others; attribute `event_type` repeats `event_name`, for templates that already use it.
    `has_flow_run` says whether an action may act on a flow run of the event.
    """

    name: str
    key: str
    attributes: tuple[str, ...]
    default_message: str
    has_flow_run: bool


FLOW_RUN_STATE_CHANGED: Final = EventType(
    name="FlowRunStateChangedEvent",
    key="flow_run_state_changed",
    attributes=_COMMON + _FLOW_RUN,
    default_message=(
        "Run {flow_run_name} of flow {flow_name} entered state {state} with message {state_message}. "
        "See {flow_run_link} for more details."
    ),
    has_flow_run=True,
)
FLOW_SLA_FAILED: Final = EventType(
    name="FlowSLAFailedEvent",
    key="flow_sla_failed",
    attributes=(*_COMMON, *_FLOW_RUN, "flow_sla_config_id", "kind", "duration_seconds", "noticed_after_seconds"),
    default_message=(
        "Run {flow_run_name} ({flow_run_id}) of flow {flow_name} failed {kind} SLA ({flow_sla_config_id}) "
        "after {duration_seconds} seconds. See {flow_run_link} for more details."
    ),
    has_flow_run=True,
)
AGENT_SLA_FAILED: Final = EventType(
    name="AgentSLAFailedEvent",
    key="agent_sla_failed",
    attributes=(
        *_COMMON,
        "healthy_agent_ids",
        "unhealthy_agent_ids",
        "agent_ids",
        "sla_min_healthy",
        "agent_config_id",
        "agent_config_name",
    ),
    default_message=(
        "Agents sharing the config {agent_config_id} have failed the minimum healthy count of {sla_min_healthy}. "
        "The following agents are unhealthy: {agent_ids}"
    ),
    has_flow_run=False,
)

SERVER_PROBLEM: Final = EventType(
    name="ServerProblemEvent",
    key="server_problem",
    attributes=(*_COMMON, "problem", "problem_message", "affected", "since"),
    default_message="Automations has a problem: {problem_message}",
    has_flow_run=False,
)

EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        event_type.name: event_type
        for event_type in (FLOW_RUN_STATE_CHANGED, FLOW_SLA_FAILED, AGENT_SLA_FAILED, SERVER_PROBLEM)
    }
)

# An existing UI suggests these names; the attribute each stands for is on the right.
ATTRIBUTE_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"event_id": "id", "flow_sla_type": "kind", "duration": "duration_seconds"}
)


_SAMPLE_VALUES: Final[Mapping[str, object]] = MappingProxyType(
    {
        "id": "5f0c1a52-8f0e-5d0b-9a41-6a7f3f1f2c01",
        "tenant_id": "0d6e3c1e-3f5b-4c43-8f54-0a0b6c1b7a02",
        "tenant_slug": "acme",
        "timestamp": "2026-11-23T09:30:00+00:00",
        "flow_id": "b8a1f7c4-52b1-4f5e-9a9e-1a6a35d64d03",
        "flow_name": "nightly-etl",
        "flow_group_id": "3a7d2f9b-6a0c-4b6e-8a65-2f0d3f9f8e04",
        "flow_link": "https://automations.example/acme/flow/3a7d2f9b-6a0c-4b6e-8a65-2f0d3f9f8e04",
        "flow_run_id": "c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05",
        "flow_run_name": "amber-otter",
        "state": "Failed",
        "state_message": "Some reference tasks failed",
        "flow_run_link": "https://automations.example/acme/flow-run/c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05",
        "flow_sla_config_id": "7e9c0b1a-2d3f-4a5b-9c6d-7e8f9a0b1c06",
        "kind": "STARTED_NOT_FINISHED",
        "duration_seconds": 600,
        "noticed_after_seconds": 0,
        "healthy_agent_ids": [],
        "unhealthy_agent_ids": ["91b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c07"],
        "agent_ids": ["91b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c07"],
        "sla_min_healthy": 1,
        "agent_config_id": "a4b5c6d7-e8f9-4a0b-9c1d-2e3f4a5b6c08",
        "agent_config_name": "kubernetes-eu",
        "problem": "SECRET_MISSING",
        "problem_message": 'An action uses the secret "SLACK_URL", which does not exist: set it, or sending fails.',
        "affected": ["SLACK_URL"],
        "since": "2026-11-23T09:30:00+00:00",
    }
)
# A run that is late to finish is still running.
_SAMPLE_DIFFERENCES: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {FLOW_SLA_FAILED.name: {"state": "Running", "state_message": "Running flow"}}
)
# Written out, because rendering lives a layer above; a test holds each to its default message.
_SAMPLE_MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        FLOW_RUN_STATE_CHANGED.name: (
            "Run amber-otter of flow nightly-etl entered state Failed with message Some reference tasks failed. "
            "See https://automations.example/acme/flow-run/c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05 for more details."
        ),
        FLOW_SLA_FAILED.name: (
            "Run amber-otter (c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05) of flow nightly-etl failed "
            "STARTED_NOT_FINISHED SLA (7e9c0b1a-2d3f-4a5b-9c6d-7e8f9a0b1c06) after 600 seconds. "
            "See https://automations.example/acme/flow-run/c2d4e6f8-1a3b-4c5d-8e7f-9a0b1c2d3e05 for more details."
        ),
        AGENT_SLA_FAILED.name: (
            "Agents sharing the config a4b5c6d7-e8f9-4a0b-9c1d-2e3f4a5b6c08 have failed the minimum healthy count "
            'of 1. The following agents are unhealthy: ["91b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c07"]'
        ),
        SERVER_PROBLEM.name: (
            'Automations has a problem: An action uses the secret "SLACK_URL", which does not exist: '
            "set it, or sending fails."
        ),
    }
)


def sample_event(event_type: EventType) -> dict[str, object]:
    """Return a plausible event for tests and previews: every attribute of its type, in order, as JSON values.

    The same type gives the same values each time, in a dictionary of the caller's own.
    """
    sample = {
        **_SAMPLE_VALUES,
        **_SAMPLE_DIFFERENCES.get(event_type.name, {}),
        "event_name": event_type.name,
        "event_type": event_type.name,
        "message": _SAMPLE_MESSAGES[event_type.name],
    }
    return {attribute: deepcopy(sample[attribute]) for attribute in event_type.attributes}
