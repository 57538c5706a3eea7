"""Calls that clients repeat after a time-out: the same idempotency key, tenant and table give the same row.

For tables that may be an existing backend's, and have no column for such a key.
"""

from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

from automations.database import Connection, load_queries
from automations.errors import Conflict

queries = load_queries("repeat")

Table = Literal["tenant", "project", "flow", "agent_config", "flow_group_sla"]


async def once(
    connection: Connection,
    tenant_id: UUID,
    table: Table,
    idempotency_key: str | None,
    make: Callable[[], Awaitable[UUID]],
) -> UUID:
    """What `make` makes, or made when this key came first. Needs a transaction.

    Conflict where that row was deleted since.
    """
    if idempotency_key is None:
        return await make()
    await queries.lock_repeats(connection, tenant_id=str(tenant_id), table_name=table, idempotency_key=idempotency_key)
    row = await queries.find_repeated(
        connection, tenant_id=tenant_id, table_name=table, idempotency_key=idempotency_key
    )
    if row is None:
        row_id = await make()
        await queries.remember(
            connection, tenant_id=tenant_id, table_name=table, idempotency_key=idempotency_key, row_id=row_id
        )
        return row_id
    if not row["is_there"]:
        raise Conflict("What was made with this idempotency_key was deleted. Use another key to make a new one.")
    return UUID(str(row["row_id"]))
