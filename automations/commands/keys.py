"""`automations key …`: API keys for those who have the database. The first one of an installation is made here."""

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from automations.access import keys
from automations.access.authors import set_author
from automations.access.roles import Role
from automations.commands.shared import ACTOR, bring_up_to_date, connected, database_url
from automations.database import DedicatedConnection
from automations.errors import InvalidInput, RequestError
from automations.orchestration.tenants import ensure_default_tenant, tenant_of
from automations.settings import Settings


def add(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    parser = commands.add_parser("key", help="make, list and revoke API keys")
    actions = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    create = actions.add_parser("create", help="make a key and print it, once")
    create.add_argument("name", help="its name, its own among the tenant's keys")
    create.add_argument("--role", required=True, choices=[role.value for role in Role], help="what it is for")
    create.add_argument("--tenant", metavar="SLUG", help="the tenant it speaks for (default: the first one)")
    create.add_argument("--all-tenants", action="store_true", help="it may speak for every tenant")
    create.add_argument("--expires-in", metavar="TIME", help="how long it is valid, such as 12h or 90d (default: ever)")
    create.add_argument("--reads-secrets", action="store_true", help="flow runs read values of secrets with it")
    create.set_defaults(command=run, key_command=create_key, operation="key create")

    list_ = actions.add_parser("list", help="list the keys of all tenants")
    list_.set_defaults(command=run, key_command=list_keys, operation="key list")

    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id", help="its id, as list shows it")
    revoke.set_defaults(command=run, key_command=revoke_key, operation="key revoke")
    for command in (create, list_, revoke):
        command.add_argument("--data-dir", help="folder of the embedded PostgreSQL")


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run one of the commands below; ValueError says why it cannot be done."""
    command: Callable[[DedicatedConnection, argparse.Namespace], Awaitable[str]] = options.key_command

    async def act(url: str) -> str:
        async with connected(url) as connection, connection.transaction():
            await set_author(connection, actor=ACTOR, operation=options.operation)
            return await command(connection, options)

    try:
        with database_url(settings) as url:
            bring_up_to_date(url)
            sys.stdout.write(asyncio.run(act(url)))
    except RequestError as error:
        raise ValueError(str(error)) from None
    return 0


async def create_key(connection: DedicatedConnection, options: argparse.Namespace) -> str:
    """Only the key, so that a script can take it."""
    tenant_id = await _tenant(connection, options.tenant)
    made = await keys.create_key(
        connection,
        tenant_id,
        name=options.name,
        role=Role(options.role),
        expires_at=_expiry(options.expires_in),
        all_tenants=options.all_tenants,
        reads_secrets=options.reads_secrets,
    )
    sys.stderr.write(f"Key {made.id}, which is shown this once:\n")
    return f"{made.text}\n"


async def list_keys(connection: DedicatedConnection, _options: argparse.Namespace) -> str:
    """One line for each key."""
    rows = [("ID", "TENANT", "NAME", "ROLE", "BEGINS", "EXPIRES", "LAST USED")]
    for key in await keys.list_keys(connection):
        tenant = "(all)" if key["all_tenants"] else key["tenant"] or str(key["tenant_id"])
        times = [
            f"{moment:%Y-%m-%d %H:%M}" if moment else "never" for moment in (key["expires_at"], key["last_used_at"])
        ]
        rows.append((str(key["id"]), tenant, key["name"], key["role"], key["beginning"], times[0], times[1]))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


async def revoke_key(connection: DedicatedConnection, options: argparse.Namespace) -> str:
    """Running servers refuse it from now on."""
    for key in await keys.list_keys(connection):
        if str(key["id"]) == options.id:
            await keys.delete_key(connection, key["tenant_id"], key["id"], by_all_tenants=True)
            return f"{key['name']} is revoked\n"
    raise InvalidInput(f"There is no key {options.id[:50]!r}: automations key list shows their ids.")


async def _tenant(connection: DedicatedConnection, slug: str | None) -> UUID:
    if slug is None:
        return await ensure_default_tenant(connection)
    tenant_id = await tenant_of(connection, slug)
    if tenant_id is None:
        raise InvalidInput(f"There is no tenant with the slug {slug!r}.")
    return tenant_id


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hd])", text)
    if not found:
        raise InvalidInput("--expires-in takes hours or days, such as 12h or 90d.")
    return datetime.now(UTC) + int(found[1]) * timedelta(hours=1 if found[2] == "h" else 24)
