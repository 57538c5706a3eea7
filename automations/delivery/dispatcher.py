"""Claims deliveries that may be sent and has them sent. No transaction is open while bytes go out."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, claim_of
from automations.delivery.destinations import Destinations
from automations.delivery.peers import Peers
from automations.delivery.plans import Plans
from automations.delivery.rates import Circuit, Rate
from automations.delivery.recorder import Recorder
from automations.engine.loop import Bell, keep_running
from automations.metrics import DELIVERY_LAG

log = structlog.get_logger(__name__)
queries = load_queries("delivery")

_START = (UUID(int=0), "")
DESTINATIONS_PER_CLAIM = 100
GATHER_SECONDS = 0.004  # between two claims: what comes together is handled together
SHORTEST_WAIT_SECONDS = 0.001


class Dispatcher:
    """Sends what is due. Any number may run, here and elsewhere: each delivery has one holder at a time."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        destinations: Destinations,
        *,
        rates: Mapping[str, Rate],
        circuit: Circuit,
        lease_seconds: float,
        poll_seconds: float,
        most_attempts: int,
        shutdown_seconds: float,
    ) -> None:
        self._database, self._sender, self._destinations, self._rates = database, sender, destinations, rates
        self._lease_seconds, self._poll_seconds = lease_seconds, poll_seconds
        self._shutdown_seconds = shutdown_seconds
        self._bell = Bell()
        self._recorder = Recorder(
            database,
            destinations,
            circuit=circuit,
            lease_seconds=lease_seconds,
            poll_seconds=poll_seconds,
            most_attempts=most_attempts,
            on_end=self._go_on,
            on_renew=self._start_sends,
            on_take_over=self.wake,
        )
        self._sends: set[asyncio.Task[None]] = set()
        self._id = uuid4()
        self._peers = Peers()
        self._cursor = _START
        self._look_at: datetime | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._bell.ring()

    def stop(self) -> None:
        """Claim nothing more."""
        self._bell.stop()

    async def run(self) -> None:
        """Send until stopped; then give unspent leases back, wait for the sends under way, and record them."""
        recording = asyncio.create_task(self._recorder.run(), name="recorder")
        await keep_running("dispatcher", self._database, self._claim_and_send, self._bell)
        self._recorder.give_back(self._destinations.give_back())
        await self._finish_sends()
        self._recorder.stop()
        _, late = await asyncio.wait([recording], timeout=self._shutdown_seconds)
        if late:
            log.warning(
                "gave up recording; these are sent again when their lease runs out", count=self._recorder.unrecorded
            )
            recording.cancel()
            await asyncio.wait([recording])

    async def _claim_and_send(self, connection: DedicatedConnection) -> None:
        plans = Plans(connection)
        self._peers = Peers()
        while not self._bell.stopped:
            await plans.refresh()
            await self._peers.refresh(connection)
            if self._cursor == _START or not self._destinations.room:
                self._bell.hush()  # in the middle of a walk, a ring may be for what was passed already
            if await self._claim(connection):
                self._start_sends()
                await asyncio.sleep(GATHER_SECONDS)
            else:
                await self._bell.wait(self._wait_seconds())

    def _wait_seconds(self) -> float:
        """Until the next moment at which there may be something to claim, and no longer than between two polls."""
        if self._look_at is None:
            return self._poll_seconds
        until = (self._look_at - datetime.now(UTC)).total_seconds()
        return min(self._poll_seconds, max(until, SHORTEST_WAIT_SECONDS))

    async def _claim(self, connection: DedicatedConnection) -> bool:
        """Claim what may be sent; true where another claim might find more."""
        room = self._destinations.room
        if not room:
            self._destinations.lacks_room = True
            self._look_at = None
            return False
        counts = self._destinations.counts()
        now = datetime.now(UTC)
        rows = [
            row
            async for row in queries.claim(
                connection,
                claimer=self._id,
                processes=self._peers.processes,
                rank=self._peers.rank,
                now=now,
                lease_until=now + timedelta(seconds=self._lease_seconds),
                after_tenant=self._cursor[0],
                after_destination=self._cursor[1],
                destinations=DESTINATIONS_PER_CLAIM,
                per_destination=self._destinations.claims_each,
                places=self._destinations.places,
                sharers=self._destinations.SHARERS,
                batch=room,
                busy_tenants=[tenant_id for tenant_id, _ in counts],
                busy_destinations=[destination for _, destination in counts],
                busy_counts=list(counts.values()),
                limited_types=list(self._rates),
                limited_rates=[rate.per_second for rate in self._rates.values()],
                limited_bursts=[rate.burst for rate in self._rates.values()],
                most_places=self._destinations.concurrency,
                sized_types=list(self._destinations.at_once),
                sized_places=list(self._destinations.at_once.values()),
            )
        ]
        page = rows[0]
        if self._cursor == _START:
            self._look_at = None
        self._look_at = min((at for at in (self._look_at, page["look_at"]) if at is not None), default=None)
        has_more = page["last_tenant"] is not None
        self._cursor = (page["last_tenant"], page["last_destination"]) if has_more else _START
        claims = [claim_of(row) for row in rows if row["id"] is not None]
        has_changed = self._destinations.add(claims, share=page["share"], room=room, counts=counts)
        return bool(claims) or has_more or has_changed

    def _start_sends(self) -> None:
        if not self._recorder.has_leases:
            return
        for claim in self._destinations.start():
            if claim.number == 1:
                DELIVERY_LAG.observe((datetime.now(UTC) - claim.row["created"]).total_seconds())
            send = asyncio.create_task(self._send(claim))
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

    async def _send(self, claim: Claim) -> None:
        is_doubtful = False
        try:
            ended = await self._sender.attempt(claim)
            is_doubtful = ended.is_doubtful
            self._recorder.add(ended)
        except Exception:
            log.exception("an attempt failed; it is made again when its lease runs out", delivery_id=str(claim.id))
            self._destinations.forget(claim)
        finally:
            self._destinations.end(claim, is_doubtful=is_doubtful)
        self._start_sends()
        if self._destinations.wants_more(claim.queue):
            self._bell.ring()

    def _go_on(self, claim: Claim) -> None:
        """An end is recorded: it may have let another delivery go."""
        self._start_sends()
        if claim.row["is_waited_for"] or self._destinations.wants_more(claim.queue):
            self._bell.ring()

    async def _finish_sends(self) -> None:
        if not self._sends:
            return
        log.info("waiting for sends under way", count=len(self._sends))
        _, late = await asyncio.wait(self._sends, timeout=self._shutdown_seconds)
        for send in late:
            send.cancel()
        if late:
            log.warning("gave up waiting; these are sent again when their lease runs out", count=len(late))
            await asyncio.wait(late)
