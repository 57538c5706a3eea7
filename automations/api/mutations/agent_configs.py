"""Agent configs: groups of agents with common settings."""

from uuid import UUID

import strawberry
from strawberry.types.unset import UNSET

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.inputs import given
from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json
from automations.errors import InvalidInput
from automations.orchestration import agents
from automations.orchestration.repeats import once


@strawberry.input(name="create_agent_config_input", description="A group of agents.")
class CreateAgentConfigInput:
    name: str | None = optional("Its name.")
    settings: Json | None = optional("Its settings: an object.")
    tenant_id: UUID | None = optional("Accepted and not used: the caller's tenant counts.")
    idempotency_key: str | None = optional("The same key gives the same agent config.")


@strawberry.input(name="update_agent_config_input", description="What to change; what is absent stays.")
class UpdateAgentConfigInput:
    agent_config_id: UUID = strawberry.field(description="The agent config.")
    name: str | None = strawberry.field(default=UNSET, description="Its new name; null empties it.")
    settings: Json | None = strawberry.field(default=UNSET, description="Its new settings: an object.")


@strawberry.input(name="delete_agent_config_input", description="An agent config to delete.")
class DeleteAgentConfigInput:
    agent_config_id: UUID = strawberry.field(description="The agent config.")


@strawberry.type
class AgentConfigMutations:
    @mutation("Make a group of agents.", by=EDITORS, on_backend=True)
    async def create_agent_config(self, info: strawberry.Info, input: CreateAgentConfigInput) -> IdPayload | None:
        tenant_id, settings = info.context.tenant_id, _settings(input.settings or {})
        async with info.context.database.transaction() as connection:
            config_id = await once(
                connection,
                tenant_id,
                "agent_config",
                input.idempotency_key,
                lambda: agents.create_agent_config(connection, tenant_id, name=input.name, settings=settings),
            )
        return IdPayload(id=config_id)

    @mutation("Change a group of agents.", by=EDITORS, on_backend=True)
    async def update_agent_config(self, info: strawberry.Info, input: UpdateAgentConfigInput) -> SuccessPayload | None:
        changes = given(input)
        config_id = changes.pop("agent_config_id")
        if "settings" in changes:
            changes["settings"] = _settings(changes["settings"])
        async with info.context.database.connection() as connection:
            await agents.update_agent_config(connection, info.context.tenant_id, config_id, changes)
        return SuccessPayload()

    @mutation("Delete a group of agents; its agents stay, in no group.", by=EDITORS, on_backend=True)
    async def delete_agent_config(self, info: strawberry.Info, input: DeleteAgentConfigInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await agents.delete_agent_config(connection, info.context.tenant_id, input.agent_config_id)
        return SuccessPayload()


def _settings(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidInput("settings must be an object.")
    return value
