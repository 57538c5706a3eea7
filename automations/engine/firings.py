"""What new firings owe."""

from collections.abc import Sequence
from datetime import datetime

from automations.database import DedicatedConnection, Record, load_queries

queries = load_queries("firing")


async def owe(connection: DedicatedConnection, firings: Sequence[Record], *, now: datetime, max_depth: int) -> int:
    """Write the deliveries that firings (tenant_id, id) owe, in the transaction that made these; how many."""
    if not firings:
        return 0
    return int(
        await queries.owe(
            connection,
            tenant_ids=[firing["tenant_id"] for firing in firings],
            ids=[firing["id"] for firing in firings],
            now=now,
            max_depth=max_depth,
        )
    )
