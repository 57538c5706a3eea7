"""What is wrong with the server → firings. A problem fires when it begins, and again only after it was over."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from automations.database import DedicatedConnection, load_queries
from automations.engine.firings import owe
from automations.events import SERVER_PROBLEM
from automations.health import LATE_SECONDS, LONG_OPENINGS, Health
from automations.metrics import FIRINGS

log = structlog.get_logger(__name__)
queries = load_queries("problem")

OVER_SECONDS = LATE_SECONDS / 2
"""What was late is in time again when no more than this is waited: else work at the limit would fire at every look."""
NO_DEPTH = 0
"""No automation sets a problem off."""


@dataclass(frozen=True)
class Late:
    """Work that is behind, by so many seconds, and what to say of it: not how much of it, which is all tenants'."""

    problem: str
    seconds: float
    message: str


async def judge_problems(connection: DedicatedConnection, health: Health, *, now: datetime) -> int:
    """Flip the problems that began or are over, as `health` has them; how many deliveries are owed because of it."""
    if not await queries.is_watching(connection):
        return 0
    late = [work for work in _lateness(health) if work.seconds > OVER_SECONDS]
    async with connection.transaction():
        firings = [
            row
            async for row in queries.judge(
                connection,
                now=now,
                long_openings=LONG_OPENINGS,
                late=[work.problem for work in late],
                late_since=[now - timedelta(seconds=work.seconds) for work in late],
                late_begins=[work.seconds > LATE_SECONDS for work in late],
                late_messages=[work.message for work in late],
            )
        ]
        deliveries = await owe(connection, firings, now=now, max_depth=NO_DEPTH)
    if firings:
        FIRINGS.labels(SERVER_PROBLEM.name).inc(len(firings))
        log.info("automations are told of problems", firings=len(firings), deliveries=deliveries)
    return deliveries


def _lateness(health: Health) -> Iterator[Late]:
    """How far behind each kind of work is."""
    yield Late(
        "EVALUATION_LATE",
        health.change_lag_seconds,
        f"State changes wait to be evaluated, the oldest for {health.change_lag_seconds:.0f} s. "
        "Does a server with the role engine run?",
    )
    yield Late(
        "DELIVERIES_LATE",
        health.delivery_lag_seconds,
        f"Deliveries wait for a free place, the oldest for {health.delivery_lag_seconds:.0f} s. "
        "Does a server with the role delivery run? If it does, add one.",
    )
    yield Late(
        "TIMERS_LATE",
        health.timer_lag_seconds,
        f"SLA timers are overdue, the oldest by {health.timer_lag_seconds:.0f} s. "
        "Does a server with the role engine run?",
    )
