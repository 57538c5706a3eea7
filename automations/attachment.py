"""Databases that have an existing backend's tables already: whose they are, whether they will do, and leaving them.

Beside our own schema, all that is ever made there are our triggers on its states.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from automations.database import Connection, load_queries

queries = load_queries("attachment")


@dataclass(frozen=True)
class Backend:
    """Whose the watched tables are: ours, or an existing backend's that we are attached to.

    `columns`: the columns of each of its tables, where they are its own.
    """

    is_attached: bool = False
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)


OWN = Backend()


@dataclass(frozen=True)
class Leaving:
    """What goes with our schema. `triggers`: (trigger, table); `dependents`: what others built on our tables."""

    triggers: list[tuple[str, str]]
    counts: Mapping[str, int]
    dependents: list[str]
    connected_servers: int


async def has_schema(connection: Connection) -> bool:
    """Whether a database has our list of migrations."""
    return bool(await queries.has_schema(connection))


async def is_attached(connection: Connection) -> bool:
    """Whether the watched tables of a database with our list of migrations are somebody else's."""
    return bool(await queries.is_attached(connection))


async def wait_briefly(connection: Connection) -> None:
    """From here on, rather fail (`LockTimeout`) than hold up those who write to a table that we wait for."""
    await queries.wait_briefly(connection)


async def find_backend(connection: Connection) -> Backend:
    """Whose the tables of a migrated database are."""
    if not await is_attached(connection):
        return OWN
    columns = {row["table_name"]: frozenset(row["columns"]) async for row in queries.watched_columns(connection)}
    return Backend(is_attached=True, columns=columns)


async def unfit(connection: Connection) -> str | None:
    """Why the backend whose tables are there cannot be watched, and what to do; None where it can."""
    if missing := await queries.missing_columns(connection):
        return (
            f"The database has some tables of a Prefect Server, and lacks {', '.join(missing)}. Upgrade that server "
            "first, or give Automations a database of its own."
        )
    if not await queries.has_tenant(connection):
        return (
            "The database has the tables of a Prefect Server, and no tenant yet. Make one there first "
            "(prefect server create-tenant), then start again."
        )
    return None


async def connected_servers(connection: Connection) -> int:
    """How many other connections of ours to this database are open."""
    return int(await queries.connected_servers(connection))


async def look_at_leaving(connection: Connection) -> Leaving:
    """What `leave` would take away, and what stands in its way."""
    return Leaving(
        triggers=[(row["name"], row["table_name"]) async for row in queries.own_triggers(connection)],
        counts=dict(await queries.what_goes(connection)),
        dependents=list(await queries.dependents(connection)),
        connected_servers=await connected_servers(connection),
    )


async def leave(connection: Connection) -> None:
    """Take our triggers off its table and drop our schema, with all that is in it. Needs a transaction."""
    await queries.detach(connection)
