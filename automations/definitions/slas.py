"""SLAs of flows: by when a run must have started or finished. Open runs are held to a new or changed one at once."""

from collections.abc import Sequence
from uuid import UUID

from automations.database import Connection, load_queries
from automations.definitions.actions import idempotent_id
from automations.definitions.fields import seconds_of
from automations.errors import InvalidInput, NotFound
from automations.orchestration.states import FINISHED, STATES

queries = load_queries("sla")
definition_queries = load_queries("definition")
orchestration_queries = load_queries("orchestration")

KINDS = ("SCHEDULED_NOT_STARTED", "STARTED_NOT_FINISHED")
ALL = UUID(int=0)  # as a flow group: every one

_OPEN = [state for state in STATES if state not in FINISHED]


async def create_config(
    connection: Connection,
    tenant_id: UUID,
    *,
    kind: str,
    duration_seconds: int,
    name: str | None,
    idempotency_key: str | None = None,
) -> UUID:
    """Make an SLA that no flow has yet and return its id. Needs a transaction."""
    seconds_of({"duration_seconds": duration_seconds}, "duration_seconds")
    if idempotency_key is not None:
        await definition_queries.lock_idempotency_key(
            connection, tenant_id=str(tenant_id), idempotency_key=idempotency_key
        )
        existing = await queries.config_of_idempotency_key(
            connection, tenant_id=tenant_id, idempotency_key=idempotency_key
        )
        if existing is not None:
            return idempotent_id(existing, "SLA")
    config_id = await queries.insert_config(
        connection,
        tenant_id=tenant_id,
        name=name,
        kind=kind,
        duration_seconds=duration_seconds,
        idempotency_key=idempotency_key,
    )
    return UUID(str(config_id))


async def link_flow_group(connection: Connection, tenant_id: UUID, config_id: UUID, flow_group_id: UUID) -> UUID:
    """Hold a flow group's runs to an SLA and return the link's id; the same link is made once. Needs a transaction."""
    if not await known_configs(connection, tenant_id, [config_id]):
        raise NotFound(f"There is no flow SLA config {config_id}.")
    if not await orchestration_queries.known_flow_groups(connection, tenant_id=tenant_id, ids=[flow_group_id]):
        raise InvalidInput(f"There is no flow group {flow_group_id}.")
    link_id = await queries.add_link(
        connection, tenant_id=tenant_id, flow_sla_config_id=config_id, flow_group_id=flow_group_id
    )
    await _backfill(connection, tenant_id, [config_id], flow_group_ids=[flow_group_id])
    return UUID(str(link_id))


async def known_configs(connection: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Which of these are SLAs of the tenant. They are not deleted before the transaction ends."""
    return list(await queries.known_configs(connection, tenant_id=tenant_id, ids=list(ids)))


async def put_inline_config(
    connection: Connection,
    tenant_id: UUID,
    config_id: UUID,
    *,
    kind: str,
    duration_seconds: int,
    flow_group_ids: Sequence[UUID],
) -> None:
    """Make or change the SLA of an automation's own. Its timers are set by `put_rules`. Needs a transaction."""
    await queries.put_inline_config(
        connection, tenant_id=tenant_id, id=config_id, kind=kind, duration_seconds=duration_seconds
    )
    await queries.put_links(
        connection, tenant_id=tenant_id, flow_sla_config_id=config_id, flow_group_ids=list(flow_group_ids or [ALL])
    )
    await queries.drop_timers(connection, tenant_id=tenant_id, flow_sla_config_ids=[config_id])


async def delete_inline_config(connection: Connection, tenant_id: UUID, config_id: UUID) -> None:
    """Delete the SLA of an automation's own, and its timers. Needs a transaction."""
    await queries.delete_inline_config(connection, tenant_id=tenant_id, flow_sla_config_id=config_id)
    await queries.drop_timers(connection, tenant_id=tenant_id, flow_sla_config_ids=[config_id])


async def put_rules(connection: Connection, tenant_id: UUID, automation_id: UUID, config_ids: Sequence[UUID]) -> None:
    """Let an automation wait for failures of these SLAs and no others. Needs a transaction."""
    await queries.clear_rules(connection, tenant_id=tenant_id, automation_id=automation_id)
    if config_ids:
        await queries.add_rules(
            connection, tenant_id=tenant_id, automation_id=automation_id, flow_sla_config_ids=list(config_ids)
        )
        await _backfill(connection, tenant_id, config_ids)


async def _backfill(
    connection: Connection, tenant_id: UUID, config_ids: Sequence[UUID], flow_group_ids: Sequence[UUID] | None = None
) -> None:
    await queries.backfill_timers(
        connection,
        tenant_id=tenant_id,
        flow_sla_config_ids=list(config_ids),
        flow_group_ids=None if flow_group_ids is None else list(flow_group_ids),
        open_states=_OPEN,
    )
