"""`automations serve`: the server, in one process or in several."""

import argparse
import gc
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import structlog

from automations.attachment import Backend
from automations.commands.shared import bring_up_to_date, check_url, database_url, interruptible, load_vault
from automations.commands.traces import check_traces, load_tracer
from automations.hosts import is_loopback
from automations.logs import configure_logs
from automations.metrics import counting_together
from automations.postgres import PostgresUnavailable
from automations.settings import Settings, SettingsError
from automations.terminal import fail
from automations.workers import run_workers

log = structlog.get_logger(__name__)


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "serve",
        help="run the server",
        description="Run the server: API, engine and delivery. Any number of them may share a database.",
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (default: 4200; 0 takes a free one)")
    parser.add_argument("--data-dir", help="folder of the embedded PostgreSQL and of the key that seals secrets")
    parser.add_argument("--workers", help="processes that share the port and the work (default: 1)")
    for role, what in (
        ("api", "answer no GraphQL and show no page"),
        ("engine", "leave it to others to decide what fires"),
        ("delivery", "leave it to others to send"),
    ):
        parser.add_argument(f"--no-{role}", dest="left_out", action="append_const", const=role, default=[], help=what)
    parser.add_argument(
        "--allow-unauthenticated",
        action="store_true",
        help="listen beyond the loopback with AUTOMATIONS_AUTH=off: everybody who reaches the server may do everything",
    )
    parser.set_defaults(command=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    _check_openness(settings, is_insisted_on=options.allow_unauthenticated or settings.allow_unauthenticated)
    roles = tuple(role for role in settings.roles if role not in options.left_out)
    if not roles:
        raise SettingsError("AUTOMATIONS_ROLES: nothing is left for this server to do")
    settings = replace(settings, roles=roles)
    check_traces()
    bound = _listen(settings)
    with database_url(settings) as url:
        _, backend = bring_up_to_date(url)
        if settings.read_database_url is not None:
            check_url("AUTOMATIONS_READ_DATABASE_URL", settings.read_database_url)
        if settings.pooled_database_url is not None:
            check_url("AUTOMATIONS_POOLED_DATABASE_URL", settings.pooled_database_url)
        if settings.workers > 1:
            with counting_together():
                return run_workers(
                    settings.workers, _work, (settings, bound, backend), on_ready=_tell_ready(settings, bound)
                )
        _run_server(settings, bound, url, backend, _tell_ready(settings, bound))
    return 0


def _check_openness(settings: Settings, *, is_insisted_on: bool) -> None:
    loopback = is_loopback(settings.host)
    if not (loopback or settings.asks_for_keys(loopback=loopback) or is_insisted_on):
        raise SettingsError(
            f"AUTOMATIONS_AUTH: is off, and {settings.host} can be reached from other machines: everybody there could "
            "read and change everything. Leave it on, listen on 127.0.0.1, or say --allow-unauthenticated."
        )


def _listen(settings: Settings) -> socket.socket:
    from automations import server

    try:
        return server.listen(settings.host, settings.port)
    except OSError as error:
        raise SettingsError(
            f"AUTOMATIONS_PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Stop what listens there, or take another port."
        ) from None


def _tell_ready(settings: Settings, bound: socket.socket) -> Callable[[], None]:
    host, port = bound.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pages = {"page": f"{address}/", "graphql": f"{address}/graphql"} if "api" in settings.roles else {}
    return lambda: log.info("ready", **pages, health=f"{address}/readyz")


def _work(settings: Settings, bound: socket.socket, backend: Backend, on_ready: Callable[[], None]) -> None:
    """One of several processes of a server."""
    configure_logs(format_=settings.log_format, level=settings.log_level)
    try:
        with interruptible(), database_url(settings) as url:
            _run_server(settings, bound, url, backend, on_ready)
    except SettingsError as error:
        sys.exit(fail(2, str(error)))
    except (PostgresUnavailable, ValueError) as error:
        sys.exit(fail(1, str(error)))


def _run_server(
    settings: Settings, bound: socket.socket, url: str, backend: Backend, on_ready: Callable[[], None]
) -> None:
    from automations import server
    from automations.app import create_app

    with closing(load_tracer()) as tracer:
        app = create_app(settings, database_url=url, vault=load_vault(settings), backend=backend, tracer=tracer)
        gc.freeze()  # what the start made stays: the collector need not look at it again and again
        server.run(app, bound, on_ready=on_ready)
