"""The watched side as an existing backend writes it, by plain SQL, and the automations that wait for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from automations.actions.webhook import Webhook
from automations.database import DedicatedConnection
from automations.definitions.automations import create_automation, delete_automation, update_automation
from automations.definitions.triggers import parse_trigger
from automations.engine.evaluator import evaluate_batch


@dataclass(frozen=True)
class Flow:
    """A flow's ids."""

    id: UUID
    flow_group_id: UUID
    project_id: UUID


@dataclass(frozen=True)
class Watched:
    """The flows, runs and automations of one tenant."""

    connection: DedicatedConnection
    tenant_id: UUID

    async def flow(self, name: str = "etl") -> Flow:
        """A new flow in a project and a flow group of its own."""
        row = await self.connection.fetchrow(
            """
            WITH project AS (INSERT INTO project (tenant_id, name) VALUES ($1, gen_random_uuid()) RETURNING id),
            flow_group AS (INSERT INTO flow_group (tenant_id, name) VALUES ($1, gen_random_uuid()) RETURNING id)
            INSERT INTO flow (tenant_id, name, project_id, flow_group_id)
            SELECT $1, $2, project.id, flow_group.id FROM project, flow_group
            RETURNING id, flow_group_id, project_id
            """,
            self.tenant_id,
            name,
        )
        assert row is not None
        return Flow(row["id"], row["flow_group_id"], row["project_id"])

    async def run(self, flow: Flow, name: str = "nightly") -> UUID:
        """Id of a new run, which has no state yet."""
        return UUID(
            str(
                await self.connection.fetchval(
                    "INSERT INTO flow_run (tenant_id, flow_id, name) VALUES ($1, $2, $3) RETURNING id",
                    self.tenant_id,
                    flow.id,
                    name,
                )
            )
        )

    async def enter(self, flow_run_id: UUID, state: str = "Failed", message: str | None = None) -> UUID:
        """Id of a run's new state."""
        return UUID(str(await enter(self.connection, self.tenant_id, flow_run_id, state, message)))

    async def automation(self, *, actions: int = 1, enabled: bool = True, **event: Any) -> UUID:
        """Id of a new automation with webhooks; for runs that fail unless the event says otherwise."""
        async with self.connection.transaction():
            saved = await create_automation(
                self.connection,
                self.tenant_id,
                name="tell",
                description=None,
                enabled=enabled,
                trigger=parse_trigger({"flow_run_state_changed": event or {"state_group": "FAILED"}}),
                actions=[Webhook(url=f"https://hooks.example.com/{number}") for number in range(actions)],
            )
        return saved.id

    async def disable(self, automation_id: UUID) -> None:
        async with self.connection.transaction():
            await update_automation(
                self.connection, self.tenant_id, automation_id, changes={"enabled": False}, trigger=None, actions=None
            )

    async def delete(self, automation_id: UUID) -> None:
        async with self.connection.transaction():
            await delete_automation(self.connection, self.tenant_id, automation_id)

    async def evaluate(self, *, max_depth: int = 8, batch: int = 2000) -> tuple[int, int, int]:
        """Evaluate a batch; the changes taken, the firings and the deliveries that came of them."""
        taken = await evaluate_batch(self.connection, now=datetime.now(UTC), max_depth=max_depth, batch=batch)
        return taken["changes"], taken["firings"], taken["deliveries"]

    async def waiting(self) -> int:
        """How many state changes are on the queue."""
        return int(await self.connection.fetchval("SELECT count(*) FROM automations.state_change"))

    async def firings(self) -> Sequence[Any]:
        """All firings of all tenants, oldest first."""
        return list(await self.connection.fetch("SELECT * FROM automations.firing ORDER BY created, id"))

    async def deliveries(self) -> Sequence[Any]:
        """All deliveries of all tenants, oldest first."""
        return list(await self.connection.fetch("SELECT * FROM automations.delivery ORDER BY created, id"))

    async def event(self) -> dict[str, Any]:
        """The event of the only firing."""
        [firing] = await self.firings()
        return dict(orjson.loads(firing["event"]))


async def enter(
    connection: DedicatedConnection, tenant_id: UUID | None, flow_run_id: UUID, state: str, message: str | None = None
) -> Any:
    """A new state, written by whatever connection; its id."""
    return await connection.fetchval(
        """
        INSERT INTO flow_run_state (tenant_id, flow_run_id, state, message, version) VALUES ($1, $2, $3, $4, 1)
        RETURNING id
        """,
        tenant_id,
        flow_run_id,
        state,
        message,
    )
