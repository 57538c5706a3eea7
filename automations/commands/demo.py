"""`automations demo`: the server at work on simulated flows."""

import argparse
from typing import Any

from automations.settings import Settings


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser("demo", help="watch it at work on simulated flows, through a kill -9")
    parser.add_argument("--quick", action="store_true", help="a shorter one")
    parser.set_defaults(command=run)


def run(_settings: Settings, options: argparse.Namespace) -> int:
    """Run it in a folder of its own."""
    from automations.demo import run_demo

    return run_demo(quick=options.quick)
