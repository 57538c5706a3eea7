"""The command line."""

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import structlog

from automations import __version__
from automations.attachment import Backend, find_backend
from automations.backup_commands import add_backup_commands, run_backup, run_restore
from automations.database import CLIENT_ERRORS, Database
from automations.detach_command import add_detach_command, run_detach
from automations.doctor_command import add_doctor_command, run_doctor
from automations.hosts import is_loopback
from automations.key_commands import add_key_commands, run_key_command
from automations.logs import configure_logs
from automations.metrics import counting_together
from automations.migrations import Migration, MigrationError, migrate
from automations.postgres import EmbeddedPostgres, PostgresUnavailable
from automations.secret_commands import add_secret_commands, run_rotation
from automations.settings import Settings, SettingsError, load_client_settings, load_settings
from automations.status_command import add_status_command, run_status
from automations.vault import Vault
from automations.workers import run_workers

if TYPE_CHECKING:
    from automations.client import AutomationsClient

log = structlog.get_logger(__name__)

_OPTIONS = ("host", "port", "data_dir", "workers")
"""Settings that a command may be given as options too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 it failed, 2 the call or a setting was wrong.

    One that a signal ended before it was done exits with 128 and the signal's number.
    """
    options = _parser().parse_args(arguments)
    try:
        if hasattr(options, "client_command"):
            return _run_client(options)
        settings = load_settings(**{name: getattr(options, name, None) for name in _OPTIONS})
        configure_logs(format_=settings.log_format, level=settings.log_level)
        with _interruptible():
            return int(options.command(settings, options) or 0)
    except SettingsError as error:
        return _fail(2, str(error))
    except (MigrationError, PostgresUnavailable, ValueError) as error:
        return _fail(1, str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="automations",
        description="Watches flow runs and agents, and acts when something happens to them.",
        epilog="Settings come from the environment (AUTOMATIONS_*); the README has a table of them.",
    )
    parser.add_argument("--version", action="version", version=f"automations {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve",
        help="run the server",
        description="Run the server: API, engine and delivery. Any number of them may share a database.",
    )
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (default: 4200; 0 takes a free one)")
    serve.add_argument("--data-dir", help="folder of the embedded PostgreSQL and of the key that seals secrets")
    serve.add_argument("--workers", help="processes that share the port and the work (default: 1)")
    for role, what in (
        ("api", "answer no GraphQL and show no page"),
        ("engine", "leave it to others to decide what fires"),
        ("delivery", "leave it to others to send"),
    ):
        serve.add_argument(f"--no-{role}", dest="left_out", action="append_const", const=role, default=[], help=what)
    serve.add_argument(
        "--allow-unauthenticated",
        action="store_true",
        help="listen beyond the loopback with AUTOMATIONS_AUTH=off: everybody who reaches the server may do everything",
    )
    serve.set_defaults(command=_serve)

    migrate_ = commands.add_parser("migrate", help="bring the database to the newest schema (serve does it by itself)")
    migrate_.add_argument("--data-dir", help="folder of the embedded PostgreSQL")
    migrate_.set_defaults(command=_migrate)

    add_status_command(commands, _status)
    add_doctor_command(commands, _doctor)
    add_key_commands(commands, _keys)
    add_secret_commands(commands, _rotate)
    add_backup_commands(commands, _backup, _restore)
    add_detach_command(commands, _detach)

    schema = commands.add_parser("schema", help="print the GraphQL schema")
    schema.set_defaults(command=_schema)

    demo = commands.add_parser("demo", help="watch it at work on simulated flows, through a kill -9")
    demo.add_argument("--quick", action="store_true", help="a shorter one")
    demo.set_defaults(command=_demo)
    _add_file_commands(commands)
    return parser


def _add_file_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    apply.set_defaults(client_command=_apply)

    diff = commands.add_parser(
        "diff",
        parents=[server, files],
        help="compare files with a server",
        description="Show what apply would do.",
        epilog="Exit code: 0 nothing, 1 something, 2 that cannot be told.",
    )
    diff.set_defaults(client_command=_diff)

    export = commands.add_parser(
        "export",
        parents=[server],
        help="print a server's automations as a file",
        description="Print the server's automations and saved actions as a file for apply.",
    )
    export.set_defaults(client_command=_export)


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    from automations import server

    loopback = is_loopback(settings.host)
    is_insisted_on = options.allow_unauthenticated or settings.allow_unauthenticated
    if not (loopback or settings.asks_for_keys(loopback=loopback) or is_insisted_on):
        raise SettingsError(
            f"AUTOMATIONS_AUTH: is off, and {settings.host} can be reached from other machines: everybody there could "
            "read and change everything. Leave it on, listen on 127.0.0.1, or say --allow-unauthenticated."
        )
    roles = tuple(role for role in settings.roles if role not in options.left_out)
    if not roles:
        raise SettingsError("AUTOMATIONS_ROLES: nothing is left for this server to do")
    settings = replace(settings, roles=roles)
    try:
        bound = server.listen(settings.host, settings.port)
    except OSError as error:
        raise SettingsError(
            f"AUTOMATIONS_PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Stop what listens there, or take another port."
        ) from None
    host, port = bound.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pages = {"page": f"{address}/", "graphql": f"{address}/graphql"} if "api" in roles else {}

    def tell_ready() -> None:
        log.info("ready", **pages, health=f"{address}/readyz")

    with _database_url(settings) as url:
        _, backend = _run_migrations(url)
        if settings.workers > 1:
            with counting_together():
                return run_workers(settings.workers, _work, (settings, bound, backend), on_ready=tell_ready)
        _run_server(settings, bound, url, backend, tell_ready)
    return 0


