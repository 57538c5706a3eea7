"""The composition root: settings and a migrated database become a Starlette app whose lifespan runs the loops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from automations.access.callers import Callers
from automations.access.keyring import Keyring
from automations.access.keys import any_key
from automations.actions.contract import Choices, Orchestration
from automations.api.context import Services
from automations.api.endpoint import GraphQLEndpoint
from automations.api.sources import row_sources
from automations.api.subscriptions.hub import Hub
from automations.attachment import Backend
from automations.database import Database
from automations.delivery.attempts import Sender
from automations.delivery.destinations import Destinations
from automations.delivery.dispatcher import Dispatcher
from automations.delivery.rates import Circuit, at_once_of, rates_of
from automations.engine.agents import AgentGroups
from automations.engine.changes import ChangeFeed
from automations.engine.evaluator import Evaluator
from automations.engine.heartbeats import Heartbeats
from automations.engine.scheduler import Scheduler
from automations.engine.sla import SlaTimers
from automations.hosts import HostCheck, is_loopback
from automations.http import Http
from automations.links import Links
from automations.loop_delay import LoopDelay
from automations.mail import Mail, Mailserver
from automations.orchestration.local import LocalOrchestration
from automations.orchestration.queue import AgentQueue
from automations.orchestration.remote import RemoteOrchestration
from automations.orchestration.tenants import ensure_default_tenant
from automations.probes import Probes
from automations.request_ids import RequestIds
from automations.retention import Keep, Retention
from automations.settings import ANYWHERE, Settings
from automations.tracing import NO_TRACER, Tracer
from automations.trials import Trials
from automations.vault import Vault
from automations.watch import Watch
from automations.web import page_routes

log = structlog.get_logger(__name__)


class Part(Protocol):
    """A loop that runs as long as the process does."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...


