"""Who hears of which change. Changed rows are read once for all who select the same of them, whoever they are.

A subscriber that is slow, or a row that changes often, misses steps in between and never the newest state.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from graphql import GraphQLError

from automations.access.callers import Caller
from automations.access.roles import Role
from automations.api.execution import error_answers
from automations.api.limits import LONGEST_READ_SECONDS
from automations.api.select import compile_changed
from automations.api.selection import Selected
from automations.api.subscriptions.fields import Source
from automations.database import Database, is_connection_lost
from automations.engine.changes import Change, ChangeFeed
from automations.errors import Conflict, LimitExceeded

log = structlog.get_logger(__name__)

MOST_WAITING_ROWS = 10_000
"""Rows that a subscriber has not taken; beyond these its subscription ends."""
READS_AT_ONCE = 4
"""Of the connections that requests use."""
READY_SECONDS = 10.0
ROWS_AT_ONCE = 1000

_Name = tuple[str, UUID, Role, str]
"""The field, the tenant, the role, and all that is selected."""


class Subscription:
    """One subscriber's: the rows that wait for it, newest state each. `wake` is called when there is something."""

    __slots__ = ("_waiting", "ended", "errors", "group", "key", "wake")

    def __init__(self, group: "_Group", key: UUID | None, wake: Callable[["Subscription"], None]) -> None:
        self.group, self.key, self.wake = group, key, wake
        self.ended = False
        self.errors: list[dict[str, Any]] = []
        self._waiting: dict[UUID, str] | None = None

    def put(self, rows: Iterable[tuple[UUID, str]]) -> None:
        """Let these results, JSON texts, wait."""
        waiting = self._waiting if self._waiting is not None else {}
        waiting.update(rows)
        self._waiting = waiting
        if len(waiting) > MOST_WAITING_ROWS:
            problem = f"{len(waiting)} rows wait to be taken; {MOST_WAITING_ROWS} are kept."
            self.end(_errors(LimitExceeded(problem)))
        self.wake(self)

    def take(self) -> Iterable[str]:
        """The results that wait."""
        waiting, self._waiting = self._waiting, None
        return waiting.values() if waiting else ()

    def end(self, errors: list[dict[str, Any]]) -> None:
        """Nothing comes any more, because of errors or, without any, in good order."""
        self.ended, self.errors, self._waiting = True, errors, None
        self.wake(self)


class _Group:
    """Subscriptions of one tenant and role that select the same; `changed` are ids whose rows are to be read."""

    def __init__(self, name: "_Name", source: Source, caller: Caller, field: Selected) -> None:
        self.name, self.source, self.field = name, source, field
        self.tenant_id, self.role = caller.tenant_id, caller.role
        self.members: dict[UUID | None, set[Subscription]] = {}
        self.changed: dict[UUID, UUID | None] = {}
        self.is_read = False

    def note(self, changes: Iterable[Change]) -> bool:
        """Keep those that somebody hears of; whether there are any."""
        for change in changes:
            key = self.source.key(change)
            if None in self.members or key in self.members:
                self.changed[change.id] = key
        return bool(self.changed)

    def tell(self, rows: Sequence[tuple[UUID, str]], keys: dict[UUID, UUID | None]) -> None:
        """Hand the results to those who hear of them."""
        for member in tuple(self.members.get(None, ())):
            member.put(rows)
        for id_, result in rows:
            if (key := keys[id_]) is not None:
                for member in tuple(self.members.get(key, ())):
                    member.put(((id_, result),))

    def end(self, errors: list[dict[str, Any]]) -> None:
        """End all its subscriptions."""
        for members in tuple(self.members.values()):
            for member in tuple(members):
                member.end(errors)


class Hub:
    """All subscriptions of this process."""

    def __init__(self, database: Database, feed: ChangeFeed, *, most_rows: int, sources: Mapping[str, str]) -> None:
        self._database, self._feed = database, feed
        self._most_rows, self._sources = most_rows, sources
        self._groups: dict[_Name, _Group] = {}
        self._count = 0
        self._reading: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(READS_AT_ONCE)
        feed.on_changes, feed.on_gap = self._changed, self._missed

    async def subscribe(
        self, source: Source, field: Selected, caller: Caller, wake: Callable[[Subscription], None]
    ) -> Subscription:
        """A subscription that hears of every change from here on; TimeoutError where the database is not there."""
        self._count += 1
        self._feed.want()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._feed.ready.wait()
        except BaseException:
            self._one_less()
            raise
        name = (source.name, caller.tenant_id, caller.role, repr((field.key, field.selections)))
        group = self._groups.setdefault(name, _Group(name, source, caller, field))
        key = field.arguments.get(source.argument) if source.argument else None
        subscription = Subscription(group, key, wake)
        group.members.setdefault(key, set()).add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """It is over, whoever ended it."""
        group = subscription.group
        members = group.members.get(subscription.key, set())
        if subscription not in members:
            return
        members.remove(subscription)
        if not members:
            del group.members[subscription.key]
        if not group.members:
            del self._groups[group.name]
        self._one_less()

    def close(self) -> None:
        """The server stops: every subscription ends in good order."""
        self._end_all([])

    def _one_less(self) -> None:
        self._count -= 1
        if not self._count:
            self._feed.leave()

    def _end_all(self, errors: list[dict[str, Any]]) -> None:
        for group in tuple(self._groups.values()):
            group.end(errors)

    def _missed(self) -> None:
        self._end_all(_errors(Conflict("Changes may have been missed: read anew and subscribe again.")))

    def _changed(self, changes: Sequence[Change]) -> None:
        by_place: dict[tuple[str, UUID], list[Change]] = {}
        for change in changes:
            by_place.setdefault((change.table, change.tenant_id), []).append(change)
        for group in self._groups.values():
            found = by_place.get((group.source.table.name, group.tenant_id))
            if found and group.note(found) and not group.is_read:
                group.is_read = True
                task = asyncio.create_task(self._read(group))
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)

    async def _read(self, group: _Group) -> None:
        """Read and tell until nothing more has changed; a lost connection leaves the rest for the next change."""
        try:
            while group.changed and group.members:
                keys = dict(islice(group.changed.items(), ROWS_AT_ONCE))
                group.changed = {id_: key for id_, key in group.changed.items() if id_ not in keys}
                try:
                    async with self._turn:
                        rows = await self._rows(group, list(keys))
                except Exception as error:
                    if is_connection_lost(error) and not isinstance(error, TimeoutError):
                        group.changed = {**keys, **group.changed}
                        await asyncio.sleep(0.5)
                        continue
                    group.end(_errors(error))
                    return
                group.tell(rows, keys)
        finally:
            group.is_read = False

    async def _rows(self, group: _Group, ids: list[UUID]) -> list[tuple[UUID, str]]:
        field = group.field
        statement = compile_changed(
            group.source.table,
            field,
            group.tenant_id,
            ids,
            most_rows=self._most_rows,
            role=group.role,
            sources=self._sources,
        )
        async with self._database.connection() as connection:
            rows = await connection.fetch(statement.sql, *statement.arguments, timeout=LONGEST_READ_SECONDS)
        # json_agg puts line feeds between rows; inside strings JSON has none.
        return [(id_, f'{{"data":{{"{field.key}":{text}}}}}'.replace("\n", " ")) for id_, text in rows]


def _errors(error: Exception) -> list[dict[str, Any]]:
    return error_answers([GraphQLError("", original_error=error)])
