"""Runs whose process died say nothing any more: they are ended here, so that automations hear of it.

The heart of a run is its process: the client beats every 30 seconds by default. A run that never beat is left alone.
"""

from datetime import UTC, datetime, timedelta

import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.loop import Bell, keep_running

log = structlog.get_logger(__name__)
queries = load_queries("heartbeat")

LONGEST_LOOK_SECONDS = 10.0
MESSAGE = "No heartbeat detected from the flow run; its process has died."


class Heartbeats:
    """Ends runs that have been silent for too long. Any number may run, here and elsewhere: a run ends once.

    Silence counts from when this loop began, or has the database again: before, nobody could hear.
    """

    def __init__(self, database: Database, *, silent_seconds: float) -> None:
        self._database, self._silent_seconds = database, silent_seconds
        self._bell = Bell()

    def stop(self) -> None:
        """Stop after the look under way."""
        self._bell.stop()

    async def run(self) -> None:
        """Look until stopped."""
        await keep_running("heartbeats", self._database, self._work, self._bell)

    async def _work(self, connection: DedicatedConnection) -> None:
        await self._bell.wait_for_stop(self._silent_seconds)
        while not self._bell.stopped:
            await end_silent_runs(connection, now=datetime.now(UTC), silent_seconds=self._silent_seconds)
            await self._bell.wait_for_stop(min(self._silent_seconds / 2, LONGEST_LOOK_SECONDS))


async def end_silent_runs(connection: DedicatedConnection, *, now: datetime, silent_seconds: float) -> int:
    """End the runs that have not beaten for so long; how many there were."""
    silent_since = now - timedelta(seconds=silent_seconds)
    ended = [row["id"] async for row in queries.end_silent_runs(connection, silent_since=silent_since, message=MESSAGE)]
    if ended:
        log.warning("runs lost their process", runs=len(ended))
    return len(ended)
