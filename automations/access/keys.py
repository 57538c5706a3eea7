"""API keys: made, listed and deleted. A key is shown once, when it is made; the database has its hash only.

A plain SHA-256: slow hashes protect what people think up, and 256 random bits cannot be guessed at any speed.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from automations.access.roles import Role
from automations.database import Connection, Record, UniqueViolation, load_queries
from automations.errors import Conflict, Forbidden, InvalidInput, NotFound

queries = load_queries("access")

KEY: Final = re.compile(r"(automations_[0-9a-f]{16})_[0-9a-f]{64}")
"""What a key looks like. The first part finds it and is no secret; the second is 256 random bits."""

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True)
class NewKey:
    """A key that was made; `text` is shown now and never again."""

    id: UUID
    text: str = field(repr=False)


def hash_of(text: str) -> bytes:
    """What is kept of a key, of 32 bytes."""
    return sha256(text.encode()).digest()


async def create_key(
    connection: Connection,
    tenant_id: UUID,
    *,
    name: str,
    role: Role,
    expires_at: datetime | None = None,
    all_tenants: bool = False,
    reads_secrets: bool = False,
) -> NewKey:
    """Make a key. Its name is its own among the tenant's keys."""
    if not _NAME.fullmatch(name) or not name.strip():
        raise InvalidInput("name must have 1 to 200 characters and no control characters.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at must be in the future.")
    if reads_secrets and role is not Role.AGENT:
        raise InvalidInput("reads_secrets is for keys with the role agent.")
    beginning = f"automations_{secrets.token_hex(8)}"
    text = f"{beginning}_{secrets.token_hex(32)}"
    try:
        key_id = await queries.insert_key(
            connection,
            tenant_id=tenant_id,
            name=name,
            role=role.value,
            expires_at=expires_at,
            all_tenants=all_tenants,
            reads_secrets=reads_secrets,
            beginning=beginning,
            hash=hash_of(text),
        )
    except UniqueViolation:
        raise Conflict(f"There is an API key {name!r} already. Delete that one first, or take another name.") from None
    return NewKey(UUID(str(key_id)), text)


async def delete_key(connection: Connection, tenant_id: UUID, key_id: UUID, *, by_all_tenants: bool) -> None:
    """Revoke a key. One for all tenants is revoked by its like only. Needs a transaction."""
    row = await queries.get_key(connection, tenant_id=tenant_id, key_id=key_id)
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    if row["all_tenants"] and not by_all_tenants:
        raise Forbidden("A key for all tenants is deleted with a key for all tenants only.")
    await queries.delete_key(connection, tenant_id=tenant_id, key_id=key_id)


async def any_key(connection: Connection) -> bool:
    """Whether there is a key in any tenant."""
    return bool(await queries.any_key(connection))


async def list_keys(connection: Connection) -> Sequence[Record]:
    """The keys of all tenants that were not deleted."""
    return [row async for row in queries.list_keys(connection)]
