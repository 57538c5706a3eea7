"""One run: load and faults for so long, then peace, then the reckoning."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from automations.database import Database
from automations.migrations import migrate
from automations.postgres import EmbeddedPostgres
from tests.chaos.faults import Faults
from tests.chaos.fleet import Fleet
from tests.chaos.inbox import Inbox, Mood
from tests.chaos.load import QUIET_SECONDS, Load
from tests.chaos.model import unsettled, violations
from tests.harness import eventually
from tests.receivers import Receiver

SETTLE_SECONDS = 90


async def run_chaos(*, seed: int, seconds: float, rate: float, servers: int) -> dict[str, Any]:
    """What happened and what was wrong in the end, as JSON has it."""
    inbox = Inbox()
    async with _fleet(seed) as fleet, Receiver(inbox) as receiver:
        for _ in range(servers):
            await fleet.start()
        load = Load(fleet, Random(seed), receiver.url)
        await load.prepare()
        steady = asyncio.create_task(load.keep_steady())
        faults = Faults(fleet, inbox, Random(seed))
        hurting = asyncio.create_task(faults.run())
        await load.run(seconds, rate)
        await _cancel(hurting)
        inbox.mood = Mood.WORKS
        await fleet.start()
        await asyncio.sleep(max(0, QUIET_SECONDS - seconds * 0.6))
        connection = await Database(fleet.postgres.url).dedicated()

        async def is_settled() -> bool:
            return await unsettled(connection) == 0

        left, wrong = 0, []
        try:
            await eventually(is_settled, SETTLE_SECONDS)
        except TimeoutError:
            left = await unsettled(connection)
            wrong.append(f"{left} changes and deliveries are on their way still after {SETTLE_SECONDS} s of peace")
        arrivals = inbox.arrived.total()
        repeats = sum(count - 1 for count in inbox.taken.values())
        wrong += await violations(connection, load, inbox)
        await connection.close()
        await _cancel(steady)
    return {
        "seed": seed,
        "seconds": seconds,
        "changes": {"reported": load.reported, "acknowledged": len(load.acknowledged)},
        "requests": {"arrived": arrivals, "taken again": repeats},
        "faults": dict(faults.done),
        "wrong": wrong,
    }


@asynccontextmanager
async def _fleet(seed: int) -> AsyncIterator[Fleet]:
    with tempfile.TemporaryDirectory(prefix="automations-chaos-") as folder:
        Path(folder).chmod(0o755)  # run as root, PostgreSQL has another account
        postgres = await asyncio.to_thread(EmbeddedPostgres.attach, Path(folder) / "postgres")
        try:
            connection = await Database(postgres.url).dedicated()
            await migrate(connection)
            await connection.close()
            fleet = Fleet(postgres, Path(folder) / "server", Random(seed))
            with postgres.kept_alive():
                try:
                    yield fleet
                finally:
                    await fleet.close()
        finally:
            await asyncio.to_thread(postgres.release)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
