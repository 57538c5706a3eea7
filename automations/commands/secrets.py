"""`automations secrets rotate`: a new key for what is sealed."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from automations.access.authors import set_author
from automations.attachment import connected_servers
from automations.commands.shared import ACTOR, bring_up_to_date, connected, database_url
from automations.database import CLIENT_ERRORS
from automations.definitions.secrets import reseal_secrets
from automations.settings import Settings
from automations.vault import KEY_FILE, SecretUnreadable, Vault, add_key, drop_old_keys


def add(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    parser = commands.add_parser("secrets", help="change the key that seals secrets")
    actions = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    rotate = actions.add_parser(
        "rotate",
        help="seal every secret with a new key",
        description="Seal every secret of all tenants with a new key. With a key file, stop the server first: the new "
        "key is made here. With AUTOMATIONS_SECRET_KEYS, put the new key in front, start every server again, run "
        "this, and drop the old key then.",
    )
    rotate.add_argument("--data-dir", help="folder of the embedded PostgreSQL and of the key file")
    rotate.set_defaults(command=run)


def run(settings: Settings, _options: argparse.Namespace) -> int:
    """Seal again what the newest key did not seal. ValueError says why it cannot be done; then nothing has changed."""
    secret_keys, data_dir = settings.secret_keys, settings.data_dir
    try:
        with database_url(settings) as url:
            bring_up_to_date(url)
            count = asyncio.run(_rotate(url, secret_keys, data_dir))
    except CLIENT_ERRORS as error:
        raise ValueError(f"the database cannot be used: {error}") from None
    except SecretUnreadable as error:
        raise ValueError(f"{error}. Nothing was changed.") from None
    sys.stdout.write(f"{count} secrets were sealed again\n")
    if secret_keys is None:
        sys.stdout.write(f"The new key is in {data_dir / KEY_FILE}: copy it to where you keep the old one.\n")
    return 0


async def _rotate(url: str, secret_keys: str | None, data_dir: Path) -> int:
    async with connected(url) as connection:
        if secret_keys is None:
            if others := await connected_servers(connection):
                raise ValueError(f"a server runs ({others} sessions) that would not know the new key: stop it first")
            add_key(data_dir)  # from here to the end the file holds both: whenever this is cut short, all opens
        async with connection.transaction():
            await set_author(connection, actor=ACTOR, operation="secrets rotate")
            count = await reseal_secrets(connection, Vault.load(secret_keys, data_dir))
    if secret_keys is None:
        drop_old_keys(data_dir)
    return count
