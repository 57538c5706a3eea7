"""Tells the database who changes definitions: its triggers write the audit."""

from uuid import UUID

from automations.database import Connection, load_queries

queries = load_queries("access")


async def set_author(connection: Connection, *, actor: str, operation: str, key_id: UUID | None = None) -> None:
    """The changes of this transaction are this actor's, made by a mutation or a command. Needs a transaction."""
    await queries.set_author(connection, actor=actor, operation=operation, key_id="" if key_id is None else str(key_id))
