"""Secrets: written once, and shown to flow runs only."""

import re
from typing import Any
from uuid import UUID

import orjson

from automations.database import Connection, load_queries
from automations.errors import Conflict, InvalidInput, NotFound
from automations.vault import SecretUnreadable, Vault

queries = load_queries("definition")

NAME = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
VALUE_BYTES = 64_000


async def set_secret(connection: Connection, vault: Vault, tenant_id: UUID, *, name: str, value: Any) -> None:
    """Seal a JSON value under a name, in place of an earlier one."""
    if not NAME.fullmatch(name) or not name.strip():
        raise InvalidInput("name must have 1 to 255 characters and no control characters.")
    plaintext = orjson.dumps(value)
    if len(plaintext) > VALUE_BYTES:
        raise InvalidInput(f"value has {len(plaintext)} bytes; a secret may have {VALUE_BYTES}.")
    await queries.set_secret(connection, tenant_id=tenant_id, name=name, sealed=vault.seal(tenant_id, name, plaintext))


async def delete_secret(connection: Connection, tenant_id: UUID, name: str) -> None:
    """Delete a secret; actions that use it fail with a reason until it is set again."""
    if not await queries.delete_secret(connection, tenant_id=tenant_id, name=name):
        raise NotFound(f"There is no secret {name!r}.")


async def secret_value(connection: Connection, vault: Vault, tenant_id: UUID, name: str) -> Any:
    """The JSON value of a secret, for a flow run. Conflict, which says why, for one that does not open."""
    sealed = await queries.get_secret(connection, tenant_id=tenant_id, name=name)
    if sealed is None:
        raise NotFound("No value found for the requested key")  # the exact text that Prefect 1 clients look for
    try:
        return orjson.loads(vault.open(tenant_id, name, sealed))
    except SecretUnreadable as error:
        raise Conflict(str(error)) from None


async def secret_names(connection: Connection, tenant_id: UUID) -> list[str]:
    """The names there are, in order."""
    return list(await queries.secret_names(connection, tenant_id=tenant_id))


async def reseal_secrets(connection: Connection, vault: Vault) -> int:
    """Seal with the vault's first key what another one sealed, of all tenants; how many there were.

    SecretUnreadable for one that does not open: run it in a transaction, so that it is all or nothing.
    """
    count = 0
    for row in [row async for row in queries.sealed_secrets(connection)]:
        tenant_id, name, sealed = row["tenant_id"], row["name"], row["sealed"]
        if not vault.is_current(sealed):
            plaintext = vault.open(tenant_id, name, sealed)
            await queries.reseal(
                connection, tenant_id=tenant_id, name=name, sealed=vault.seal(tenant_id, name, plaintext)
            )
            count += 1
    return count


async def unreadable_secrets(connection: Connection, vault: Vault) -> list[str]:
    """Names of the secrets, of all tenants, that no key of the vault opens."""
    names = []
    async for row in queries.sealed_secrets(connection):
        try:
            vault.open(row["tenant_id"], row["name"], row["sealed"])
        except SecretUnreadable:
            names.append(row["name"])
    return names
