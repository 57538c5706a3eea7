"""Automations: when this happens, do that. All of a write, or nothing of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from automations.actions.contract import Action
from automations.database import Connection, Record, load_queries
from automations.definitions.actions import (
    action_of,
    check_event_feeds,
    check_templates,
    create_action,
    idempotent_id,
    missing_secrets,
)
from automations.definitions.triggers import Trigger, parse_trigger
from automations.errors import InvalidInput, NotFound
from automations.events import EVENT_TYPES

queries = load_queries("definition")

MOST_ACTIONS = 20


@dataclass(frozen=True)
class Saved:
    """An automation that was written, and what its author should know about it."""

    id: UUID
    warnings: list[str]


async def create_automation(
    connection: Connection,
    tenant_id: UUID,
    *,
    name: str | None,
    description: str | None,
    enabled: bool,
    trigger: Trigger,
    actions: Sequence[Action | UUID],
    idempotency_key: str | None = None,
) -> Saved:
    """Make an automation. `actions` holds new configs and ids of saved actions. Needs a transaction.

    The same idempotency key gives the same automation.
    """
    name = trigger.sentence if name is None else name
    if idempotency_key is not None:
        await queries.lock_idempotency_key(connection, tenant_id=str(tenant_id), idempotency_key=idempotency_key)
        existing = await queries.automation_of_idempotency_key(
            connection, tenant_id=tenant_id, idempotency_key=idempotency_key
        )
        if existing is not None:
            return Saved(idempotent_id(existing, "automation"), [])
    _check_name(name)
    await trigger.check(connection, tenant_id)
    known = await _known_actions(connection, tenant_id, actions)
    warnings = await _check_actions(connection, tenant_id, trigger, known)
    automation_id = UUID(
        str(
            await queries.insert_automation(
                connection,
                tenant_id=tenant_id,
                name=name,
                description=description,
                enabled=enabled,
                event_type=trigger.EVENT_TYPE.name,
                event=orjson.dumps(trigger.event).decode(),
                event_tags=orjson.dumps(trigger.tags).decode(),
                idempotency_key=idempotency_key,
            )
        )
    )
    await _write_actions(connection, tenant_id, automation_id, actions)
    await trigger.write_rules(connection, tenant_id, automation_id, enabled=enabled)
    return Saved(automation_id, warnings)


async def update_automation(
    connection: Connection,
    tenant_id: UUID,
    automation_id: UUID,
    *,
    changes: dict[str, Any],
    trigger: Trigger | None,
    actions: Sequence[Action | UUID] | None,
) -> Saved:
    """Change an automation; what is None stays, and so does its id. Needs a transaction.

    `changes` may hold `name`, `description` (None empties it) and `enabled`.
    """
    row = await find_automation(connection, tenant_id, automation_id)
    values = {"name": row["name"], "description": row["description"], "enabled": row["enabled"], **changes}
    _check_name(values["name"])
    earlier_trigger = trigger_of(row)
    if trigger is None:
        trigger = earlier_trigger
    else:
        trigger = trigger.in_place_of(earlier_trigger)
        await trigger.check(connection, tenant_id)
    earlier = [
        step
        async for step in queries.actions_of_automation(connection, tenant_id=tenant_id, automation_id=automation_id)
    ]
    known = (
        [action_of(step) for step in earlier]
        if actions is None
        else await _known_actions(connection, tenant_id, actions)
    )
    warnings = await _check_actions(connection, tenant_id, trigger, known)
    await queries.update_automation(
        connection,
        tenant_id=tenant_id,
        automation_id=automation_id,
        event_type=trigger.EVENT_TYPE.name,
        event=orjson.dumps(trigger.event).decode(),
        event_tags=orjson.dumps(trigger.tags).decode(),
        **values,
    )
    if actions is not None:
        await _write_actions(connection, tenant_id, automation_id, actions)
        await _delete_inline(connection, tenant_id, earlier)
    if not trigger.writes_over(earlier_trigger):
        await earlier_trigger.clear_rules(connection, tenant_id, automation_id)
    if trigger != earlier_trigger or values["enabled"] != row["enabled"]:
        await trigger.write_rules(connection, tenant_id, automation_id, enabled=values["enabled"])
    return Saved(automation_id, warnings)


async def delete_automation(connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
    """Delete an automation and the actions made inside it. What it owes is still sent. Needs a transaction."""
    row = await find_automation(connection, tenant_id, automation_id)
    steps = [
        step
        async for step in queries.actions_of_automation(connection, tenant_id=tenant_id, automation_id=automation_id)
    ]
    await trigger_of(row).clear_rules(connection, tenant_id, automation_id)
    await queries.delete_automation(connection, tenant_id=tenant_id, automation_id=automation_id)
    await _delete_inline(connection, tenant_id, steps)


async def find_automation(connection: Connection, tenant_id: UUID, automation_id: UUID) -> Record:
    """An automation's row, held until the transaction ends; NotFound where there is none."""
    row: Record | None = await queries.get_automation(connection, tenant_id=tenant_id, automation_id=automation_id)
    if row is None:
        raise NotFound(f"There is no automation {automation_id}.")
    return row


