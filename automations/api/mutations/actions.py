"""Actions."""

from uuid import UUID

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.inputs import ActionConfigInput, action_from
from automations.api.payloads import SavedPayload, SuccessPayload
from automations.definitions import actions


@strawberry.input(name="create_action_input", description="An action to save.")
class CreateActionInput:
    config: ActionConfigInput = strawberry.field(description="Its config: exactly one key.")
    name: str | None = optional("Its name.")
    idempotency_key: str | None = optional("The same key gives the same action.")


@strawberry.input(name="update_action_input", description="What to change; what is absent stays.")
class UpdateActionInput:
    action_id: UUID = strawberry.field(description="The action.")
    config: ActionConfigInput | None = optional("Its new config.")
    name: str | None = optional("Its new name.")


@strawberry.input(name="delete_action_input", description="An action to delete.")
class DeleteActionInput:
    action_id: UUID = strawberry.field(description="The action.")


@strawberry.type
class ActionMutations:
    @mutation("Save an action.", by=EDITORS)
    async def create_action(self, info: strawberry.Info, input: CreateActionInput) -> SavedPayload | None:
        action = action_from(input.config, info.context.choices)
        async with info.context.change(info.field_name) as connection:
            action_id = await actions.create_action(
                connection, info.context.tenant_id, action, name=input.name, idempotency_key=input.idempotency_key
            )
            warnings = await actions.missing_secrets(connection, info.context.tenant_id, [action])
        return SavedPayload(id=action_id, warnings=warnings)

    @mutation("Change an action. Deliveries that are pending are sent with the new config.", by=EDITORS)
    async def update_action(self, info: strawberry.Info, input: UpdateActionInput) -> SavedPayload | None:
        action = None if input.config is None else action_from(input.config, info.context.choices)
        async with info.context.change(info.field_name) as connection:
            await actions.update_action(
                connection, info.context.tenant_id, input.action_id, action=action, name=input.name
            )
            warnings = await actions.missing_secrets(connection, info.context.tenant_id, [action] if action else [])
        return SavedPayload(id=input.action_id, warnings=warnings)

    @mutation("Delete an action that no automation uses.", by=EDITORS)
    async def delete_action(self, info: strawberry.Info, input: DeleteActionInput) -> SuccessPayload | None:
        async with info.context.change(info.field_name) as connection:
            await actions.delete_action(connection, info.context.tenant_id, input.action_id)
        return SuccessPayload()
