"""What the API says of the caller, of itself and of states."""

from datetime import datetime
from uuid import UUID

import strawberry

from automations import __version__
from automations.api.context import RequestContext
from automations.api.fields import resolved
from automations.api.scalars import Json
from automations.orchestration.state_classes import STATE_HIERARCHY, STATE_INFO
from automations.orchestration.tenants import list_tenants

CORE_VERSION = "1.4.1"


@strawberry.type(name="tenant_choice", description="A tenant that may be spoken for: X-PREFECT-TENANT-ID picks it.")
class TenantChoice:
    id: UUID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name.")
    slug: str = strawberry.field(description="Its name in addresses.")


@strawberry.type(name="auth_info", description="Who asks.")
class AuthInfo:
    tenant_id: UUID = strawberry.field(description="The tenant that is spoken for.")
    role: str = strawberry.field(description="admin, editor, viewer or agent.")
    name: str = strawberry.field(description="Name of the API key; unauthenticated where none is needed.")
    key_id: UUID | None = strawberry.field(description="The API key.")
    all_tenants: bool = strawberry.field(description="Whether other tenants may be spoken for, too.")
    reads_secrets: bool = strawberry.field(description="Whether flow runs read values of secrets with the key.")
    expires_at: datetime | None = strawberry.field(description="When the key ends to be valid.")

    @resolved("The tenants that may be spoken for, by name; as many as a list may hold.")
    async def tenants(self, info: strawberry.Info) -> list[TenantChoice]:
        context: RequestContext = info.context
        only = None if self.all_tenants else self.tenant_id
        async with context.database.connection() as connection:
            rows = await list_tenants(connection, only=only, most=context.services.max_rows)
        return [TenantChoice(id=row["id"], name=row["name"], slug=row["slug"]) for row in rows]


@strawberry.type(name="api_info", description="What answers.")
class ApiInfo:
    backend: str = strawberry.field(description="SERVER: what existing clients know it as.")
    mode: str = strawberry.field(description="normal.")
    version: str = strawberry.field(description="Version of Automations.")
    core_version: str = strawberry.field(description="Version of Prefect whose clients it speaks with.")
    release_timestamp: str | None = strawberry.field(description="Null.")


@strawberry.type(name="reference_data", description="What states there are.")
class ReferenceData:
    state_hierarchy: Json = strawberry.field(description="Each state with itself and all that descend from it.")
    state_info: Json = strawberry.field(description="The colour of each state.")


async def auth_info(info: strawberry.Info) -> AuthInfo | None:
    caller = info.context.caller
    return AuthInfo(
        tenant_id=caller.tenant_id,
        role=caller.role.value,
        name=caller.name,
        key_id=caller.key_id,
        all_tenants=caller.all_tenants,
        reads_secrets=caller.reads_secrets,
        expires_at=caller.expires_at,
    )


def api_info() -> ApiInfo | None:
    return ApiInfo(
        backend="SERVER", mode="normal", version=__version__, core_version=CORE_VERSION, release_timestamp=None
    )


def reference_data() -> ReferenceData | None:
    return ReferenceData(state_hierarchy=Json(STATE_HIERARCHY), state_info=Json(STATE_INFO))
