"""Inputs that several mutations share: an event, an action's config, an automation's actions."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Optional, get_type_hints
from uuid import UUID

import strawberry
from strawberry.types.unset import UNSET

from automations.actions import CLIENTS
from automations.actions.contract import Action, Choices
from automations.api.fields import enum
from automations.api.scalars import Json
from automations.definitions.actions import parse_action
from automations.definitions.slas import KINDS
from automations.definitions.triggers.quiet_agents import MIN_HEALTHY, UNHEALTHY_AFTER_SECONDS
from automations.errors import InvalidInput
from automations.health import PROBLEMS
from automations.orchestration.states import STATE_GROUPS


def given(value: Any) -> dict[str, Any]:
    """An input's fields that were given, by name; a null counts as given."""
    return {item.name: getattr(value, item.name) for item in fields(value) if getattr(value, item.name) is not UNSET}


def _config_input(client: type[Action]) -> Any:
    """The GraphQL input of a client, from its config's fields."""
    annotations = get_type_hints(client)
    values: dict[str, Any] = {}
    for item in fields(client):
        required = item.default is MISSING
        if item.metadata["kind"] == "flow_group":
            annotations[item.name] = Optional[UUID]
        if item.metadata["kind"] == "json_template":
            annotations[item.name] = Json if required else Optional[Json]
        default = {} if required else {"default": UNSET}
        values[item.name] = strawberry.field(**default, description=item.metadata["description"])
    annotations = {name: annotations[name] for name in values}
    return strawberry.input(
        type(f"{client.KEY}_config", (), {"__annotations__": annotations, "__module__": __name__, **values}),
        name=f"{client.KEY}_config_input",
        description=(client.__doc__ or "").strip(),
    )


def _one_key_input(name: str, description: str, more: Mapping[str, tuple[Any, str]]) -> Any:
    """An input with a field for each client, of which exactly one is to be given."""
    choices: dict[str, tuple[Any, str]] = {
        client.KEY: (_CONFIG_INPUTS[client.KEY], (client.__doc__ or "").strip()) for client in CLIENTS
    } | dict(more)
    return strawberry.input(
        type(
            name,
            (),
            {
                "__annotations__": {key: Optional[type_] for key, (type_, _) in choices.items()},
                "__module__": __name__,
                **{key: strawberry.field(default=UNSET, description=text) for key, (_, text) in choices.items()},
            },
        ),
        name=name,
        description=description,
    )


_CONFIG_INPUTS = {client.KEY: _config_input(client) for client in CLIENTS}

ActionConfigInput = _one_key_input("action_config_input", "An action's config: exactly one key.", {})
AutomationActionInput = _one_key_input(
    "automation_action_input",
    "One of an automation's actions: exactly one key, a config or the id of a saved action.",
    {"action_id": (UUID, "Id of a saved action.")},
)


def action_from(config: Any, choices: Choices) -> Action:
    """The action that a config input describes; InvalidInput says what is wrong with it."""
    fields = {key: None if value is None else given(value) for key, value in given(config).items()}
    return parse_action(fields, choices)


def automation_actions_from(inputs: list[Any], choices: Choices) -> list[Action | UUID]:
    """The actions of an automation: configs and ids."""
    return [_automation_action(item, choices) for item in inputs]


def _automation_action(item: Any, choices: Choices) -> Action | UUID:
    chosen = {key: value for key, value in given(item).items() if value is not None}
    if list(chosen) == ["action_id"]:
        return UUID(str(chosen["action_id"]))
    if "action_id" in chosen:
        raise InvalidInput("An action takes exactly one key: action_id or a config, not both.")
    return action_from(item, choices)


StateGroup = enum(
    "state_group",
    STATE_GROUPS,
    "A group of states. "
    + " ".join(
        f"{name}: {', '.join(states) if name != 'ALL' else 'every state'}." for name, states in STATE_GROUPS.items()
    ),
)


