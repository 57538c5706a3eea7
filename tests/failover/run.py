"""One run: load, under which primaries die; then peace, then the reckoning."""

import asyncio
import math
import signal
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

from automations.database import Database
from tests.chaos.inbox import Inbox
from tests.chaos.load import QUIET_SECONDS, Load
from tests.chaos.run import cancel, open_fleet, prepare_database, reckon
from tests.failover.cluster import REJOIN_SECONDS, Cluster, open_cluster
from tests.harness import eventually
from tests.receivers import Receiver

CALM_SECONDS = 5
RECOVERY_SECONDS = 120


class Fault(Enum):
    """How a primary goes away: the signal that its processes get."""

    KILLED = signal.SIGKILL
    FROZEN = signal.SIGSTOP


async def run_failover(*, faults: Sequence[Fault], rate: float, servers: int) -> dict[str, Any]:
    """How long each failover took, and what was wrong in the end, as JSON has it."""
    inbox = Inbox()
    with tempfile.TemporaryDirectory(prefix="automations-failover-") as name:
        async with open_cluster(Path(name)) as cluster:
            await prepare_database(cluster.url)
            async with open_fleet(cluster.url, Path(name), Random(1)) as fleet, Receiver(inbox) as receiver:
                for _ in range(servers):
                    await fleet.start()
                load = Load(fleet, Random(1), receiver.url)
                await load.prepare()
                steady = asyncio.create_task(load.keep_steady())
                loading = asyncio.create_task(load.run(math.inf, rate))
                failovers = [await _fail_over(cluster, how, load, receiver) for how in faults]
                load.stop()
                await loading
                await asyncio.sleep(QUIET_SECONDS)
                report = await reckon(load, inbox)
                await cancel(steady)
    return {"failovers": failovers, **report}


async def _fail_over(cluster: Cluster, fault: Fault, load: Load, receiver: Receiver) -> dict[str, Any]:
    """Take the primary away, and bring it back once another one has taken over; seconds since it was gone."""
    await asyncio.sleep(CALM_SECONDS)
    primary = await cluster.wait_until_whole(REJOIN_SECONDS)
    primary.signal(fault.value)
    gone_at, gone_at_wall = time.monotonic(), datetime.now(UTC)

    async def acknowledged() -> float | None:
        return next((answered for sent, answered in load.answered_at if sent > gone_at), None)

    change_at = await eventually(acknowledged, RECOVERY_SECONDS)
    connection = await Database(cluster.url).dedicated()

    async def delivered() -> float | None:
        """What was owed after that was owed to another primary: a delivery that was under way does not count."""
        rows = await connection.fetch("SELECT id FROM automations.delivery WHERE created > $1", gone_at_wall)
        new = {str(row["id"]) for row in rows}
        return next((sent.received_at for sent in receiver.requests if sent.headers["webhook-id"] in new), None)

    delivery_at = await eventually(delivered, RECOVERY_SECONDS)
    await connection.close()
    primary.kill()  # a frozen one too, as Patroni's watchdog does: awake again it may take itself for the primary
    cluster.start(primary)
    await cluster.wait_until_whole(REJOIN_SECONDS)
    return {
        "primary": primary.name,
        "fault": fault.name.lower(),
        "seconds to the first acknowledged change": round(change_at - gone_at, 2),
        "seconds to the first delivery": round(delivery_at - gone_at, 2),
    }
