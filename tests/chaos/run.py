"""One run: load and faults for so long, then peace, then the reckoning."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
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
    with tempfile.TemporaryDirectory(prefix="automations-chaos-") as name, embedded(Path(name)) as postgres:
        await prepare_database(postgres.url)
        async with open_fleet(postgres.url, Path(name), Random(seed)) as fleet, Receiver(inbox) as receiver:
            for _ in range(servers):
                await fleet.start()
            load = Load(fleet, Random(seed), receiver.url)
            await load.prepare()
            steady = asyncio.create_task(load.keep_steady())
            faults = Faults(fleet, postgres, inbox, Random(seed))
            hurting = asyncio.create_task(faults.run())
            await load.run(seconds, rate)
            await cancel(hurting)
            inbox.mood = Mood.WORKS
            await fleet.start()
            await asyncio.sleep(max(0, QUIET_SECONDS - seconds * 0.6))
            report = await reckon(load, inbox)
            await cancel(steady)
    return {"seed": seed, "seconds": seconds, "faults": dict(faults.done), **report}


async def reckon(load: Load, inbox: Inbox) -> dict[str, Any]:
    """Wait until everything has settled: what came of it, and under `wrong` what must not be."""
    connection = await Database(load.fleet.database_url).dedicated()

    async def is_settled() -> bool:
        return await unsettled(connection) == 0

    wrong = []
    try:
        await eventually(is_settled, SETTLE_SECONDS)
    except TimeoutError:
        left = await unsettled(connection)
        wrong.append(f"{left} changes and deliveries are on their way still after {SETTLE_SECONDS} s of peace")
    requests = {
        "arrived": inbox.arrived.total(),
        "taken again": sum(count - 1 for count in inbox.taken.values()),
    }
    wrong += await violations(connection, load, inbox)
    await connection.close()
    return {
        "changes": {"reported": load.reported, "acknowledged": len(load.acknowledged)},
        "requests": requests,
        "wrong": wrong,
    }


@contextmanager
def embedded(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL in this folder, started again whenever it dies."""
    folder.chmod(0o755)  # run as root, PostgreSQL has another account
    postgres = EmbeddedPostgres.attach(folder / "postgres")
    try:
        with postgres.kept_alive():
            yield postgres
    finally:
        postgres.release()


async def prepare_database(url: str) -> None:
    """Migrate it, so that servers that start together need not."""
    connection = await Database(url).dedicated()
    await migrate(connection)
    await connection.close()


@asynccontextmanager
async def open_fleet(database_url: str, folder: Path, random: Random) -> AsyncIterator[Fleet]:
    """A fleet without servers as yet, whose servers are gone in the end."""
    fleet = Fleet(database_url, folder / "server", random)
    try:
        yield fleet
    finally:
        await fleet.close()


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel it and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