async def action_ids_of(connection: Connection, tenant_id: UUID, automation_id: UUID) -> list[UUID]:
    """Ids of an automation's actions, in their order."""
    steps = queries.actions_of_automation(connection, tenant_id=tenant_id, automation_id=automation_id)
    return [step["id"] async for step in steps]


def trigger_of(row: Record) -> Trigger:
    """The trigger that a row holds."""
    return parse_trigger({EVENT_TYPES[row["event_type"]].key: orjson.loads(row["event"])})


async def _known_actions(connection: Connection, tenant_id: UUID, actions: Sequence[Action | UUID]) -> list[Action]:
    if not 1 <= len(actions) <= MOST_ACTIONS:
        raise InvalidInput(f"actions takes 1 to {MOST_ACTIONS} actions; {len(actions)} were given.")
    ids = [action for action in actions if isinstance(action, UUID)]
    saved = {
        row["id"]: action_of(row) async for row in queries.get_actions(connection, tenant_id=tenant_id, action_ids=ids)
    }
    for action_id in ids:
        if action_id not in saved:
            raise InvalidInput(f"There is no action {action_id}.")
    return [saved[action] if isinstance(action, UUID) else action for action in actions]


async def _check_actions(connection: Connection, tenant_id: UUID, trigger: Trigger, actions: list[Action]) -> list[str]:
    warnings: list[str] = []
    for action in actions:
        check_event_feeds(action, trigger.EVENT_TYPE)
        warnings += check_templates(action, trigger.EVENT_TYPE)
    return warnings + await missing_secrets(connection, tenant_id, actions)


async def _write_actions(
    connection: Connection, tenant_id: UUID, automation_id: UUID, actions: Sequence[Action | UUID]
) -> None:
    ids = [
        action
        if isinstance(action, UUID)
        else await create_action(connection, tenant_id, action, name=None, inline=True)
        for action in actions
    ]
    await queries.clear_actions(connection, tenant_id=tenant_id, automation_id=automation_id)
    await queries.add_actions(connection, tenant_id=tenant_id, automation_id=automation_id, action_ids=ids)


async def _delete_inline(connection: Connection, tenant_id: UUID, earlier: Sequence[Record]) -> None:
    """Delete what was made inside an automation and that none uses any more."""
    ids = [step["id"] for step in earlier if step["inline"]]
    if ids:
        await queries.lock_actions(connection, tenant_id=tenant_id, action_ids=ids)
        await queries.delete_unused_actions(connection, tenant_id=tenant_id, action_ids=ids)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200:
        raise InvalidInput("name must have 1 to 200 characters.")
