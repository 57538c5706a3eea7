"""`automations detach`: leaves an existing backend's database as it was before Automations attached to it."""

import argparse
import asyncio
import sys
from typing import Any

from automations.attachment import Leaving, has_schema, is_attached, leave, look_at_leaving, wait_briefly
from automations.commands.shared import connected
from automations.database import CLIENT_ERRORS, DedicatedConnection, LockTimeout
from automations.migrations import alone
from automations.settings import Settings, SettingsError
from automations.terminal import confirmed

_COUNTED = {
    "automations": "automations",
    "saved_actions": "saved actions",
    "slas": "SLAs",
    "secrets": "secrets",
    "api_keys": "API keys",
    "deliveries": "deliveries, the ledger of what was sent",
    "unsent": "of them not sent yet",
    "audit_events": "audit events",
}


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "detach",
        help="leave an existing backend's database as it was before",
        description="Remove schema automations, with all that is in it, and our triggers from the database of an "
        "existing backend. Shows what goes, asks, and does it.",
        epilog="Exit code: 0 it is gone, 1 nothing was changed.",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(command=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Leave the database of the settings."""
    if settings.database_url is None:
        raise SettingsError("AUTOMATIONS_DATABASE_URL: say which database to leave")
    return run_detach(settings.database_url, yes=options.yes)


def run_detach(database_url: str, *, yes: bool) -> int:
    """Show what goes, ask, and do it; the exit code. ValueError says why it cannot be done."""

    async def run() -> int:
        async with connected(database_url) as connection:
            return await _detach(connection, yes=yes)

    try:
        return asyncio.run(run())
    except LockTimeout:
        raise ValueError(
            "nothing was changed: the backend has been writing for longer than it may be made to wait. "
            "Run this again at any time."
        ) from None
    except CLIENT_ERRORS as error:
        raise ValueError(f"nothing was changed: {error}") from None


async def _detach(connection: DedicatedConnection, *, yes: bool) -> int:
    if not await has_schema(connection):
        sys.stdout.write("Nothing of Automations is in this database.\n")
        return 0
    if not await is_attached(connection):
        raise ValueError(
            "nothing was changed: this database is no other backend's. Its flows and runs are Automations' own; to be "
            "rid of them, drop the database."
        )
    leaving = await look_at_leaving(connection)
    _check(leaving)
    sys.stdout.write(_shown(leaving))
    if not yes and not confirmed():
        return 1
    async with alone(connection), connection.transaction():
        await wait_briefly(connection)
        await leave(connection)
    sys.stdout.write("It is gone. The backend's own tables are as they were.\n")
    return 0


def _check(leaving: Leaving) -> None:
    if leaving.dependents:
        raise ValueError(
            f"nothing was changed: schema automations is used by {', '.join(leaving.dependents)}. Remove that first."
        )
    if leaving.connected_servers:
        raise ValueError(
            f"nothing was changed: {leaving.connected_servers} connections of Automations to this database are open. "
            "Stop its servers first."
        )


def _shown(leaving: Leaving) -> str:
    lines = ["This goes, and does not come back:"]
    lines += [f"  trigger {name} on {table}" for name, table in leaving.triggers]
    lines += ["  schema automations, with"]
    lines += [f"    {leaving.counts[name]:,} {noun}" for name, noun in _COUNTED.items()]
    lines += ["Nothing else in the database is touched."]
    return "".join(f"{line}\n" for line in lines)
