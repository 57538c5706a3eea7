"""Follows which rows change, while somebody in this process wants to know.

Statements note what they change only while some process listens (sql/migrations/automations/0010_changes.sql), so that
nobody pays where there are no subscribers. A change whose statement ran before the first listener had registered is
not noted. Changes are read by transaction snapshots: none is missed and none comes twice, however transactions overlap.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson
import structlog

from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.loop import Bell, keep_running

log = structlog.get_logger(__name__)
queries = load_queries("change")

READ_SECONDS = 0.1
"""How often changes are read: a subscriber hears of them so much later at most."""
RENEW_SECONDS = 5.0
LAPSE_SECONDS = 60.0
"""After so long without renewal nothing is noted for a process."""
LINGER_SECONDS = 30.0
"""A process listens on for so long after its last subscriber went: the next one may be a page that was loaded anew."""


@dataclass(frozen=True)
class Change:
    """A row that was inserted or updated. `table` is automation, delivery or flow_run."""

    table: str
    tenant_id: UUID
    id: UUID
    automation_id: UUID | None = None


class ChangeFeed:
    """Calls `on_changes` with what changed, and `on_gap` where it may have missed something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted, self._stopped, self._listening = asyncio.Event(), False, Bell()
        self._left_at: float | None = None
        self._id: UUID | None = None
        self._seen = ""
        self.on_changes: Callable[[Sequence[Change]], None] = _ignore
        self.on_gap: Callable[[], None] = _ignore_gap
        self.ready = asyncio.Event()

    def want(self) -> None:
        """There are subscribers."""
        self._left_at = None
        self._wanted.set()

    def leave(self) -> None:
        """There are none any more."""
        self._left_at = asyncio.get_running_loop().time()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()
        self._listening.stop()

    async def run(self) -> None:
        """Follow the changes whenever there are subscribers, until stopped; the connection is held only then."""
        while not self._stopped:
            await self._wanted.wait()
            if not self._stopped:
                self._listening = Bell()
                await keep_running("ChangeFeed", self._database, self._follow, self._listening)

    async def _follow(self, connection: DedicatedConnection) -> None:
        await self._register(connection)
        self.ready.set()
        clock = asyncio.get_running_loop().time
        renewed_at = clock()
        while not self._listening.stopped:
            await self._read(connection)
            if clock() - renewed_at > RENEW_SECONDS:
                await self._register(connection)
                await queries.prune_changes(connection)
                renewed_at = clock()
            if self._left_at is not None and clock() - self._left_at > LINGER_SECONDS:
                self._wanted.clear()
                self.ready.clear()
                self._listening.stop()
            else:
                await self._listening.wait_for_stop(READ_SECONDS)
        await queries.forget_listener(connection, id=self._id)
        self._id = None

    async def _register(self, connection: DedicatedConnection) -> None:
        """Go on where it was, or from here on where that cannot be."""
        if self._id is not None:
            if await queries.renew_listener(connection, id=self._id, seen=self._seen, seconds=LAPSE_SECONDS):
                return
            log.warning("changes may have been missed, subscribers are told to subscribe again")
            self.on_gap()
        self._id, self._seen = await queries.register_listener(connection, seconds=LAPSE_SECONDS)

    async def _read(self, connection: DedicatedConnection) -> None:
        found = await queries.read_changes(connection, seen=self._seen)
        self._seen = found["seen"]
        if found["changes"] is not None:
            self.on_changes([_change(*row) for row in orjson.loads(found["changes"])])


def _change(table: str, tenant_id: str, id_: str, automation_id: str | None) -> Change:
    return Change(table, UUID(tenant_id), UUID(id_), UUID(automation_id) if automation_id else None)


def _ignore(_changes: Sequence[Change]) -> None:
    """Nobody wants to know yet."""


def _ignore_gap() -> None:
    """Nobody wants to know yet."""
