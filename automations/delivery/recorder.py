"""Writes how attempts ended, keeps the leases of those under way, and takes over from processes that died."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from automations.database import Database, DatabaseError, DedicatedConnection, Record, load_queries
from automations.delivery.claims import Claim, Ended
from automations.delivery.destinations import Destinations
from automations.delivery.plans import Plans
from automations.delivery.rates import Circuit
from automations.engine.loop import Bell, keep_running
from automations.metrics import ATTEMPT_SECONDS, ATTEMPTS

log = structlog.get_logger(__name__)
queries = load_queries("delivery")

_BAD_VALUE = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation
GATHER_SECONDS = 0.004  # between two records: what comes together is handled together


class Recorder:
    """Runs until it is stopped and everything is written.

    `on_end` is called with each claim that is recorded, `on_renew` when the leases of all that is held have been
    renewed, `on_take_over` when there are deliveries to send again.
    """

    def __init__(
        self,
        database: Database,
        destinations: Destinations,
        *,
        circuit: Circuit,
        lease_seconds: float,
        poll_seconds: float,
        most_attempts: int,
        on_end: Callable[[Claim], None],
        on_renew: Callable[[], None],
        on_take_over: Callable[[], None],
    ) -> None:
        self._database, self._destinations, self._circuit = database, destinations, circuit
        self._lease_seconds, self._poll_seconds, self._most_attempts = lease_seconds, poll_seconds, most_attempts
        self._on_end, self._on_renew, self._on_take_over = on_end, on_renew, on_take_over
        self._bell = Bell()
        self._ended: list[Ended] = []
        self._unspent: list[Claim] = []
        self._leases_due = 0.0
        self._leases_until = 0.0

    @property
    def has_leases(self) -> bool:
        """Whether no lease of what is held has run out: somebody else may send what it was for."""
        return asyncio.get_running_loop().time() < self._leases_until

    @property
    def unrecorded(self) -> int:
        """How many ends and unspent leases are not written yet."""
        return len(self._ended) + len(self._unspent)

    def add(self, end: Ended) -> None:
        """An attempt ended."""
        self._ended.append(end)
        self._bell.ring()

    def give_back(self, claims: Sequence[Claim]) -> None:
        """These were not begun: as if they had never been claimed."""
        self._unspent += claims
        self._bell.ring()

    def stop(self) -> None:
        """End once everything is written."""
        self._bell.stop()

    async def run(self) -> None:
        """Record until stopped, through lost connections."""
        await keep_running(
            "recorder", self._database, self._record, self._bell, is_unfinished=lambda: bool(self.unrecorded)
        )

    async def _record(self, connection: DedicatedConnection) -> None:
        """Write ends as they come, all that there are in one statement, and keep the leases, until stopped."""
        plans = Plans(connection)
        while self.unrecorded or not self._bell.stopped:
            await plans.refresh()
            self._bell.hush()
            await self._keep_leases(connection)
            ended = self._ended[:]
            if unspent := self._unspent[:]:
                await queries.give_back(
                    connection,
                    now=datetime.now(UTC),
                    **_keys(unspent),
                    due_ats=[claim.row["was_due_at"] for claim in unspent],
                    action_ids=[claim.row["action_id"] for claim in unspent],
                )
                del self._unspent[: len(unspent)]
            if ended:
                recorded = await record(connection, ended, self._circuit, now=datetime.now(UTC))
                del self._ended[: len(ended)]
                self._leave_alone(ended, recorded)
                for end in ended:
                    self._destinations.forget(end.claim)
                for end in ended:
                    self._on_end(end.claim)
                    _count(end)
                    _log(end)
                await asyncio.sleep(GATHER_SECONDS)
            elif not self._unspent:
                await self._bell.wait(min(self._poll_seconds, self._lease_seconds / 3))

    def _leave_alone(self, ended: Sequence[Ended], recorded: Sequence[Record]) -> None:
        """Give back what was claimed ahead for destinations that nothing may be sent to any more."""
        now = datetime.now(UTC)
        blocked = {row["id"]: row for row in recorded if (row["blocked_until"] or now) > now}
        for queue in {end.claim.queue for end in ended if end.pauses or end.claim.id in blocked}:
            self._unspent += self._destinations.give_back(queue)
        for destination, until in {
            end.claim.destination: blocked[end.claim.id]["blocked_until"]
            for end in ended
            if end.claim.id in blocked and (blocked[end.claim.id]["opens"] or end.held_until)
        }.items():
            log.warning(
                "nothing is sent there for a while", destination=destination, until=until.isoformat(timespec="seconds")
            )

    async def _keep_leases(self, connection: DedicatedConnection) -> None:
        """Say that we live, and take over from those who no longer do."""
        loop_time = asyncio.get_running_loop().time()
        if loop_time < self._leases_due:
            return
        self._leases_due = loop_time + self._lease_seconds / 3
        now = datetime.now(UTC)
        if held := self._destinations.held:
            lost = {
                (row["id"], row["number"])
                async for row in queries.renew_leases(
                    connection, lease_until=now + timedelta(seconds=self._lease_seconds), **_keys(held)
                )
            }
            self._destinations.lose(lost)
        self._leases_until = loop_time + self._lease_seconds
        self._on_renew()
        taken = [row async for row in queries.take_over(connection, now=now, most_attempts=self._most_attempts)]
        if taken:
            log.warning("took over deliveries of a process that stopped", count=len(taken))
            self._on_take_over()


async def record(
    connection: DedicatedConnection, ended: Sequence[Ended], circuit: Circuit, *, now: datetime
) -> list[Record]:
    """Write how attempts ended; an end whose lease was lost meanwhile changes nothing.

    One that cannot be written keeps no other from it. Returned is what was recorded, and until when nothing is sent to
    its destination.
    """
    try:
        return await _record_all(connection, ended, circuit, now)
    except DatabaseError as error:
        if (error.sqlstate or "")[:2] not in _BAD_VALUE:
            raise
        if len(ended) == 1:
            log.exception("an attempt cannot be recorded; it is made again", delivery_id=str(ended[0].claim.id))
            return []
        return [row for end in ended for row in await record(connection, [end], circuit, now=now)]


async def _record_all(
    connection: DedicatedConnection, ended: Sequence[Ended], circuit: Circuit, now: datetime
) -> list[Record]:
    if gone := [end for end in ended if end.pauses]:
        await queries.pause_actions(
            connection,
            now=now,
            tenant_ids=[end.claim.tenant_id for end in gone],
            action_ids=[end.claim.row["action_id"] for end in gone],
            configs=[end.claim.row["action_config"] for end in gone],
            reasons=[end.reason for end in gone],
        )
    recorded = [
        row
        async for row in queries.finish(
            connection,
            **_keys([end.claim for end in ended]),
            now=now,
            started_ats=[end.started_at for end in ended],
            finished_ats=[end.finished_at for end in ended],
            outcomes=[end.outcome for end in ended],
            due_ats=[end.due_at for end in ended],
            status_codes=[end.status_code for end in ended],
            reasons=[end.reason for end in ended],
            requests=[end.request for end in ended],
            answers=[end.answer for end in ended],
            unknowns=[end.is_unknown for end in ended],
            healths=[end.health for end in ended],
            held_untils=[end.held_until for end in ended],
            circuit_failures=circuit.failures,
            circuit_seconds=circuit.seconds,
            circuit_most_seconds=circuit.most_seconds,
        )
    ]
    ids = {row["id"] for row in recorded}
    for end in ended:
        if end.claim.id not in ids:
            log.warning("a lease was lost before its end was recorded", delivery_id=str(end.claim.id))
    return recorded


def _keys(claims: Sequence[Claim]) -> dict[str, list[object]]:
    return {
        "tenant_ids": [claim.tenant_id for claim in claims],
        "ids": [claim.id for claim in claims],
        "numbers": [claim.number for claim in claims],
    }


def _count(end: Ended) -> None:
    action_type = end.claim.row["action_type"]
    answer = "none" if end.status_code is None else f"{end.status_code // 100}xx"
    ATTEMPTS.labels(action_type, end.outcome, answer).inc()
    ATTEMPT_SECONDS.labels(action_type).observe((end.finished_at - end.started_at).total_seconds())


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
