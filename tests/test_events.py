import json
from dataclasses import FrozenInstanceError

import pytest

from automations.events import (
    AGENT_SLA_FAILED,
    ATTRIBUTE_ALIASES,
    EVENT_TYPES,
    FLOW_RUN_STATE_CHANGED,
    FLOW_SLA_FAILED,
    EventType,
    sample_event,
)
from automations.messages import fields, render, unknown_fields

each_event_type = pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=lambda event_type: event_type.key)


def test_event_types_are_found_by_the_names_that_clients_know() -> None:
    assert list(EVENT_TYPES) == [
        "FlowRunStateChangedEvent",
        "FlowSLAFailedEvent",
        "AgentSLAFailedEvent",
        "ServerProblemEvent",
    ]
    assert [event_type.key for event_type in EVENT_TYPES.values()] == [
        "flow_run_state_changed",
        "flow_sla_failed",
        "agent_sla_failed",
        "server_problem",
    ]
    assert all(event_type.name == name for name, event_type in EVENT_TYPES.items())


def test_default_messages_are_those_of_the_hook_api() -> None:
    assert FLOW_RUN_STATE_CHANGED.default_message == (
        "Run {flow_run_name} of flow {flow_name} entered state {state} with message {state_message}. "
        "See {flow_run_link} for more details."
    )
    assert FLOW_SLA_FAILED.default_message == (
        "Run {flow_run_name} ({flow_run_id}) of flow {flow_name} failed {kind} SLA ({flow_sla_config_id}) after "
        "{duration_seconds} seconds. See {flow_run_link} for more details."
    )
    assert AGENT_SLA_FAILED.default_message == (
        "Agents sharing the config {agent_config_id} have failed the minimum healthy count of {sla_min_healthy}. "
        "The following agents are unhealthy: {agent_ids}"
    )


@each_event_type
def test_common_attributes_come_first(event_type: EventType) -> None:
    common = ("id", "event_name", "event_type", "message", "tenant_id", "tenant_slug", "timestamp")
    assert event_type.attributes[: len(common)] == common


def test_a_failed_flow_sla_tells_all_that_a_state_change_tells() -> None:
    assert FLOW_SLA_FAILED.attributes == (
        *FLOW_RUN_STATE_CHANGED.attributes,
        "flow_sla_config_id",
        "kind",
        "duration_seconds",
        "noticed_after_seconds",
    )


@each_event_type
def test_attributes_appear_once_and_hide_no_alias(event_type: EventType) -> None:
    assert len(set(event_type.attributes)) == len(event_type.attributes)
    assert not set(event_type.attributes) & set(ATTRIBUTE_ALIASES)


def test_every_alias_stands_for_an_attribute() -> None:
    known = {attribute for event_type in EVENT_TYPES.values() for attribute in event_type.attributes}
    assert set(ATTRIBUTE_ALIASES.values()) <= known


@each_event_type
def test_an_event_has_a_flow_run_where_it_names_one(event_type: EventType) -> None:
    assert event_type.has_flow_run == ("flow_run_id" in event_type.attributes)


@each_event_type
def test_a_default_message_uses_only_its_own_events_attributes(event_type: EventType) -> None:
    assert unknown_fields(event_type.default_message, event_type) == []
    assert "message" not in fields(event_type.default_message)


@each_event_type
def test_a_sample_has_every_attribute_in_order_as_json(event_type: EventType) -> None:
    sample = sample_event(event_type)
    assert tuple(sample) == event_type.attributes
    assert sample["event_name"] == sample["event_type"] == event_type.name
    assert json.loads(json.dumps(sample)) == sample


@each_event_type
def test_a_samples_message_is_its_default_message_rendered(event_type: EventType) -> None:
    sample = sample_event(event_type)
    assert sample["message"] == render(event_type.default_message, sample)


def test_a_sample_belongs_to_its_caller() -> None:
    changed = sample_event(AGENT_SLA_FAILED)
    agent_ids = changed["agent_ids"]
    assert isinstance(agent_ids, list)
    agent_ids.clear()
    assert sample_event(AGENT_SLA_FAILED)["agent_ids"] != []


def test_declarations_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        FLOW_RUN_STATE_CHANGED.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        EVENT_TYPES["other"] = FLOW_RUN_STATE_CHANGED  # type: ignore[index]
