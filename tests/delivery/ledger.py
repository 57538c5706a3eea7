"""What is owed, written straight into the ledger, and a dispatcher that sends it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from automations.actions.contract import Action
from automations.actions.webhook import Webhook
from automations.database import Database, DedicatedConnection
from automations.definitions.actions import create_action
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, Ended, Health, claim_of
from automations.delivery.destinations import Destinations
from automations.delivery.dispatcher import Dispatcher
from automations.delivery.rates import Circuit, Rate
from automations.delivery.recorder import queries, record
from automations.events import FLOW_RUN_STATE_CHANGED, sample_event
from automations.http import Http
from automations.links import Links
from automations.orchestration.local import LocalOrchestration
from automations.vault import Vault
from tests.actions.stage import LOOPBACK, TLS
from tests.harness import eventually

VAULT = Vault([b"k" * 32])


@dataclass(frozen=True)
class Claimed:
    """What a claim brought, and when it says to look again."""

    claims: list[Claim]
    look_at: datetime | None

    @property
    def ids(self) -> list[UUID]:
        return [claim.id for claim in self.claims]


@dataclass(frozen=True)
class Ledger:
    """The ledger of one tenant."""

    connection: DedicatedConnection
    tenant_id: UUID
    claimer: UUID = field(default_factory=uuid4)

    async def owe(
        self,
        url: str = "https://hooks.example.com/",
        count: int = 1,
        *,
        action: Action | None = None,
        destinations: Sequence[str] | None = None,
        in_seconds: float = 0,
        subject: str | None = None,
        action_id: UUID | None = None,
    ) -> list[UUID]:
        """Ids of new deliveries to a URL, all due at once; `count` to each of the destinations that are named.

        Those with a `subject` keep their order; for that they have to share an `action_id`.
        """
        action = action or Webhook(url=url, payload={"state": "{state}"})
        action_id = action_id or await self.act(action)
        due_at = datetime.now(UTC) + timedelta(seconds=in_seconds)
        rows = await self.connection.fetch(
            """
            WITH fired AS (
                INSERT INTO automations.firing (tenant_id, event_type, event_id, event)
                VALUES ($1, $2, gen_random_uuid(), $3) RETURNING id
            )
            INSERT INTO automations.delivery
                (tenant_id, firing_id, action_id, action_type, destination, status, due_at, subject, is_ordered)
            SELECT $1, fired.id, $4, $5, destination, 'PENDING', $6, CAST($9 AS text), CAST($9 AS text) IS NOT NULL
            FROM fired, unnest($7::text[]) AS destination, generate_series(1, $8)
            RETURNING id
            """,
            self.tenant_id,
            FLOW_RUN_STATE_CHANGED.name,
            orjson.dumps(sample_event(FLOW_RUN_STATE_CHANGED)).decode(),
            action_id,
            action.TYPE,
            due_at,
            list(destinations or [action.destination]),
            count,
            subject,
        )
        return [row["id"] for row in rows]

    async def act(self, action: Action) -> UUID:
        """Id of a new action."""
        return await create_action(self.connection, self.tenant_id, action, name=None)

    async def claim(
        self,
        *,
        at: datetime | None = None,
        lease_seconds: float = 30,
        rates: Mapping[str, Rate] | None = None,
        places: int = 100,
        share: int = 100,
        at_once: int = 100,
        processes: int = 1,
        rank: int = 0,
        sending: Mapping[str, int] | None = None,
    ) -> "Claimed":
        """Claim all that may be sent, as a process would that is `sending` so many; its clock says `at`.

        A destination is sent so many `at_once` by all; this process is number `rank` of so many `processes`.
        """
        now = at or datetime.now(UTC)
        rates, sending = rates or {}, sending or {}
        rows = [
            row
            async for row in queries.claim(
                self.connection,
                claimer=self.claimer,
                processes=processes,
                rank=rank,
                now=now,
                lease_until=now + timedelta(seconds=lease_seconds),
                after_tenant=UUID(int=0),
                after_destination="",
                destinations=100,
                per_destination=share,
                places=places,
                sharers=1,
                batch=1000,
                busy_tenants=[self.tenant_id] * len(sending),
                busy_destinations=list(sending),
                busy_counts=list(sending.values()),
                limited_types=list(rates),
                limited_rates=[rate.per_second for rate in rates.values()],
                limited_bursts=[rate.burst for rate in rates.values()],
                most_places=at_once,
                sized_types=[],
                sized_places=[],
            )
        ]
        return Claimed([claim_of(row) for row in rows if row["id"] is not None], rows[0]["look_at"])

    async def take_over(self, *, at: datetime) -> None:
        """Take over from processes that died, as a process does whose clock says `at`."""
        async for _ in queries.take_over(self.connection, now=at, most_attempts=10):
            pass

    async def end(
        self, claims: Sequence[Claim], health: Health | None = "WORKS", *, at: datetime, circuit: Circuit | None = None
    ) -> None:
        """Record that attempts ended so; those at a destination that FAILS are due again in an hour."""
        ended = [
            Ended(
                claim=claim,
                started_at=at,
                finished_at=at,
                outcome="RETRY" if health == "FAILS" else "DELIVERED",
                due_at=at + timedelta(hours=1) if health == "FAILS" else None,
                reason="It is down" if health == "FAILS" else None,
                health=health,
            )
            for claim in claims
        ]
        await record(self.connection, ended, circuit or Circuit(), now=at)

    async def destination(self, name: str) -> Any:
        """What is known about a destination; None where nothing is."""
        return await self.connection.fetchrow("SELECT * FROM automations.destination WHERE name = $1", name)

    async def delivery(self, delivery_id: UUID) -> Any:
        """One delivery's row."""
        return await self.connection.fetchrow("SELECT * FROM automations.delivery WHERE id = $1", delivery_id)

    async def attempts(self, delivery_id: UUID) -> list[Any]:
        """A delivery's attempts in order."""
        return await self.connection.fetch(
            "SELECT * FROM automations.attempt WHERE delivery_id = $1 ORDER BY number", delivery_id
        )

    async def count(self, status: str) -> int:
        """How many deliveries have a status."""
        return int(
            await self.connection.fetchval("SELECT count(*) FROM automations.delivery WHERE status = $1", status)
        )

    async def wait_for(self, status: str, count: int = 1, seconds: float = 15) -> None:
        """Return once so many deliveries have a status."""

        async def reached() -> bool:
            return await self.count(status) >= count

        await eventually(reached, seconds)

    async def set_secret(self, name: str, value: str) -> None:
        """Seal a secret as a dispatcher of `dispatching` opens it."""
        sealed = VAULT.seal(self.tenant_id, name, orjson.dumps(value))
        await self.connection.execute(
            """
            INSERT INTO automations.secret (tenant_id, name, sealed) VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed
            """,
            self.tenant_id,
            name,
            sealed,
        )