@strawberry.input(
    name="flow_run_state_changed_input", description="A flow run enters a state. Give either states or state_group."
)
class FlowRunStateChangedInput:
    states: list[str] | None = strawberry.field(
        default=UNSET, description="Names of states, compared without case and matched exactly."
    )
    state_group: StateGroup | None = strawberry.field(  # type: ignore[valid-type]
        default=UNSET, description="A group of states instead."
    )
    flow_group_ids: list[UUID] | None = strawberry.field(
        default=UNSET, description="Runs of these flow groups; of all flows by default."
    )
    project_ids: list[UUID] | None = strawberry.field(
        default=UNSET, description="Runs of flows in these projects; in all by default."
    )


FlowSlaKind = enum(
    "flow_sla_kind",
    KINDS,
    "SCHEDULED_NOT_STARTED: a run is not Submitted or Running in time after its scheduled start. "
    "STARTED_NOT_FINISHED: it has not finished in time after it last entered Running.",
)


@strawberry.input(
    name="flow_sla_failed_input",
    description="A flow run does not start, or does not finish, in time. Give kind and duration_seconds for an SLA of "
    "the automation's own, or flow_sla_config_ids.",
)
class FlowSlaFailedInput:
    kind: FlowSlaKind | None = strawberry.field(default=UNSET, description="What is late.")  # type: ignore[valid-type]
    duration_seconds: int | None = strawberry.field(default=UNSET, description="After how many seconds, from 1.")
    flow_group_ids: list[UUID] | None = strawberry.field(
        default=UNSET, description="Runs of these flow groups; of all flows by default."
    )
    flow_sla_config_ids: list[UUID] | None = strawberry.field(
        default=UNSET, description="SLAs that were saved before, for the flow groups that they were given to, instead."
    )


@strawberry.input(name="agent_sla_failed_input", description="Too few agents that share an agent config ask for work.")
class AgentSlaFailedInput:
    agent_config_ids: list[UUID] = strawberry.field(description="The agent configs; each is judged by itself.")
    min_healthy: int = strawberry.field(
        default=MIN_HEALTHY, description="Fewer healthy agents than this fail the agent config."
    )
    unhealthy_after_seconds: int = strawberry.field(
        default=UNHEALTHY_AFTER_SECONDS,
        description="An agent is healthy while it asked for work within so many seconds.",
    )


ServerProblemKind = enum(
    "server_problem_kind",
    PROBLEMS,
    "What can be wrong with the server. " + " ".join(f"{name}: {problem}." for name, problem in PROBLEMS.items()),
)


@strawberry.input(name="server_problem_input", description="Something is wrong with the server itself.")
class ServerProblemInput:
    problems: list[ServerProblemKind] | None = strawberry.field(  # type: ignore[valid-type]
        default=UNSET, description="Any of these problems; all by default."
    )


@strawberry.input(name="automation_event_input", description="What an automation waits for: exactly one key.")
class AutomationEventInput:
    flow_run_state_changed: FlowRunStateChangedInput | None = strawberry.field(
        default=UNSET, description="A flow run enters a state."
    )
    flow_sla_failed: FlowSlaFailedInput | None = strawberry.field(
        default=UNSET, description="A flow run does not start, or does not finish, in time."
    )
    agent_sla_failed: AgentSlaFailedInput | None = strawberry.field(
        default=UNSET, description="Too few agents that share an agent config ask for work."
    )
    server_problem: ServerProblemInput | None = strawberry.field(
        default=UNSET, description="Something is wrong with the server itself."
    )


def event_from(event: AutomationEventInput) -> dict[str, Any]:
    """The event as the definitions take it: `{key: {…}}` of plain values."""
    fields = {key: None if value is None else given(value) for key, value in given(event).items()}
    if late := fields.get("flow_sla_failed"):
        _refuse_two_kinds_of_sla({name for name, value in late.items() if value is not None})
    return fields


def _refuse_two_kinds_of_sla(names: set[str]) -> None:
    """An automation's own SLA has an id as well, but nobody gives it."""
    if "flow_sla_config_ids" in names and len(names) > 1:
        raise InvalidInput(
            "flow_sla_failed takes either flow_sla_config_ids, or kind, duration_seconds and flow_group_ids."
        )
