"""The processes that send: which of them a destination has its home at follows from how many there are.

Only where the work goes depends on it. What a destination may be sent holds whatever a process believes of the others.
"""

import asyncio

from automations.database import DedicatedConnection, load_queries

queries = load_queries("delivery")

LOOK_SECONDS = 1.0


class Peers:
    """Of one connection: this process is number `rank`, from 0, of so many `processes`."""

    def __init__(self) -> None:
        self.processes, self.rank = 1, 0
        self._due_at: float | None = None

    async def refresh(self, connection: DedicatedConnection) -> None:
        """Count again, where the last time is a while ago."""
        now = asyncio.get_running_loop().time()
        if self._due_at is None:
            await queries.join_senders(connection)
        elif now < self._due_at:
            return
        row = await queries.place_among_senders(connection)
        self.processes, self.rank = row["processes"], row["rank"]
        self._due_at = now + LOOK_SECONDS
