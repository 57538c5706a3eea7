"""What actions do on the watched side, in our own tables, with the same functions that serve the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from automations.database import Connection, Database
from automations.orchestration import flows, runs, scheduled_runs
from automations.orchestration.runs import queries


class LocalOrchestration:
    """Carries actions out. State changes remember the delivery that caused them, so that a chain of them ends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cancel_flow_run(self, tenant_id: UUID, flow_run_id: UUID, *, message: str, caused_by: UUID) -> str:
        """Cancel a run and return the state it is in now."""
        async with self._caused_by(caused_by) as connection:
            return await runs.cancel_flow_run(connection, tenant_id, flow_run_id, message=message)

    async def pause_schedule(self, tenant_id: UUID, flow_group_id: UUID, *, caused_by: UUID) -> None:
        """Switch the schedule of a flow group's newest version off: the older ones have none any more."""
        async with self._caused_by(caused_by) as connection:
            flow_id = await flows.flow_of_flow_group(connection, tenant_id, flow_group_id)
            await scheduled_runs.set_schedule_active(
                connection, tenant_id, flow_id, active=False, now=datetime.now(UTC)
            )

    async def create_flow_run(
        self, tenant_id: UUID, flow_group_id: UUID, *, name: str | None, parameters: Any, caused_by: UUID
    ) -> UUID:
        """Schedule a run of a flow group's newest version. The delivery is its idempotency key.

        A second try finds the first one's run also where a new version was registered meanwhile.
        """
        key = str(caused_by)
        async with self._caused_by(caused_by) as connection:
            flow_id = await flows.flow_of_flow_group(connection, tenant_id, flow_group_id, idempotency_key=key)
            return await runs.create_flow_run(
                connection, tenant_id, flow_id=flow_id, name=name, parameters=parameters, idempotency_key=key
            )

    @asynccontextmanager
    async def _caused_by(self, delivery_id: UUID) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            await queries.set_caused_by(connection, delivery_id=str(delivery_id))
            yield connection
