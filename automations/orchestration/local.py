"""What actions do on the watched side, in our own tables."""

from uuid import UUID

from automations.database import Database
from automations.orchestration import runs
from automations.orchestration.runs import queries


class LocalOrchestration:
    """Carries actions out with the same functions that serve the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cancel_flow_run(self, tenant_id: UUID, flow_run_id: UUID, *, message: str, caused_by: UUID) -> str:
        """Cancel a run and return the state it is in now. The state change remembers the delivery that caused it."""
        async with self._database.transaction() as connection:
            await queries.set_caused_by(connection, delivery_id=str(caused_by))
            return await runs.cancel_flow_run(connection, tenant_id, flow_run_id, message=message)
