"""Tenants and projects."""

from uuid import UUID

import strawberry

from automations.access.roles import ADMINS, EDITORS
from automations.api.context import RequestContext
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.errors import Forbidden
from automations.orchestration import tenants
from automations.orchestration.repeats import once


@strawberry.input(name="create_tenant_input", description="A new tenant.")
class CreateTenantInput:
    name: str = strawberry.field(description="Its name.")
    slug: str | None = optional("Its name in addresses; made from the name by default.")
    idempotency_key: str | None = optional("The same key from the same tenant gives the same tenant.")


@strawberry.input(name="create_project_input", description="A new project.")
class CreateProjectInput:
    name: str = strawberry.field(description="Its name, unique in the tenant.")
    description: str | None = optional("What it is for.")
    idempotency_key: str | None = optional("The same key gives the same project.")
    tenant_id: UUID | None = optional("Accepted and not used: the caller's tenant counts.")


@strawberry.input(name="delete_project_input", description="A project to delete.")
class DeleteProjectInput:
    project_id: UUID = strawberry.field(description="The project.")


@strawberry.type
class TenantMutations:
    @mutation("Make a tenant.", by=ADMINS, on_backend=True)
    async def create_tenant(self, info: strawberry.Info, input: CreateTenantInput) -> IdPayload | None:
        context: RequestContext = info.context
        if not context.caller.all_tenants:
            raise Forbidden("create_tenant needs a key for all tenants.")
        async with context.database.transaction() as connection:
            tenant_id = await once(
                connection,
                context.tenant_id,
                "tenant",
                input.idempotency_key,
                lambda: tenants.create_tenant(connection, name=input.name, slug=input.slug),
            )
        return IdPayload(id=tenant_id)

    @mutation("Make a project.", by=EDITORS, on_backend=True)
    async def create_project(self, info: strawberry.Info, input: CreateProjectInput) -> IdPayload | None:
        tenant_id = info.context.tenant_id
        async with info.context.database.transaction() as connection:
            project_id = await once(
                connection,
                tenant_id,
                "project",
                input.idempotency_key,
                lambda: tenants.create_project(connection, tenant_id, name=input.name, description=input.description),
            )
        return IdPayload(id=project_id)

    @mutation("Delete a project with its flows and their runs.", by=EDITORS, on_backend=True)
    async def delete_project(self, info: strawberry.Info, input: DeleteProjectInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await tenants.delete_project(connection, info.context.tenant_id, input.project_id)
        return SuccessPayload()