@asynccontextmanager
async def dispatching(
    database_url: str,
    *,
    retry_seconds: Sequence[float] = (5, 30),
    timeout_seconds: float = 10,
    concurrency: int = 10,
    total: int = 100,
    lease_seconds: float = 15,
    poll_seconds: float = 0.05,
    shutdown_seconds: float = 5,
    rates: Mapping[str, Rate] | None = None,
    circuit: Circuit | None = None,
) -> AsyncIterator[Dispatcher]:
    """A dispatcher at work; stopped in the end, unless the test has done so."""
    database = Database(database_url, pool_size=2)
    http = Http(
        allowed_networks=LOOPBACK,
        timeout_seconds=timeout_seconds,
        connections_per_destination=concurrency,
        ssl_context=TLS,
    )
    dispatcher = Dispatcher(
        database,
        Sender(
            http=http,
            vault=VAULT,
            orchestration=LocalOrchestration(database),
            links=Links(),
            retry_seconds=retry_seconds,
        ),
        Destinations(concurrency=concurrency, total=total),
        rates=rates or {},
        circuit=circuit or Circuit(failures=1_000_000),
        lease_seconds=lease_seconds,
        poll_seconds=poll_seconds,
        most_attempts=len(retry_seconds) + 1,
        shutdown_seconds=shutdown_seconds,
    )
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        await running
        await http.aclose()
