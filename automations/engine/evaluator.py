"""State changes → firings, deliveries and timers: one statement a batch, in one transaction with the queue."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.loop import Bell, keep_running
from automations.events import FLOW_RUN_STATE_CHANGED
from automations.metrics import EVALUATION_LAG, FIRINGS, STATE_CHANGES
from automations.tracing import NO_TRACER, Tracer

log = structlog.get_logger(__name__)
queries = load_queries("evaluator")

CHANNEL = "automations_state_change"
BATCH = 2000
# Between two batches that were not full: changes that come together are evaluated together.
GATHER_SECONDS = 0.004
SHORTEST_REST_SECONDS = 0.002
LONGEST_REST_SECONDS = 0.05


class Evaluator:
    """Takes state changes off the queue. Any number may run, here and elsewhere: they share the work."""

    def __init__(
        self,
        database: Database,
        *,
        max_depth: int,
        poll_seconds: float,
        on_deliveries: Callable[[], None],
        on_timer: Callable[[datetime], None],
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._database, self._max_depth, self._poll_seconds = database, max_depth, poll_seconds
        self._on_deliveries, self._on_timer, self._tracer = on_deliveries, on_timer, tracer
        self._bell = Bell()

    def stop(self) -> None:
        """Stop after the batch under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Evaluate until stopped."""
        await keep_running("evaluator", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._bell.ring())
        connection.add_termination_listener(lambda *_: self._bell.ring())  # else it would sleep on a lost connection
        rest = SHORTEST_REST_SECONDS
        while not self._bell.stopped:
            now = datetime.now(UTC)
            taken = await evaluate_batch(connection, now=now, max_depth=self._max_depth)
            if taken["deliveries"]:
                self._on_deliveries()
            if taken["next_timer"]:
                self._on_timer(taken["next_timer"])
            if taken["traced"] is not None:
                _trace(self._tracer, orjson.loads(taken["traced"]), started_at=now)
            if taken["changes"] == BATCH:
                continue
            if taken["changes"]:
                rest = SHORTEST_REST_SECONDS
                await asyncio.sleep(GATHER_SECONDS)
            else:
                rest = await self._rest(connection, rest)

    async def _rest(self, connection: DedicatedConnection, rest: float) -> float:
        """Wait for a state change; return how long to wait next time if this was in vain.

        With the idle lock held and the queue empty, a writer wakes us. Else somebody is in the middle of something: a
        writer about to commit, or another evaluator, resting or at work. Then we look again soon, and ever less often.
        """
        self._bell.hush()
        if await queries.hold_idle_lock(connection):
            try:
                # A change committed before the lock was held has woken nobody: look before each sleep.
                while not await queries.is_waiting(connection):
                    if await self._bell.wait(self._poll_seconds):
                        return SHORTEST_REST_SECONDS
            finally:
                await queries.release_idle_lock(connection)
        await self._bell.wait(rest)
        return min(rest * 2, LONGEST_REST_SECONDS, self._poll_seconds)


async def evaluate_batch(connection: DedicatedConnection, *, now: datetime, max_depth: int, batch: int = BATCH) -> Any:
    """Evaluate up to `batch` changes; the row counts `changes`, `firings` and `deliveries`.

    Its `next_timer` is when the first of the timers is due that were set, `traced` the changes that belong to traces.
    """
    taken = await queries.evaluate(connection, now=now, max_depth=max_depth, batch=batch)
    if taken["changes"]:
        STATE_CHANGES.inc(taken["changes"])
        EVALUATION_LAG.observe((now - taken["oldest"]).total_seconds())
    if taken["firings"]:
        FIRINGS.labels(FLOW_RUN_STATE_CHANGED.name).inc(taken["firings"])
        log.debug("evaluated", changes=taken["changes"], firings=taken["firings"], deliveries=taken["deliveries"])
    return taken


def _trace(tracer: Tracer, changes: Iterable[Sequence[Any]], *, started_at: datetime) -> None:
    for parent, evaluated_in, flow_run_id, state, captured_at, firings in changes:
        tracer.record(
            "evaluate state change",
            {
                "automations.flow_run_id": flow_run_id,
                "automations.state": state,
                "automations.firings": firings,
                "automations.lag_seconds": (started_at - datetime.fromisoformat(captured_at)).total_seconds(),
            },
            parent=parent,
            traceparent=evaluated_in,
            started_at=started_at,
        )
