"""API keys."""

from datetime import datetime
from uuid import UUID

import strawberry

from automations.access import keys
from automations.access.roles import ADMINS, Role
from automations.api.context import RequestContext
from automations.api.fields import enum, mutation, optional
from automations.api.payloads import SuccessPayload
from automations.errors import Forbidden, InvalidInput
from automations.orchestration.tenants import tenant_exists

ApiKeyRole = enum("role", [role.value for role in Role], "What an API key is for.")


@strawberry.input(name="create_api_key_input", description="An API key to make.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="Its name, 1 to 200 characters, its own among the tenant's keys.")
    role: ApiKeyRole = strawberry.field(description="What it is for.")  # type: ignore[valid-type]
    expires_at: datetime | None = optional("When it ends to be valid; never by default.")
    tenant_id: UUID | None = optional("The tenant it speaks for; the caller's by default.")
    all_tenants: bool = strawberry.field(default=False, description="Whether it may speak for every tenant.")
    reads_secrets: bool = strawberry.field(
        default=False, description="Whether flow runs read values of secrets with it; for the role agent."
    )


@strawberry.input(name="delete_api_key_input", description="An API key to revoke.")
class DeleteApiKeyInput:
    key_id: UUID = strawberry.field(description="The key's id.")


@strawberry.type(name="api_key_payload", description="An API key that was made.")
class ApiKeyPayload:
    id: UUID = strawberry.field(description="Its id.")
    key: str = strawberry.field(description="The key. It is shown now and never again.")


@strawberry.type
class ApiKeyMutations:
    @mutation("Make an API key. A call that is repeated makes no second one: it finds the name taken.", by=ADMINS)
    async def create_api_key(self, info: strawberry.Info, input: CreateApiKeyInput) -> ApiKeyPayload | None:
        context: RequestContext = info.context
        tenant_id = input.tenant_id or context.tenant_id
        if not context.caller.all_tenants and (input.all_tenants or tenant_id != context.tenant_id):
            raise Forbidden("A key for other tenants is made with a key for all tenants only.")
        async with context.change(info.field_name) as connection:
            if not await tenant_exists(connection, tenant_id):
                raise InvalidInput(f"There is no tenant {tenant_id}.")
            made = await keys.create_key(
                connection,
                tenant_id,
                name=input.name,
                role=Role(input.role),
                expires_at=input.expires_at,
                all_tenants=input.all_tenants,
                reads_secrets=input.reads_secrets,
            )
        return ApiKeyPayload(id=made.id, key=made.text)

    @mutation("Revoke an API key: it is refused from now on, by every process within a second.", by=ADMINS)
    async def delete_api_key(self, info: strawberry.Info, input: DeleteApiKeyInput) -> SuccessPayload | None:
        context: RequestContext = info.context
        async with context.change(info.field_name) as connection:
            await keys.delete_key(
                connection, context.tenant_id, input.key_id, by_all_tenants=context.caller.all_tenants
            )
        if context.services.keyring is not None:
            context.services.keyring.forget()
        return SuccessPayload()
