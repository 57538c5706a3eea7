"""Automations."""

from typing import Annotated, Any, Optional
from uuid import UUID

import strawberry
from strawberry.types.unset import UNSET

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional, resolved
from automations.api.inputs import (
    AutomationActionInput,
    AutomationEventInput,
    automation_actions_from,
    event_from,
    given,
)
from automations.api.payloads import SuccessPayload
from automations.api.reads import read_one
from automations.api.tables import BY_NAME
from automations.definitions import automations
from automations.definitions.triggers import parse_trigger
from automations.errors import InvalidInput


@strawberry.input(name="create_automation_input", description="When this happens, do that.")
class CreateAutomationInput:
    name: str = strawberry.field(description="Its name, 1 to 200 characters.")
    event: AutomationEventInput = strawberry.field(description="What it waits for: exactly one key.")
    actions: list[AutomationActionInput] = strawberry.field(description="What it does, 1 to 20 actions.")
    description: str | None = optional("What it is for.")
    enabled: bool = strawberry.field(default=True, description="Whether it fires.")
    idempotency_key: str | None = optional("The same key gives the same automation.")


@strawberry.input(
    name="update_automation_input", description="What to change; what is absent stays, and so does the id."
)
class UpdateAutomationInput:
    automation_id: UUID = strawberry.field(description="The automation.")
    name: str | None = strawberry.field(default=UNSET, description="Its new name.")
    event: AutomationEventInput | None = strawberry.field(default=UNSET, description="What it waits for now.")
    actions: list[AutomationActionInput] | None = strawberry.field(
        default=UNSET, description="What it does now: all of its actions."
    )
    description: str | None = strawberry.field(default=UNSET, description="What it is for; null empties it.")
    enabled: bool | None = strawberry.field(default=UNSET, description="Whether it fires.")


@strawberry.input(name="delete_automation_input", description="An automation to delete.")
class DeleteAutomationInput:
    automation_id: UUID = strawberry.field(description="The automation.")


@strawberry.type(name="automation_payload", description="An automation that was saved.")
class AutomationPayload:
    id: UUID = strawberry.field(description="Its id.")
    warnings: list[str] = strawberry.field(description="What will keep it from working as it is.")

    @resolved("The automation as it is now.")
    async def automation(
        self, info: strawberry.Info
    ) -> Optional[Annotated["automation", strawberry.lazy("automations.api.types")]]:  # type: ignore[name-defined]
        return await read_one(info, BY_NAME["automation"], self.id)


@strawberry.type
class AutomationMutations:
    @mutation("Make an automation.", by=EDITORS)
    async def create_automation(self, info: strawberry.Info, input: CreateAutomationInput) -> AutomationPayload | None:
        trigger, actions = (
            parse_trigger(event_from(input.event)),
            automation_actions_from(input.actions, info.context.choices),
        )
        async with info.context.change(info.field_name) as connection:
            saved = await automations.create_automation(
                connection,
                info.context.tenant_id,
                name=input.name,
                description=input.description,
                enabled=input.enabled,
                trigger=trigger,
                actions=actions,
                idempotency_key=input.idempotency_key,
            )
        return AutomationPayload(id=saved.id, warnings=saved.warnings)

    @mutation("Change an automation, all of the change or nothing of it.", by=EDITORS)
    async def update_automation(self, info: strawberry.Info, input: UpdateAutomationInput) -> AutomationPayload | None:
        changes: dict[str, Any] = given(input)
        for name in ("name", "enabled", "event", "actions"):
            if changes.get(name, UNSET) is None:
                raise InvalidInput(f"{name} must not be null; leave it out to keep it.")
        automation_id = changes.pop("automation_id")
        event, actions = changes.pop("event", None), changes.pop("actions", None)
        trigger = None if event is None else parse_trigger(event_from(event))
        async with info.context.change(info.field_name) as connection:
            saved = await automations.update_automation(
                connection,
                info.context.tenant_id,
                automation_id,
                changes=changes,
                trigger=trigger,
                actions=None if actions is None else automation_actions_from(actions, info.context.choices),
            )
        return AutomationPayload(id=saved.id, warnings=saved.warnings)

    @mutation("Delete an automation. What it owes is still sent.", by=EDITORS)
    async def delete_automation(self, info: strawberry.Info, input: DeleteAutomationInput) -> SuccessPayload | None:
        async with info.context.change(info.field_name) as connection:
            await automations.delete_automation(connection, info.context.tenant_id, input.automation_id)
        return SuccessPayload()
