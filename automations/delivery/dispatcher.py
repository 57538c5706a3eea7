"""Claims deliveries, has them sent, and records how it went. No transaction is open while bytes go out."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from automations.database import Database, DatabaseError, DedicatedConnection, load_queries
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, Ended, claim_of
from automations.delivery.destinations import Destinations
from automations.engine.loop import Bell, keep_running

log = structlog.get_logger(__name__)
queries = load_queries("delivery")

_START = (UUID(int=0), "")
_BAD_VALUE = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation
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
        self._unspent: list[Claim] = []
        self._cursor = _START
        self._leases_due = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._bell.ring()

    def stop(self) -> None:
        """Claim nothing more."""
        self._bell.stop()

    async def run(self) -> None:
        """Send until stopped; then give unspent leases back, wait for the sends under way, and record them."""
        recorder = asyncio.create_task(
            keep_running(
                "recorder", self._database, self._record, self._recorder_bell, is_unfinished=lambda: self._has_news
            ),
            name="recorder",
        )
        await keep_running("dispatcher", self._database, self._claim_and_send, self._bell)
        self._unspent = self._destinations.give_back()
        self._recorder_bell.ring()
        await self._finish_sends()
        self._recorder_bell.stop()
        _, late = await asyncio.wait([recorder], timeout=self._shutdown_seconds)
        if late:
            log.warning("gave up recording; these are sent again when their lease runs out", count=len(self._ended))
            recorder.cancel()
            await asyncio.wait([recorder])

    async def _claim_and_send(self, connection: DedicatedConnection) -> None:
        while not self._bell.stopped:
            if self._cursor == _START or not self._destinations.room:
                self._bell.hush()  # in the middle of a walk, a ring may be for what was passed already
            if await self._claim(connection):
                self._start_sends()
                await asyncio.sleep(GATHER_SECONDS)
            else:
                await self._bell.wait(self._poll_seconds)

    async def _claim(self, connection: DedicatedConnection) -> bool:
        """Claim what may be sent; true where another claim might find more."""
        room = self._destinations.room
        if not room:
            self._destinations.lacks_room = True
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
                sharers=self._destinations.SHARERS,
                batch=room,
                busy_tenants=[tenant_id for tenant_id, _ in counts],
                busy_destinations=[destination for _, destination in counts],
                busy_counts=list(counts.values()),
            )
        ]
        page = rows[0]
        has_more = page["last_tenant"] is not None
        self._cursor = (page["last_tenant"], page["last_destination"]) if has_more else _START
        claims = [claim_of(row) for row in rows if row["id"] is not None]
        has_changed = self._destinations.add(claims, share=page["share"], room=room, counts=counts)
        return bool(claims) or has_more or has_changed

    def _start_sends(self) -> None:
        for claim in self._destinations.start():
            send = asyncio.create_task(self._send(claim))
            self._sends.add(send)
            send.add_done_callback(self._sends.discard)

    async def _send(self, claim: Claim) -> None:
        try:
            self._ended.append(await self._sender.attempt(claim))
        except Exception:
            log.exception("an attempt failed; it is made again when its lease runs out", delivery_id=str(claim.id))
            self._destinations.forget(claim)
        finally:
            self._destinations.end(claim)
        self._recorder_bell.ring()
        self._start_sends()
        self._ask_for_more(claim)

    def _ask_for_more(self, claim: Claim) -> None:
        if self._destinations.wants_more(claim.queue):
            self._bell.ring()

    @property
    def _has_news(self) -> bool:
        return bool(self._ended or self._unspent)

    async def _record(self, connection: DedicatedConnection) -> None:
        """Write ends as they come, all that there are in one statement, and keep the leases, until stopped."""
        while self._has_news or not self._recorder_bell.stopped:
            self._recorder_bell.hush()
            await self._keep_leases(connection)
            if ended := self._ended[:]:
                await record(connection, ended)
                del self._ended[: len(ended)]
                for end in ended:
                    self._destinations.forget(end.claim)
                    self._ask_for_more(end.claim)
                    _log(end)
                await asyncio.sleep(GATHER_SECONDS)
            elif self._unspent:
                await queries.give_back(connection, now=datetime.now(UTC), **_keys(self._unspent))
                self._unspent = []
            else:
                await self._recorder_bell.wait(min(self._poll_seconds, self._lease_seconds / 3))

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
            self.wake()

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


async def record(connection: DedicatedConnection, ended: Sequence[Ended]) -> None:
    """Write how attempts ended; an end whose lease was lost meanwhile changes nothing.

    One that cannot be written keeps no other from it.
    """
    try:
        await _record_all(connection, ended)
    except DatabaseError as error:
        if (error.sqlstate or "")[:2] not in _BAD_VALUE:
            raise
        if len(ended) == 1:
            log.exception("an attempt cannot be recorded; it is made again", delivery_id=str(ended[0].claim.id))
            return
        for end in ended:
            await record(connection, [end])


async def _record_all(connection: DedicatedConnection, ended: Sequence[Ended]) -> None:
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
            unknowns=[end.is_unknown for end in ended],
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
