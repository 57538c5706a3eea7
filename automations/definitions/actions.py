"""Actions: named configs of the action clients."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

import orjson

from automations.actions import BY_KEY, BY_TYPE, parse_config
from automations.actions.contract import Action, Choices, InvalidConfig, secret_names, values_of_kind
from automations.database import Connection, Record, load_queries
from automations.errors import Conflict, InvalidInput, NotFound
from automations.events import EVENT_TYPES, EventType
from automations.messages import TemplateError, check, check_json

queries = load_queries("definition")
orchestration_queries = load_queries("orchestration")


def parse_action(config: Mapping[str, Any], choices: Choices) -> Action:
    """An action from `{key: {…}}` with exactly one key that is set; InvalidInput says what is wrong with it."""
    given = {key: value for key, value in config.items() if value is not None}
    if len(given) != 1:
        raise InvalidInput(f"config takes exactly one of {', '.join(BY_KEY)}; {', '.join(given) or 'none'} was given.")
    [(key, fields)] = given.items()
    try:
        action = parse_config(key, fields, choices)
    except InvalidConfig as error:
        raise InvalidInput(str(error)) from None
    check_templates(action, next(iter(EVENT_TYPES.values())))
    return action


def check_templates(action: Action, event_type: EventType) -> list[str]:
    """Warnings for names that this event lacks; InvalidInput for names that no event has."""
    warnings: list[str] = []
    try:
        for name, value in values_of_kind(action, "template"):
            warnings += check(value, event_type, where=f"{action.KEY}.{name}")
        for name, value in values_of_kind(action, "json_template"):
            warnings += check_json(value, event_type, where=f"{action.KEY}.{name}")
    except TemplateError as error:
        raise InvalidInput(str(error)) from None
    return warnings


def check_event_feeds(action: Action, event_type: EventType) -> None:
    """InvalidInput for an action that needs a flow run where the event has none."""
    if action.needs_flow_run and not event_type.has_flow_run:
        raise InvalidInput(f"{action.KEY} needs an event with a flow run, and {event_type.key} has none.")


async def check_flow_groups(connection: Connection, tenant_id: UUID, action: Action) -> None:
    """InvalidInput for a flow group that the tenant does not have."""
    for name, value in values_of_kind(action, "flow_group"):
        if not await orchestration_queries.known_flow_groups(connection, tenant_id=tenant_id, ids=[UUID(value)]):
            raise InvalidInput(f"{action.KEY}.{name}: there is no flow group {value}.")


def action_of(row: Record) -> Action:
    """The action that a row holds."""
    return BY_TYPE[row["action_type"]](**orjson.loads(row["action_config"]))


async def create_action(
    connection: Connection,
    tenant_id: UUID,
    action: Action,
    *,
    name: str | None,
    inline: bool = False,
    hidden: bool = False,
    idempotency_key: str | None = None,
) -> UUID:
    """Make an action and return its id; the same idempotency key gives the same action. Needs a transaction.

    A hidden one is born deleted.
    """
    await check_flow_groups(connection, tenant_id, action)
    if idempotency_key is not None:
        await queries.lock_idempotency_key(connection, tenant_id=str(tenant_id), idempotency_key=idempotency_key)
        existing = await queries.action_of_idempotency_key(
            connection, tenant_id=tenant_id, idempotency_key=idempotency_key
        )
        if existing is not None:
            return idempotent_id(existing, "action")
    action_id = await queries.insert_action(
        connection,
        tenant_id=tenant_id,
        name=name,
        inline=inline,
        hidden=hidden,
        idempotency_key=idempotency_key,
        **_columns(action),
    )
    return UUID(str(action_id))


async def create_hidden_action(connection: Connection, tenant_id: UUID, action: Action) -> UUID:
    """Make an action that nobody sees, for a config that is only tried out. Needs a transaction."""
    return await create_action(connection, tenant_id, action, name=None, inline=True, hidden=True)


async def find_action(connection: Connection, tenant_id: UUID, action_id: UUID) -> Record:
    """An action's row, held until the transaction ends; NotFound where there is none."""
    row: Record | None = await queries.get_action(connection, tenant_id=tenant_id, action_id=action_id)
    if row is None:
        raise NotFound(f"There is no action {action_id}.")
    return row


async def update_action(
    connection: Connection, tenant_id: UUID, action_id: UUID, *, action: Action | None, name: str | None
) -> None:
    """Change an action's name or config; what is None stays. Needs a transaction.

    Deliveries that are pending are sent with the new config.
    """
    await find_action(connection, tenant_id, action_id)
    if name is not None:
        await queries.rename_action(connection, tenant_id=tenant_id, action_id=action_id, name=name)
    if action is None:
        return
    await check_flow_groups(connection, tenant_id, action)
    async for user in queries.users_of_action(connection, tenant_id=tenant_id, action_id=action_id):
        check_event_feeds(action, EVENT_TYPES[user["event_type"]])
    columns = _columns(action)
    await queries.update_action_config(connection, tenant_id=tenant_id, action_id=action_id, **columns)
    await queries.move_pending_deliveries(
        connection,
        tenant_id=tenant_id,
        action_id=action_id,
        destination=columns["destination"],
        action_type=columns["action_type"],
    )


async def delete_action(connection: Connection, tenant_id: UUID, action_id: UUID) -> None:
    """Delete an action that no automation uses. What it owes is still sent. Needs a transaction."""
    await find_action(connection, tenant_id, action_id)
    users = [row["name"] async for row in queries.users_of_action(connection, tenant_id=tenant_id, action_id=action_id)]
    if users:
        named = ", ".join(repr(name) for name in users[:3]) + (" and others" if len(users) > 3 else "")
        raise Conflict(f"The action is used by {named}. Delete those automations or give them another action first.")
    await queries.delete_unused_actions(connection, tenant_id=tenant_id, action_ids=[action_id])


def idempotent_id(row: Record, noun: str) -> UUID:
    """The id of what was made under an idempotency key before; Conflict where it was deleted since."""
    if row["deleted_at"] is not None:
        raise Conflict(f"The {noun} made with this idempotency_key was deleted. Use another key to make a new one.")
    return UUID(str(row["id"]))


async def missing_secrets(connection: Connection, tenant_id: UUID, actions: list[Action]) -> list[str]:
    """Warnings for secrets that actions name and that do not exist yet."""
    names = list(dict.fromkeys(name for action in actions for name in secret_names(action)))
    missing = await queries.missing_secrets(connection, tenant_id=tenant_id, names=names) if names else []
    return [f'The secret "{name}" does not exist; sending fails until it is set.' for name in missing]


def _columns(action: Action) -> dict[str, Any]:
    config = {name: value for name, value in asdict(action).items() if value is not None}
    return {
        "action_type": action.TYPE,
        "action_config": orjson.dumps(config).decode(),
        "destination": action.destination,
        "targets": list(action.targets),
        "is_ordered": action.ORDERED,
        "used_secrets": secret_names(action),
    }
