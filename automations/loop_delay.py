"""How late the event loop runs what is due: when it is late, everything is."""

import asyncio

from automations.metrics import LOOP_DELAY

EVERY_SECONDS = 0.5


class LoopDelay:
    """Measures until it is stopped."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Measure no more."""
        self._stopped.set()

    async def run(self) -> None:
        """Sleep again and again, and note by how much it was too long."""
        loop = asyncio.get_running_loop()
        while not self._stopped.is_set():
            due_at = loop.time() + EVERY_SECONDS
            try:
                async with asyncio.timeout_at(due_at):
                    await self._stopped.wait()
            except TimeoutError:
                LOOP_DELAY.observe(max(0.0, loop.time() - due_at))
