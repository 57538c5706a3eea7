"""How late the event loop runs what is due: when it is late, everything is."""

import asyncio

from automations.engine.loop import Bell
from automations.metrics import LOOP_DELAY

EVERY_SECONDS = 0.5


class LoopDelay:
    """Measures until it is stopped."""

    def __init__(self) -> None:
        self._bell = Bell()

    def stop(self) -> None:
        """Measure no more."""
        self._bell.stop()

    async def run(self) -> None:
        """Sleep again and again, and note by how much it was too long."""
        loop = asyncio.get_running_loop()
        while not self._bell.stopped:
            due_at = loop.time() + EVERY_SECONDS
            await self._bell.wait_for_stop(EVERY_SECONDS)
            if not self._bell.stopped:
                LOOP_DELAY.observe(max(0.0, loop.time() - due_at))
