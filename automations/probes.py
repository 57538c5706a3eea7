"""What machines ask a server about itself: whether it lives, whether it is ready, and numbers for Prometheus."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from automations.access.callers import Callers, client_address
from automations.access.rates import TooManyRequests
from automations.access.roles import VIEWERS
from automations.database import CLIENT_ERRORS, Connection, Database, load_queries
from automations.errors import Unauthenticated
from automations.health import MEANINGS, Health, TableSize, measure, table_sizes
from automations.metrics import counted

queries = load_queries("health")

READY_SECONDS = 2.0
"""An answer that takes the database longer is as good as none."""


@dataclass
class Probes:
    """`/healthz`, `/readyz` and `/metrics` of a process. Its `loops` have to run; both are known once it started."""

    database: Database
    callers: Callers | None = None
    loops: Sequence[asyncio.Task[None]] = ()

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]

    async def _healthz(self, _request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"healthy": True})

    async def _readyz(self, _request: Request) -> Response:
        """It can do its work: the database answers, and no loop has stopped."""
        try:
            async with asyncio.timeout(READY_SECONDS), self.database.connection() as connection:
                await _ping(connection)
        except CLIENT_ERRORS:
            return JSONResponse({"ready": False, "reason": "the database does not answer"}, 503)
        if any(loop.done() for loop in self.loops):
            return JSONResponse({"ready": False, "reason": "a loop has stopped"}, 503)
        return JSONResponse({"ready": True})

    async def _metrics(self, request: Request) -> Response:
        """Where requests need a key, these do too: one for all tenants, since the numbers are of all."""
        try:
            await self._check(request)
        except Unauthenticated as error:
            return PlainTextResponse(f"{error}\n", 401, {"WWW-Authenticate": "Bearer"})
        except TooManyRequests as error:
            return PlainTextResponse(f"{error}\n", 429, {"Retry-After": str(error.retry_after_seconds)})
        try:
            async with self.database.reading() as connection:
                health = await measure(connection, now=datetime.now(UTC))
                sizes = await table_sizes(connection)
        except CLIENT_ERRORS:
            health, sizes = None, []
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(_Scrape(health, sizes)), media_type=content_type)

    async def _check(self, request: Request) -> None:
        if self.callers is None:
            raise Unauthenticated("The server is about to start.")
        address = client_address(request)
        caller = await self.callers.of(request.headers.get("authorization"), None, address=address)
        if not caller.all_tenants or caller.role not in VIEWERS:
            raise Unauthenticated("The numbers are of all tenants: send a viewer's key that is for all of them.")


async def _ping(connection: Connection) -> None:
    try:
        await queries.ping(connection)
    except asyncio.CancelledError:
        connection.terminate()  # else the pool would wait until the server has heard that nobody waits any more
        raise


class _Scrape(Collector):
    """All numbers of one moment; those of the database are left out while it does not answer."""

    def __init__(self, health: Health | None, sizes: Sequence[TableSize]) -> None:
        self._health, self._sizes = health, sizes

    def collect(self) -> Iterator[Metric]:
        yield from counted().collect()
        up = GaugeMetricFamily("automations_database_up", "Whether the database answers")
        up.add_metric([], float(self._health is not None))
        yield up
        if self._health is not None:
            for name, meaning in MEANINGS.items():
                gauge = GaugeMetricFamily(f"automations_{name}", meaning)
                gauge.add_metric([], getattr(self._health, name))
                yield gauge
        table = GaugeMetricFamily("automations_table_bytes", "Size of a table with its indexes", labels=["table"])
        for size in self._sizes:
            table.add_metric([size.name], size.bytes)
        yield table
