"""A loop with a connection of its own: runs as long as the program does, through lost connections and bugs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from automations.database import CONNECTION_LOST, Database, DedicatedConnection

log = structlog.get_logger(__name__)

LONGEST_BACKOFF_SECONDS = 5.0


class Bell:
    """Wakes a loop: rung when there may be work, and for good when the loop has to stop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.stopped = False

    def ring(self) -> None:
        self._rung.set()

    def stop(self) -> None:
        self.stopped = True
        self._rung.set()

    def hush(self) -> None:
        """Forget earlier rings; what is found from here on was not missed."""
        if not self.stopped:
            self._rung.clear()

    @property
    def is_rung(self) -> bool:
        return self._rung.is_set()

    async def wait(self, seconds: float) -> None:
        """Wait for a ring, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()


async def keep_running(
    name: str, database: Database, work: Callable[[DedicatedConnection], Awaitable[None]], bell: Bell
) -> None:
    """Run `work`, which returns once the bell is stopped; after an error, connect and run it again, ever later."""
    backoff = 0.05
    while not bell.stopped:
        connection = None
        started = asyncio.get_running_loop().time()
        try:
            connection = await database.dedicated()
            await work(connection)
        except CONNECTION_LOST as error:
            log.warning("lost the database, trying again", loop=name, error=str(error) or type(error).__name__)
        except Exception:
            log.exception("a loop failed, starting it again", loop=name)
        finally:
            if connection is not None:
                await _close(connection)
        if asyncio.get_running_loop().time() - started > LONGEST_BACKOFF_SECONDS:
            backoff = 0.05
        if not bell.stopped:
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)


async def _close(connection: DedicatedConnection) -> None:
    try:
        await connection.close(timeout=2)
    except (*CONNECTION_LOST, TimeoutError):
        connection.terminate()
