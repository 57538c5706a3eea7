"""`automations apply`, `diff` and `export`: clients of a server, which need nothing else of this machine."""

import argparse
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from automations.settings import load_client_settings
from automations.terminal import fail

if TYPE_CHECKING:
    from automations.client import AutomationsClient

Act = Callable[["AutomationsClient", argparse.Namespace], int]


def add(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    server = argparse.ArgumentParser(add_help=False)
    server.add_argument("--url", help="the server (default: AUTOMATIONS_URL, or http://127.0.0.1:4200)")
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument(
        "-f", "--file", action="append", required=True, metavar="FILE", help="a YAML file; - is the input"
    )
    files.add_argument("--prune", action="store_true", help="delete what the server has and the files do not name")

    apply = commands.add_parser(
        "apply",
        parents=[server, files],
        help="make a server have the automations of files",
        description="Show what has to be done so that the server has what the files say, ask, and do it.",
        epilog="Exit code: 0 done, or nothing to do; 1 not done; 2 the files or the call were wrong.",
    )
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument("--dry-run", action="store_true", help="show it only")
    apply.set_defaults(client_command=partial(_run, _apply))

    diff = commands.add_parser(
        "diff",
        parents=[server, files],
        help="compare files with a server",
        description="Show what apply would do.",
        epilog="Exit code: 0 nothing, 1 something, 2 that cannot be told.",
    )
    diff.set_defaults(client_command=partial(_run, _diff))

    export = commands.add_parser(
        "export",
        parents=[server],
        help="print a server's automations as a file",
        description="Print the server's automations and saved actions as a file for apply.",
    )
    export.set_defaults(client_command=partial(_run, _export))


def _run(act: Act, options: argparse.Namespace) -> int:
    """Run a command. What goes wrong first is a wrong call: 2."""
    from automations.client import AutomationsClient, AutomationsError
    from automations.files.problems import FileProblems

    settings = load_client_settings(url=options.url)
    try:
        with AutomationsClient(settings.url, settings.api_key, settings.tenant_id) as client:
            return act(client, options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except FileProblems as error:
        return fail(2, f"nothing was changed\n{error}")
    except AutomationsError as error:
        return fail(2, str(error))


def _apply(client: "AutomationsClient", options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.apply(client, options.file, prune=options.prune, yes=options.yes, dry_run=options.dry_run)


def _diff(client: "AutomationsClient", options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.diff(client, options.file, prune=options.prune)


def _export(client: "AutomationsClient", _options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.export(client)
