"""Plans of the hot statements: planning the claim costs more than running it, so one plan serves for a few seconds."""

import asyncio

from automations.database import DedicatedConnection, load_queries

queries = load_queries("delivery")

PLAN_SECONDS = 5.0


class Plans:
    """Of one connection. A plan that was made while a table was small does not stay."""

    def __init__(self, connection: DedicatedConnection) -> None:
        self._connection = connection
        self._due_at: float | None = None

    async def refresh(self) -> None:
        """Forget plans that are old."""
        now = asyncio.get_running_loop().time()
        if self._due_at is None:
            await queries.plan_for_all_values(self._connection)
        elif now < self._due_at:
            return
        else:
            await queries.forget_plans(self._connection)
        self._due_at = now + PLAN_SECONDS
