"""A loop with a connection of its own: runs as long as the program does, through lost connections and bugs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from automations.database import CLIENT_ERRORS, Database, DedicatedConnection, is_connection_lost, load_queries

log = structlog.get_logger(__name__)
queries = load_queries("loop")

SHORTEST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 5.0
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0
"""A loop's statements take milliseconds: a server that needs longer hangs, and another one may be primary by now."""


class Bell:
    """Wakes a loop: rung when there may be work, and for good when the loop has to stop."""

    def __init__(self) -> None:
        self._rung, self._stopped = asyncio.Event(), asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def stop(self) -> None:
        self._stopped.set()
        self._rung.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def hush(self) -> None:
        """Forget earlier rings; what is found from here on was not missed."""
        if not self.stopped:
            self._rung.clear()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, or for so long; whether it rang."""
        await _wait_for(self._rung, seconds)
        return self._rung.is_set()

    async def wait_for_stop(self, seconds: float) -> None:
        """Wait for the stop, or for so long."""
        await _wait_for(self._stopped, seconds)


async def keep_running(
    name: str,
    database: Database,
    work: Callable[[DedicatedConnection], Awaitable[None]],
    bell: Bell,
    *,
    is_unfinished: Callable[[], bool] = lambda: False,
) -> None:
    """Run `work`, which returns once the bell is stopped; after an error, connect and run it again, ever later.

    A stop ends the trying, unless something `is_unfinished`.
    """
    backoff = SHORTEST_BACKOFF_SECONDS
    while not bell.stopped or is_unfinished():
        connection = None
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await database.dedicated(statement_seconds=STATEMENT_SECONDS)
            await work(connection)
        except Exception as error:
            if is_connection_lost(error):
                log.warning("lost the database, trying again", loop=name, error=str(error) or type(error).__name__)
            else:
                log.exception("a loop failed, starting it again", loop=name)
        finally:
            if connection is not None:
                await _close(connection)
        if asyncio.get_running_loop().time() - started > LONGEST_BACKOFF_SECONDS:
            backoff = SHORTEST_BACKOFF_SECONDS
        if not bell.stopped:
            await bell.wait_for_stop(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        elif is_unfinished():
            await asyncio.sleep(SHORTEST_BACKOFF_SECONDS)


async def look_alone(
    connection: DedicatedConnection,
    look: Callable[[DedicatedConnection], Awaitable[None]],
    bell: Bell,
    *,
    lock: int,
    every_seconds: float,
) -> None:
    """Look again and again until the bell is stopped, in one process of all that share the database.

    The others wait until that one ends, which frees the advisory lock with this number.
    """
    is_alone = False
    while not bell.stopped:
        is_alone = is_alone or await queries.try_lock(connection, number=lock)
        if is_alone:
            await look(connection)
        await bell.wait_for_stop(every_seconds)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _close(connection: DedicatedConnection) -> None:
    try:
        await connection.close(timeout=2)
    except CLIENT_ERRORS:
        connection.terminate()
