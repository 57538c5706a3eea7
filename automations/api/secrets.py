"""Secrets as they are read: their names, and by flow runs their values."""

from typing import Annotated

import strawberry
import structlog

from automations.access.roles import Role
from automations.api.context import RequestContext
from automations.api.scalars import Json
from automations.definitions import secrets
from automations.errors import Forbidden

log = structlog.get_logger(__name__)

Name = Annotated[str, strawberry.argument(description="The secret's name.")]


async def secret_names(info: strawberry.Info) -> list[str]:
    context: RequestContext = info.context
    if context.caller.role is Role.AGENT:
        _require_reading(context, "secret_names")
    async with context.database.connection() as connection:
        return await secrets.secret_names(connection, context.tenant_id)


async def secret_value(info: strawberry.Info, name: Name) -> Json | None:
    context: RequestContext = info.context
    _require_reading(context, "secret_value")
    async with context.database.connection() as connection:
        value = await secrets.secret_value(connection, context.services.vault, context.tenant_id, name)
    log.info("a flow run read a secret", secret=name, key=context.caller.name, tenant_id=str(context.tenant_id))
    return Json(value)


def _require_reading(context: RequestContext, field: str) -> None:
    if not context.caller.reads_secrets:
        raise Forbidden(f"{field} needs an agent's key that was made with reads_secrets.")
