"""`automations migrate`: the newest schema."""

import argparse
import sys
from typing import Any

from automations.commands.shared import bring_up_to_date, database_url
from automations.settings import Settings


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser("migrate", help="bring the database to the newest schema (serve does it by itself)")
    parser.add_argument("--data-dir", help="folder of the embedded PostgreSQL")
    parser.set_defaults(command=run)


def run(settings: Settings, _options: argparse.Namespace) -> int:
    """Migrate, and say how much there was to do."""
    with database_url(settings) as url:
        applied, _ = bring_up_to_date(url)
    sys.stdout.write(f"{len(applied)} migrations applied\n" if applied else "The database is at the newest schema\n")
    return 0
