"""Trying things out: test deliveries, previews, and sending again.

A test goes the way of every delivery, through the queue and the ledger, and is marked there. It is tried once.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson

from automations.actions.contract import Action
from automations.database import Connection, Database, Record, load_queries
from automations.definitions.actions import create_hidden_action, find_action
from automations.definitions.automations import action_ids_of, find_automation, trigger_of
from automations.errors import Conflict, InvalidInput, NotFound
from automations.events import EVENT_TYPES, FLOW_RUN_STATE_CHANGED, EventType, sample_event
from automations.links import Links
from automations.messages import TemplateError, render, unknown_fields

queries = load_queries("trial")

LOOK_SECONDS = 0.02
GRACE_SECONDS = 5.0
_DERIVED = ("event_type", "flow_run_link", "flow_link", "message")


@dataclass(frozen=True)
class Outcome:
    """How the test of one action went; `rendered` is what was sent, without secrets."""

    action_id: UUID
    success: bool
    error: str | None
    status_code: int | None
    rendered: Any


@dataclass(frozen=True)
class Preview:
    """A message as an event makes it, and the names in its template that stay as written."""

    rendered: str
    unknown_fields: list[str]


class Trials:
    """Tests and redeliveries; `wake` tells the dispatcher that there is something to send."""

    def __init__(
        self, database: Database, *, wake: Callable[[], None], links: Links, send_timeout_seconds: float
    ) -> None:
        self._database, self._wake, self._links = database, wake, links
        self._wait_seconds = send_timeout_seconds + GRACE_SECONDS

    async def test_action(self, tenant_id: UUID, action: UUID | Action) -> Outcome:
        """Send a sample event with a saved action or with a config that is not saved."""
        async with self._database.transaction() as connection:
            if isinstance(action, UUID):
                action_id = (await find_action(connection, tenant_id, action))["id"]
            else:
                action_id = await create_hidden_action(connection, tenant_id, action)
            event = await _sample(connection, tenant_id, FLOW_RUN_STATE_CHANGED)
            owed = await _owe(connection, tenant_id, event, [action_id])
        [outcome] = await self._outcomes(tenant_id, owed)
        return outcome

    async def test_automation(
        self, tenant_id: UUID, automation_id: UUID, *, flow_run_id: UUID | None = None
    ) -> list[Outcome]:
        """Send with all actions of an automation, a sample event or one of a run; an outcome for each action."""
        async with self._database.transaction() as connection:
            row = await find_automation(connection, tenant_id, automation_id)
            trigger = trigger_of(row)
            event = await _sample(connection, tenant_id, trigger.EVENT_TYPE, flow_run_id) | trigger.event_attributes
            action_ids = await action_ids_of(connection, tenant_id, automation_id)
            owed = await _owe(
                connection, tenant_id, event, action_ids, automation_id=automation_id, flow_run_id=flow_run_id
            )
        return await self._outcomes(tenant_id, owed)

    async def preview(
        self, tenant_id: UUID, event_type: str, template: str, *, flow_run_id: UUID | None = None
    ) -> Preview:
        """A template with the values of a sample event, or of a run, in it."""
        known = EVENT_TYPES.get(event_type)
        if known is None:
            raise InvalidInput(f"There is no event type {event_type[:50]!r}; there are {', '.join(EVENT_TYPES)}.")
        async with self._database.connection() as connection:
            event = await _sample(connection, tenant_id, known, flow_run_id)
        try:
            return Preview(
                rendered=render(template, self._links.complete(event)),
                unknown_fields=unknown_fields(template, known),
            )
        except TemplateError as error:
            raise InvalidInput(f"template: {error}") from None

    async def redeliver(self, tenant_id: UUID, delivery_id: UUID) -> UUID:
        """Owe an ended delivery once more, with the action as it is now; the new delivery's id."""
        async with self._database.connection() as connection:
            row = await queries.redeliver(
                connection, tenant_id=tenant_id, delivery_id=delivery_id, now=datetime.now(UTC)
            )
        if row is None:
            raise NotFound(f"There is no delivery {delivery_id}.")
        if row["id"] is None:
            raise Conflict(f"The delivery is {row['status']}: it is on its way already.")
        self._wake()
        return UUID(str(row["id"]))

    async def _outcomes(self, tenant_id: UUID, owed: Sequence[Record]) -> list[Outcome]:
        """Wait for deliveries to end, as long as an attempt may take; one outcome for each action."""
        self._wake()
        rows: list[Record] = []
        ends_at = asyncio.get_running_loop().time() + self._wait_seconds
        while not rows or (_is_open(rows) and asyncio.get_running_loop().time() < ends_at):
            await asyncio.sleep(LOOK_SECONDS)
            async with self._database.connection() as connection:
                ids = [row["id"] for row in owed]
                rows = [row async for row in queries.outcomes(connection, tenant_id=tenant_id, ids=ids)]
        action_ids = dict.fromkeys(row["action_id"] for row in rows)
        return [_outcome(action_id, [row for row in rows if row["action_id"] == action_id]) for action_id in action_ids]


def _is_open(rows: Sequence[Record]) -> bool:
    return any(row["status"] in {"PENDING", "SENDING"} for row in rows)


def _outcome(action_id: UUID, rows: Sequence[Record]) -> Outcome:
    failed = [row for row in rows if row["status"] != "DELIVERED"]
    shown = (failed or rows)[0]
    error = None
    if failed:
        error = shown["reason"] or "It is still on its way; the delivery will say what becomes of it"
    return Outcome(
        action_id=action_id,
        success=not failed,
        error=error,
        status_code=shown["status_code"],
        rendered=None if shown["request"] is None else orjson.loads(shown["request"]),
    )


async def _sample(
    connection: Connection, tenant_id: UUID, event_type: EventType, flow_run_id: UUID | None = None
) -> dict[str, Any]:
    """An event as it would be stored: a plausible one, or with what is true of a run."""
    event: dict[str, Any] = {
        name: value for name, value in sample_event(event_type).items() if name not in _DERIVED
    } | {
        "id": str(uuid4()),
        "tenant_id": str(tenant_id),
        "tenant_slug": await queries.slug(connection, tenant_id=tenant_id),
        "timestamp": datetime.now(UTC).isoformat(),
    }
    if flow_run_id is None:
        return event
    run = await queries.event_of_run(connection, tenant_id=tenant_id, flow_run_id=flow_run_id)
    if run is None:
        raise NotFound(f"There is no flow run {flow_run_id}.")
    return event | (orjson.loads(run) if event_type.has_flow_run else {})


async def _owe(
    connection: Connection,
    tenant_id: UUID,
    event: dict[str, Any],
    action_ids: Sequence[UUID],
    *,
    automation_id: UUID | None = None,
    flow_run_id: UUID | None = None,
) -> list[Record]:
    firing_id = await queries.fire(
        connection,
        tenant_id=tenant_id,
        automation_id=automation_id,
        event_type=event["event_name"],
        event_id=UUID(event["id"]),
        event=orjson.dumps(event).decode(),
        flow_run_id=flow_run_id,
    )
    owed = queries.owe(
        connection,
        tenant_id=tenant_id,
        automation_id=automation_id,
        firing_id=firing_id,
        action_ids=list(action_ids),
        now=datetime.now(UTC),
    )
    return [row async for row in owed]