def create_app(
    settings: Settings, *, database_url: str, vault: Vault, backend: Backend, tracer: Tracer = NO_TRACER
) -> Starlette:
    """The app of one process, with the roles that the settings give it.

    The database must have been migrated; `backend` says whose its watched tables are.
    """
    database = Database(
        database_url,
        reading_url=settings.read_database_url,
        pooled_url=settings.pooled_database_url,
        pool_size=settings.database_pool_size,
        tracer=tracer,
    )
    links = Links(ui_url=settings.ui_url, flow_run=settings.flow_run_link, flow=settings.flow_link)
    choices = Choices(
        phone_country=settings.phone_country,
        twilio_url=settings.twilio_url,
        pagerduty_url=settings.pagerduty_url,
        reaches_backend=not backend.is_attached or settings.orchestration_url is not None,
    )
    http = Http(
        allowed_networks=settings.sendable_networks(loopback=is_loopback(settings.host)),
        timeout_seconds=settings.send_timeout_seconds,
        connections_per_destination=settings.destination_concurrency,
    )
    backend_http = Http(allowed_networks=ANYWHERE, timeout_seconds=settings.send_timeout_seconds)
    dispatcher = None
    if "delivery" in settings.roles:
        orchestration = _orchestration(settings, database, backend, backend_http)
        dispatcher = _dispatcher(
            settings,
            database,
            orchestration=orchestration,
            vault=vault,
            http=http,
            links=links,
            choices=choices,
            tracer=tracer,
        )
    wake = _nobody_to_wake if dispatcher is None else dispatcher.wake
    parts = _loops(settings, database, backend, http, wake, tracer=tracer)
    changes = ChangeFeed(database)
    sources = row_sources(backend)
    hub = Hub(database, changes, most_rows=settings.max_rows, sources=sources)
    probes = Probes(database)
    keyring = Keyring(database) if settings.asks_for_keys(loopback=is_loopback(settings.host)) else None
    if "api" in settings.roles:
        parts += [changes] if keyring is None else [changes, keyring]

    def endpoint(callers: Callers) -> GraphQLEndpoint:
        services = Services(
            database=database,
            vault=vault,
            trials=Trials(database, wake=wake, links=links, send_timeout_seconds=settings.send_timeout_seconds),
            agent_queue=AgentQueue(database),
            max_rows=settings.max_rows,
            choices=choices,
            is_attached=backend.is_attached,
            sources=sources,
            keyring=keyring,
            tracer=tracer,
        )
        return GraphQLEndpoint(services, callers, hub, settings=settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await database.connect()
        async with database.connection() as connection:
            tenant_id = await ensure_default_tenant(connection)
            if "api" in settings.roles and keyring is not None and not await any_key(connection):
                log.warning(
                    "there is no API key yet", make_one="automations key create NAME --role admin --all-tenants"
                )
        probes.callers = Callers(
            database,
            keyring,
            default_tenant_id=tenant_id,
            wrong_keys_per_second=settings.wrong_keys_per_second,
        )
        if "api" in settings.roles:
            app.state.graphql = endpoint(probes.callers)
        deciding = [asyncio.create_task(part.run(), name=type(part).__name__) for part in parts]
        sending = [] if dispatcher is None else [asyncio.create_task(dispatcher.run(), name="Dispatcher")]
        app.state.end_streams = hub.close
        probes.loops = (*deciding, *sending)
        try:
            yield
        finally:
            for part in parts:
                part.stop()
            await asyncio.gather(*deciding)
            if dispatcher is not None:
                dispatcher.stop()
            await asyncio.gather(*sending)
            await http.aclose()
            await backend_http.aclose()
            await database.disconnect()
            log.info("stopped")

    api_routes = [
        Route("/graphql", _GraphQL()),
        WebSocketRoute("/graphql", _GraphQL()),
        Route("/", _GraphQL(), methods=["POST"]),
        *page_routes(has_playground=settings.introspection),
    ]
    return Starlette(
        routes=[
            *(api_routes if "api" in settings.roles else []),
            *probes.routes(),
        ],
        middleware=[Middleware(RequestIds), *HostCheck.middleware(settings.host, settings.allowed_hosts)],
        lifespan=lifespan,
    )


def _orchestration(settings: Settings, database: Database, backend: Backend, http: Http) -> Orchestration:
    """What carries actions on runs out. The backend's address is the operator's own choice and may be anywhere."""
    if backend.is_attached:
        return RemoteOrchestration(
            database, http, url=settings.orchestration_url, api_key=settings.orchestration_api_key
        )
    if settings.orchestration_url is not None:
        log.warning("AUTOMATIONS_ORCHESTRATION_URL is not used: the database is no other backend's")
    return LocalOrchestration(database)


def _dispatcher(
    settings: Settings,
    database: Database,
    *,
    orchestration: Orchestration,
    vault: Vault,
    http: Http,
    links: Links,
    choices: Choices,
    tracer: Tracer,
) -> Dispatcher:
    """What sends deliveries."""
    sender = Sender(
        http=http,
        vault=vault,
        orchestration=orchestration,
        links=links,
        retry_seconds=settings.retry_seconds,
        mail=Mail(_mailserver(settings), timeout_seconds=settings.send_timeout_seconds),
        choices=choices,
        tracer=tracer,
    )
    return Dispatcher(
        database,
        sender,
        Destinations(
            concurrency=settings.destination_concurrency,
            total=settings.delivery_concurrency,
            at_once=at_once_of(settings.destination_concurrencies, default=settings.destination_concurrency),
        ),
        rates=rates_of(settings.destination_rates),
        circuit=Circuit(failures=settings.circuit_failures),
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
        most_attempts=len(settings.retry_seconds) + 1,
        shutdown_seconds=settings.shutdown_seconds,
    )


def _loops(
    settings: Settings,
    database: Database,
    backend: Backend,
    http: Http,
    on_deliveries: Callable[[], None],
    *,
    tracer: Tracer,
) -> list[Part]:
    """What runs beside the API and the dispatcher.

    Who delivers looks after the whole too: the engine may be what is missing.
    """
    parts: list[Part] = [LoopDelay()]
    if "engine" in settings.roles:
        parts += _engine(settings, database, backend, on_deliveries, tracer)
        parts.append(Retention(database, _keep(settings, backend)))
    if "engine" in settings.roles or "delivery" in settings.roles:
        parts.append(Watch(database, http, ping_url=settings.ping_url, on_deliveries=on_deliveries))
    return parts


def _engine(
    settings: Settings, database: Database, backend: Backend, on_deliveries: Callable[[], None], tracer: Tracer
) -> list[Part]:
    """What decides that something fires; and where we are the backend, what makes runs of schedules, and what ends runs
    whose process died.
    """
    sla_timers = SlaTimers(database, max_depth=settings.max_depth, on_deliveries=on_deliveries)
    parts: list[Part] = [
        Evaluator(
            database,
            max_depth=settings.max_depth,
            poll_seconds=settings.poll_seconds,
            on_deliveries=on_deliveries,
            on_timer=sla_timers.expect,
            tracer=tracer,
        ),
        sla_timers,
        AgentGroups(database, max_depth=settings.max_depth, on_deliveries=on_deliveries),
    ]
    if backend.is_attached:
        return parts
    parts.append(Scheduler(database))
    if settings.heartbeat_seconds:
        parts.append(Heartbeats(database, silent_seconds=settings.heartbeat_seconds))
    return parts


def _keep(settings: Settings, backend: Backend) -> Keep:
    """For how long things are kept. An existing backend's runs are its own to delete."""
    return Keep(
        ledger_days=settings.keep_ledger_days,
        audit_days=settings.keep_audit_days,
        idempotency_key_days=settings.keep_idempotency_key_days,
        flow_run_days=0 if backend.is_attached else settings.keep_flow_run_days,
    )


def _nobody_to_wake() -> None:
    """Deliveries are sent by other processes, which look for them by themselves."""


def _mailserver(settings: Settings) -> Mailserver | None:
    """Where e-mail is handed in; None where the host or the sender is not set."""
    if settings.smtp_host is None or settings.smtp_from is None:
        return None
    return Mailserver(
        host=settings.smtp_host,
        sender=settings.smtp_from,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password,
        tls=settings.smtp_tls,
    )


class _GraphQL:
    """The endpoint that the lifespan made, as an ASGI app: Starlette wraps it in less than it would a function."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint: GraphQLEndpoint = scope["app"].state.graphql
        if scope["type"] == "websocket":
            await endpoint.socket(scope, receive, send)
            return
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)
