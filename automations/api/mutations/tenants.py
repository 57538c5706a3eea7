"""Tenants and projects."""

import strawberry

from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload
from automations.orchestration import tenants


@strawberry.input(name="create_tenant_input", description="A new tenant.")
class CreateTenantInput:
    name: str = strawberry.field(description="Its name.")
    slug: str | None = optional("Its name in addresses; made from the name by default.")


@strawberry.input(name="create_project_input", description="A new project.")
class CreateProjectInput:
    name: str = strawberry.field(description="Its name, unique in the tenant.")
    description: str | None = optional("What it is for.")


@strawberry.type
class TenantMutations:
    @mutation("Make a tenant.")
    async def create_tenant(self, info: strawberry.Info, input: CreateTenantInput) -> IdPayload | None:
        async with info.context.database.connection() as connection:
            return IdPayload(id=await tenants.create_tenant(connection, name=input.name, slug=input.slug))

    @mutation("Make a project.")
    async def create_project(self, info: strawberry.Info, input: CreateProjectInput) -> IdPayload | None:
        async with info.context.database.connection() as connection:
            project_id = await tenants.create_project(
                connection, info.context.tenant_id, name=input.name, description=input.description
            )
        return IdPayload(id=project_id)
