"""Hooks: automations as existing clients make them, from a saved action."""

from uuid import UUID

import strawberry

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


@strawberry.input(name="delete_hook_input", description="A hook to delete.")
class DeleteHookInput:
    hook_id: UUID = strawberry.field(description="The hook, which is an automation.")


@strawberry.type
class HookMutations:
    @mutation("Make an automation of one saved action for runs that enter one of these states.")
    async def create_flow_run_state_changed_hook(
        self, info: strawberry.Info, input: CreateFlowRunStateChangedHookInput
    ) -> SavedPayload | None:
        fields = {"states": input.states, "flow_group_ids": input.flow_group_ids}
        trigger = parse_trigger({"flow_run_state_changed": fields})
        async with info.context.database.transaction() as connection:
            saved = await automations.create_automation(
                connection,
                info.context.tenant_id,
                name=None,
                description=None,
                enabled=True,
                trigger=trigger,
                actions=[input.action_id],
                idempotency_key=input.idempotency_key,
            )
        return SavedPayload(id=saved.id, warnings=saved.warnings)

    @mutation("Delete a hook. What it owes is still sent.")
    async def delete_hook(self, info: strawberry.Info, input: DeleteHookInput) -> SuccessPayload | None:
        async with info.context.database.transaction() as connection:
            await automations.delete_automation(connection, info.context.tenant_id, input.hook_id)
        return SuccessPayload()
