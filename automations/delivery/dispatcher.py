"""Claims deliveries, has them sent, and records how it went. No transaction is open while bytes go out."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, Ended, claim_of
from automations.delivery.destinations import Destinations
from automations.engine.loop import Bell, keep_running

log = structlog.get_logger(__name__)
queries = load_queries("delivery")

_START = (UUID(int=0), "")
DESTINATIONS_PER_CLAIM = 100
# Between two claims, and between two records: what comes together is handled together.
GATHER_SECONDS = 0.004


class Dispatcher:
    """Sends what is due. Any number may run, here and elsewhere: each delivery has one holder at a time."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        destinations: Destinations,
        *,
        lease_seconds: float,
        poll_seconds: float,
        most_attempts: int,
        shutdown_seconds: float,
    ) -> None:
        self._database, self._sender, self._destinations = database, sender, destinations
        self._lease_seconds, self._poll_seconds = lease_seconds, poll_seconds
        self._most_attempts, self._shutdown_seconds = most_attempts, shutdown_seconds
        self._bell, self._recorder_bell = Bell(), Bell()
        self._sends: set[asyncio.Task[None]] = set()
        self._ended: list[Ended] = []
        self._cursor = _START
        self._leases_due = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._bell.ring()

    def stop(self) -> None:
        """Claim nothing more."""
        self._bell.stop()

    async def run(self) -> None:
        """Send until stopped; then wait for the sends under way, record them, and give unspent leases back."""
        recorder = asyncio.create_task(
            keep_running("recorder", self._database, self._record_ends, self._recorder_bell), name="recorder"
        )
        await keep_running("dispatcher", self._database, self._claim_and_send, self._bell)
        unspent = self._destinations.give_back()
        await self._finish_sends()
        self._recorder_bell.stop()
        await recorder
        await self._give_back(unspent)

    async def _claim_and_send(self, connection: DedicatedConnection) -> None:
        while not self._bell.stopped:
            self._bell.hush()
            await self._keep_leases(connection)
            if await self._claim(connection):
                self._start_sends()
                await asyncio.sleep(GATHER_SECONDS)
            else:
                await self._bell.wait(self._poll_seconds)

    async def _claim(self, connection: DedicatedConnection) -> bool:
        """Claim what may be sent; true where another claim might find more."""
        room = self._destinations.room
        if room <= 0:
            return False
        counts = self._destinations.counts()
        now = datetime.now(UTC)
        rows = [
            row
            async for row in queries.claim(
                connection,
                now=now,
                lease_until=now + timedelta(seconds=self._lease_seconds),
                after_tenant=self._cursor[0],
                after_destination=self._cursor[1],
                destinations=DESTINATIONS_PER_CLAIM,
                per_destination=self._destinations.claims_each,
                batch=room,
                busy_tenants=[tenant_id for tenant_id, _ in counts],
                busy_destinations=[destination for _, destination in counts],
                busy_counts=list(counts.values()),
            )
        ]
        has_more = rows[0]["last_tenant"] is not None
        self._cursor = (rows[0]["last_tenant"], rows[0]["last_destination"]) if has_more else _START
        claims = [claim_of(row) for row in rows if row["id"] is not None]
        self._destinations.add(claims)
        return bool(claims) or has_more

    def _start_sends(self) -> None:
        for claim in self._destinations.start():
            send = asyncio.create_task(self._send(claim))
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

    async def _send(self, claim: Claim) -> None:
        try:
            self._ended.append(await self._sender.attempt(claim))
        finally:
            self._destinations.end(claim)
        self._recorder_bell.ring()
        self._start_sends()
        if self._destinations.wants_more(claim.queue):
            self._bell.ring()

    async def _record_ends(self, connection: DedicatedConnection) -> None:
        """Write ends as they come, all that there are in one statement; return when stopped and none is left."""
        while self._ended or not self._recorder_bell.stopped:
            self._recorder_bell.hush()
            ended = self._ended[:]
            if not ended:
                await self._recorder_bell.wait(self._poll_seconds)
                continue
            await record(connection, ended)
            del self._ended[: len(ended)]
            for end in ended:
                self._destinations.forget(end.claim)
                _log(end)
            await asyncio.sleep(GATHER_SECONDS)

    async def _keep_leases(self, connection: DedicatedConnection) -> None:
        """Say that we live, and take over from those who no longer do."""
        loop_time = asyncio.get_running_loop().time()
        if loop_time < self._leases_due:
            return
        self._leases_due = loop_time + self._lease_seconds / 3
        now = datetime.now(UTC)
        if held := self._destinations.held:
            await queries.renew_leases(
                connection, lease_until=now + timedelta(seconds=self._lease_seconds), **_keys(held)
            )
        lost = [row async for row in queries.take_over(connection, now=now, most_attempts=self._most_attempts)]
        if lost:
            log.warning("took over deliveries of a process that stopped", count=len(lost))

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

    async def _give_back(self, unspent: Sequence[Claim]) -> None:
        if unspent:
            async with self._database.connection() as connection:
                await queries.give_back(connection, now=datetime.now(UTC), **_keys(unspent))


async def record(connection: DedicatedConnection, ended: Sequence[Ended]) -> None:
    """Write how attempts ended; an end whose lease was lost meanwhile changes nothing."""
    recorded = {
        row["id"]
        async for row in queries.finish(
            connection,
            **_keys([end.claim for end in ended]),
            started_ats=[end.started_at for end in ended],
            finished_ats=[end.finished_at for end in ended],
            outcomes=[end.outcome for end in ended],
            due_ats=[end.due_at for end in ended],
            status_codes=[end.status_code for end in ended],
            reasons=[end.reason for end in ended],
            requests=[end.request for end in ended],
            answers=[end.answer for end in ended],
        )
    }
    for end in ended:
        if end.claim.id not in recorded:
            log.warning("a lease was lost before its end was recorded", delivery_id=str(end.claim.id))


def _keys(claims: Sequence[Claim]) -> dict[str, list[object]]:
    return {
        "tenant_ids": [claim.tenant_id for claim in claims],
        "ids": [claim.id for claim in claims],
        "numbers": [claim.number for claim in claims],
    }


def _log(end: Ended) -> None:
    write = log.info if end.outcome == "DELIVERED" else log.warning
    write(
        end.outcome.lower(),
        delivery_id=str(end.claim.id),
        firing_id=str(end.claim.row["firing_id"]),
        destination=end.claim.destination,
        attempt=end.claim.number,
        status_code=end.status_code,
        reason=end.reason,
        next_try=None if end.due_at is None else end.due_at.isoformat(timespec="seconds"),
    )
