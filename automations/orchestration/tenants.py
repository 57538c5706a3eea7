"""Tenants and their projects."""

import re
from uuid import UUID

from automations.database import Connection, Record, UniqueViolation, load_queries
from automations.errors import Conflict, InvalidInput, NotFound

queries = load_queries("orchestration")


async def ensure_default_tenant(connection: Connection) -> UUID:
    """The first tenant, made if there is none. An existing backend's tables are only read: there is one."""
    while (tenant_id := await queries.first_tenant(connection)) is None:
        await queries.make_first_tenant(connection)
    return UUID(str(tenant_id))


async def tenant_exists(connection: Connection, tenant_id: UUID) -> bool:
    return bool(await queries.tenant_exists(connection, tenant_id=tenant_id))


async def tenant_of(connection: Connection, slug: str) -> UUID | None:
    """Id of the tenant with this slug, or None."""
    tenant_id = await queries.tenant_of_slug(connection, slug=slug)
    return None if tenant_id is None else UUID(str(tenant_id))


async def list_tenants(connection: Connection, *, only: UUID | None, most: int) -> list[Record]:
    """id, name and slug of every tenant by name, at most so many; or of the only one."""
    if only is not None:
        return [row async for row in queries.one_tenant(connection, tenant_id=only)]
    return [row async for row in queries.all_tenants(connection, most=most)]


async def create_tenant(connection: Connection, *, name: str, slug: str | None) -> UUID:
    """Make a tenant; without a slug, one is made from the name."""
    if not name.strip():
        raise InvalidInput("name must not be empty.")
    slug = slug or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug):
        raise InvalidInput("slug takes lower-case letters, digits and hyphens, and begins and ends without a hyphen.")
    try:
        return UUID(str(await queries.create_tenant(connection, name=name, slug=slug)))
    except UniqueViolation:
        raise Conflict(f"There is a tenant with the slug {slug!r} already.") from None


async def create_project(connection: Connection, tenant_id: UUID, *, name: str, description: str | None) -> UUID:
    """Make a project."""
    if not name.strip():
        raise InvalidInput("name must not be empty.")
    try:
        project_id = await queries.create_project(connection, tenant_id=tenant_id, name=name, description=description)
    except UniqueViolation:
        raise Conflict("Uniqueness violation.") from None  # the exact text that Prefect 1 clients look for
    return UUID(str(project_id))


async def delete_project(connection: Connection, tenant_id: UUID, project_id: UUID) -> None:
    """Delete a project with its flows and their runs."""
    if not await queries.delete_project(connection, tenant_id=tenant_id, project_id=project_id):
        raise NotFound(f"There is no project {project_id}.")