def _work(settings: Settings, bound: socket.socket, backend: Backend, on_ready: Callable[[], None]) -> None:
    """One of several processes of a server."""
    configure_logs(format_=settings.log_format, level=settings.log_level)
    try:
        with _interruptible(), _database_url(settings) as url:
            _run_server(settings, bound, url, backend, on_ready)
    except SettingsError as error:
        sys.exit(_fail(2, str(error)))
    except (PostgresUnavailable, ValueError) as error:
        sys.exit(_fail(1, str(error)))


def _run_server(
    settings: Settings, bound: socket.socket, database_url: str, backend: Backend, on_ready: Callable[[], None]
) -> None:
    from automations import server
    from automations.app import create_app

    app = create_app(settings, database_url=database_url, vault=_vault(settings), backend=backend)
    gc.freeze()  # what the start made stays: the collector need not look at it again and again
    server.run(app, bound, on_ready=on_ready)


def _vault(settings: Settings) -> Vault:
    try:
        return Vault.load(settings.secret_keys, settings.data_dir)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _migrate(settings: Settings, _options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        applied, _ = _run_migrations(url)
    print(f"{len(applied)} migrations applied" if applied else "The database is at the newest schema")
    return 0


def _keys(settings: Settings, options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        _run_migrations(url)
        return run_key_command(url, options)


def _status(settings: Settings, options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        return run_status(url, as_json=options.json)


def _doctor(settings: Settings, options: argparse.Namespace) -> int:
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        raise ValueError(f"there is no database in {settings.data_dir} yet: automations serve makes one there")
    with _database_url(settings) as url:
        return run_doctor(
            url,
            orchestration_url=settings.orchestration_url,
            api_key=settings.orchestration_api_key,
            as_json=options.json,
        )


def _rotate(settings: Settings, _options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        _run_migrations(url)
        return run_rotation(url, secret_keys=settings.secret_keys, data_dir=settings.data_dir)


def _backup(settings: Settings, options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        return run_backup(url, options.file)


def _restore(settings: Settings, options: argparse.Namespace) -> int:
    with _database_url(settings) as url:
        return run_restore(url, options.file, load_vault=partial(_vault, settings))


def _detach(settings: Settings, options: argparse.Namespace) -> int:
    if settings.database_url is None:
        raise SettingsError("AUTOMATIONS_DATABASE_URL: say which database to leave")
    return run_detach(settings.database_url, yes=options.yes)


def _schema(_settings: Settings, _options: argparse.Namespace) -> int:
    from automations.api.schema import schema

    sys.stdout.write(schema.as_str() + "\n")
    return 0


def _demo(_settings: Settings, options: argparse.Namespace) -> int:
    from automations.demo import run_demo

    return run_demo(quick=options.quick)


def _run_client(options: argparse.Namespace) -> int:
    """Run a command that needs a server and nothing else of this machine. What goes wrong first is a wrong call: 2."""
    from automations.client import AutomationsClient, AutomationsError
    from automations.files.problems import FileProblems

    settings = load_client_settings(url=options.url)
    try:
        with AutomationsClient(settings.url, settings.api_key, settings.tenant_id) as client:
            return int(options.client_command(client, options))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except FileProblems as error:
        return _fail(2, f"nothing was changed\n{error}")
    except AutomationsError as error:
        return _fail(2, str(error))


def _apply(client: "AutomationsClient", options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.apply(client, options.file, prune=options.prune, yes=options.yes, dry_run=options.dry_run)


def _diff(client: "AutomationsClient", options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.diff(client, options.file, prune=options.prune)


def _export(client: "AutomationsClient", _options: argparse.Namespace) -> int:
    from automations.files import commands

    return commands.export(client)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Make SIGTERM unwind what was begun, an embedded PostgreSQL above all, as Ctrl-C does.

    While the server runs, it has handlers of its own. asyncio ends what it runs in order at an interrupt only.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.raise_signal(signal.SIGINT)

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + (came[0] if came else signal.SIGINT)) from None
    finally:
        signal.signal(signal.SIGTERM, earlier)


@contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """The URL from the settings, or that of the embedded server, which runs meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres.attach(settings.data_dir)
    try:
        with embedded.kept_alive():
            yield embedded.url
    finally:
        embedded.release()


def _run_migrations(url: str) -> tuple[list[Migration], Backend]:
    async def run() -> tuple[list[Migration], Backend]:
        connection = await Database(url).dedicated()
        try:
            applied, backend = await migrate(connection), await find_backend(connection)
        except BaseException:
            connection.terminate()  # closing would wait for the statement under way: at a signal, for somebody's lock
            raise
        await connection.close()
        return applied, backend

    try:
        return asyncio.run(run())
    except CLIENT_ERRORS as error:
        what = str(error) or type(error).__name__
        raise MigrationError(f"The database of AUTOMATIONS_DATABASE_URL cannot be used: {what}") from None


def _fail(code: int, message: str) -> int:
    sys.stderr.write(f"automations: {message}\n")
    return code
