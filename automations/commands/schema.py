"""`automations schema`: the GraphQL schema."""

import argparse
import sys
from typing import Any

from automations.settings import Settings


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser("schema", help="print the GraphQL schema")
    parser.set_defaults(command=run)


def run(_settings: Settings, _options: argparse.Namespace) -> int:
    """Print it in the schema definition language."""
    from automations.api.schema import schema

    sys.stdout.write(schema.as_str() + "\n")
    return 0
