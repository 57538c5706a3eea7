"""The command line."""

import argparse
from collections.abc import Sequence

from automations import __version__
from automations.commands import backup, demo, detach, doctor, files, keys, migrate, schema, secrets, serve, status
from automations.commands.shared import interruptible
from automations.logs import configure_logs
from automations.migrations import MigrationError
from automations.postgres import PostgresUnavailable
from automations.settings import SettingsError, load_settings
from automations.terminal import fail

COMMANDS = (serve, migrate, status, doctor, keys, secrets, backup, detach, schema, demo, files)
OPTIONS = ("host", "port", "data_dir", "workers")
"""Settings that a command may be given as options too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 it failed, 2 the call or a setting was wrong.

    One that a signal ended before it was done exits with 128 and the signal's number.
    """
    options = _parser().parse_args(arguments)
    try:
        if hasattr(options, "client_command"):
            return int(options.client_command(options))
        settings = load_settings(**{name: getattr(options, name, None) for name in OPTIONS})
        configure_logs(format_=settings.log_format, level=settings.log_level)
        with interruptible():
            return int(options.command(settings, options))
    except SettingsError as error:
        return fail(2, str(error))
    except (MigrationError, PostgresUnavailable, ValueError) as error:
        return fail(1, str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="automations",
        description="Watches flow runs and agents, and acts when something happens to them.",
        epilog="Settings come from the environment (AUTOMATIONS_*); the README has a table of them.",
    )
    parser.add_argument("--version", action="version", version=f"automations {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
