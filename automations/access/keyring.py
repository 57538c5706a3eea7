"""Tells which API key a text is, from memory where it can.

What is known of a key is forgotten when the database tells of a change (NOTIFY, milliseconds after the commit), and one
second after it was read at the latest: a lost connection keeps a revoked key alive no longer.
"""

import asyncio
import hmac
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from automations.access.keys import KEY, any_key, hash_of
from automations.access.roles import Role
from automations.database import Database, DedicatedConnection, load_queries
from automations.engine.loop import Bell, keep_running

queries = load_queries("access")

CHANNEL: Final = "automations_api_key"
TRUST_SECONDS: Final = 1.0
USE_NOTED_EVERY: Final = timedelta(minutes=1)
LOOK_SECONDS: Final = 60.0
_NO_HASH: Final = bytes(32)


@dataclass(frozen=True)
class Key:
    """An API key as the database has it."""

    id: UUID
    tenant_id: UUID
    name: str
    role: Role
    all_tenants: bool
    reads_secrets: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    hash: bytes = field(repr=False)


class Keyring:
    """The keys in use. `run` listens for changes until it is stopped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[Key, float]] = {}
        self._readings: dict[str, asyncio.Task[Key | None]] = {}
        self._verified: set[str] = set()
        self._changes = 0
        self._bell = Bell()

    def stop(self) -> None:
        """Stop listening."""
        self._bell.stop()

    async def run(self) -> None:
        """Listen until stopped."""
        await keep_running("API keys", self._database, self._listen, self._bell)

    def forget(self) -> None:
        """Read every key again before it is trusted."""
        self._changes += 1
        self._known.clear()
        self._readings.clear()

    async def verified(self, text: str) -> Key | None:
        """The key that this is; None where there is none, or it is revoked or expired. Its use is noted."""
        found = KEY.fullmatch(text)
        key = await self._key(found[1]) if found else None
        # Compared where there is nothing to compare, too: how long it takes tells nothing.
        is_right = hmac.compare_digest(hash_of(text), _NO_HASH if key is None else key.hash)
        now = datetime.now(UTC)
        if found is None or key is None or not is_right or (key.expires_at is not None and key.expires_at <= now):
            return None
        self._verified.add(found[1])
        if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY:
            await self._note_use(found[1], key, now)
        return key

    def has_verified(self, text: str) -> bool:
        """Whether a key that begins like this was right once in this process. It is to be verified all the same."""
        found = KEY.fullmatch(text)
        return found is not None and found[1] in self._verified

    async def _key(self, beginning: str) -> Key | None:
        """From memory, or read: once for all the requests that need it at the same time."""
        known = self._known.get(beginning)
        if known is not None and asyncio.get_running_loop().time() - known[1] < TRUST_SECONDS:
            return known[0]
        reading = self._readings.get(beginning)
        if reading is None:
            reading = self._readings[beginning] = asyncio.create_task(self._read(beginning))
        try:
            return await asyncio.shield(reading)
        finally:
            if self._readings.get(beginning) is reading:
                del self._readings[beginning]

    async def _read(self, beginning: str) -> Key | None:
        changes, read_at = self._changes, asyncio.get_running_loop().time()
        async with self._database.connection() as connection:
            row = await queries.find_key(connection, beginning=beginning)
        key = None if row is None else Key(**{**row, "role": Role(row["role"])})
        if key is None:
            self._known.pop(beginning, None)
        elif changes == self._changes:  # else it may have been read before the change
            self._known[beginning] = (key, read_at)
        return key

    async def _note_use(self, beginning: str, key: Key, now: datetime) -> None:
        known = self._known.get(beginning)
        if known is not None:
            self._known[beginning] = (replace(known[0], last_used_at=now), known[1])
        async with self._database.connection() as connection:
            await queries.note_use(
                connection, tenant_id=key.tenant_id, key_id=key.id, now=now, earlier=now - USE_NOTED_EVERY
            )

    async def _listen(self, connection: DedicatedConnection) -> None:
        connection.add_termination_listener(lambda *_: self._bell.ring())
        await connection.add_listener(CHANNEL, lambda *_: self.forget())
        self.forget()  # what changed before
        while not (self._bell.stopped or connection.is_closed()):
            self._bell.hush()
            await self._bell.wait(LOOK_SECONDS)
            await any_key(connection)  # fails where the connection was lost without a word
