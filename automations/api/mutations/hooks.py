"""Hooks: automations as existing clients make them, from a saved action."""

from typing import Any
from uuid import UUID

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.payloads import SavedPayload, SuccessPayload
from automations.definitions import automations
from automations.definitions.triggers import parse_trigger


@strawberry.input(
    name="create_flow_run_state_changed_hook_input", description="An action for runs that enter one of these states."
)
class CreateFlowRunStateChangedHookInput:
    action_id: UUID = strawberry.field(description="The saved action.")
    states: list[str] = strawberry.field(description="Names of states, compared without case.")
    flow_group_ids: list[UUID] | None = optional("Runs of these flow groups; absent or empty means all flows.")
    idempotency_key: str | None = optional("The same key gives the same hook.")


@strawberry.input(
    name="create_flow_sla_failed_hook_input", description="An action for runs that fail one of these SLAs."
)
class CreateFlowSlaFailedHookInput:
    action_id: UUID = strawberry.field(description="The saved action.")
    sla_config_ids: list[UUID] = strawberry.field(description="The flow SLA configs.")
    idempotency_key: str | None = optional("The same key gives the same hook.")


@strawberry.input(
    name="create_agent_sla_failed_hook_input", description="An action for agent configs without a healthy agent."
)
class CreateAgentSlaFailedHookInput:
    action_id: UUID = strawberry.field(description="The saved action.")
    agent_config_ids: list[UUID] = strawberry.field(description="The agent configs.")
    idempotency_key: str | None = optional("The same key gives the same hook.")


@strawberry.input(name="delete_hook_input", description="A hook to delete.")
class DeleteHookInput:
    hook_id: UUID = strawberry.field(description="The hook, which is an automation.")


@strawberry.type
class HookMutations:
    @mutation("Make an automation of one saved action for runs that enter one of these states.", by=EDITORS)
    async def create_flow_run_state_changed_hook(
        self, info: strawberry.Info, input: CreateFlowRunStateChangedHookInput
    ) -> SavedPayload | None:
        event = {"flow_run_state_changed": {"states": input.states, "flow_group_ids": input.flow_group_ids}}
        return await _create_hook(info, event, input.action_id, input.idempotency_key)

    @mutation("Make an automation of one saved action for runs that fail one of these SLAs.", by=EDITORS)
    async def create_flow_sla_failed_hook(
        self, info: strawberry.Info, input: CreateFlowSlaFailedHookInput
    ) -> SavedPayload | None:
        event = {"flow_sla_failed": {"flow_sla_config_ids": input.sla_config_ids}}
        return await _create_hook(info, event, input.action_id, input.idempotency_key)

    @mutation("Make an automation of one saved action for agent configs without a healthy agent.", by=EDITORS)
    async def create_agent_sla_failed_hook(
        self, info: strawberry.Info, input: CreateAgentSlaFailedHookInput
    ) -> SavedPayload | None:
        event = {"agent_sla_failed": {"agent_config_ids": input.agent_config_ids}}
        return await _create_hook(info, event, input.action_id, input.idempotency_key)

    @mutation("Delete a hook. What it owes is still sent.", by=EDITORS)
    async def delete_hook(self, info: strawberry.Info, input: DeleteHookInput) -> SuccessPayload | None:
        async with info.context.change(info.field_name) as connection:
            await automations.delete_automation(connection, info.context.tenant_id, input.hook_id)
        return SuccessPayload()


async def _create_hook(
    info: strawberry.Info, event: dict[str, Any], action_id: UUID, idempotency_key: str | None
) -> SavedPayload:
    trigger = parse_trigger(event)
    async with info.context.change(info.field_name) as connection:
        saved = await automations.create_automation(
            connection,
            info.context.tenant_id,
            name=None,
            description=None,
            enabled=True,
            trigger=trigger,
            actions=[action_id],
            idempotency_key=idempotency_key,
        )
    return SavedPayload(id=saved.id, warnings=saved.warnings)
