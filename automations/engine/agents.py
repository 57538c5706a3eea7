"""Groups of agents that went quiet → firings. A group fires when it goes down, and again only after it was up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.firings import owe
from automations.engine.loop import Bell, keep_running
from automations.events import AGENT_SLA_FAILED
from automations.metrics import FIRINGS

log = structlog.get_logger(__name__)
queries = load_queries("agent_health")

LOOK_SECONDS = 1.0
# Longer without a look, and agents may have spoken to nobody: their silence counts from now on only.
LONGEST_GAP = timedelta(seconds=5)


class AgentGroups:
    """Looks at the groups that automations watch. Any number may run, here and elsewhere: a group flips once."""

    def __init__(self, database: Database, *, max_depth: int, on_deliveries: Callable[[], None]) -> None:
        self._database, self._max_depth, self._on_deliveries = database, max_depth, on_deliveries
        self._bell = Bell()

    def stop(self) -> None:
        """Stop after the look under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Look until stopped."""
        await keep_running("agents", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        while not self._bell.stopped:
            if await queries.is_watching(connection) and await judge_groups(
                connection, now=datetime.now(UTC), max_depth=self._max_depth
            ):
                self._on_deliveries()
            await self._bell.wait_for_stop(LOOK_SECONDS)


async def judge_groups(connection: DedicatedConnection, *, now: datetime, max_depth: int) -> int:
    """Flip the groups whose health has changed; how many deliveries are owed because of it."""
    async with connection.transaction():
        watching_since = await queries.look(connection, now=now, longest_gap=LONGEST_GAP)
        firings = [row async for row in queries.judge(connection, now=now, watching_since=watching_since)]
        deliveries = await owe(connection, firings, now=now, max_depth=max_depth)
    if firings:
        FIRINGS.labels(AGENT_SLA_FAILED.name).inc(len(firings))
        log.info("agents went quiet", groups=len(firings), deliveries=deliveries)
    return deliveries
