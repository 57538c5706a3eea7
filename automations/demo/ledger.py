"""What the server itself says about its deliveries, asked over GraphQL."""

import asyncio
import time
from dataclasses import dataclass

from automations.demo.api import Api

POLL_SECONDS = 0.1

_QUERY = """{
    delivered: delivery_aggregate(where: {status: {_eq: "DELIVERED"}}) { aggregate { count } }
    failed: delivery_aggregate(where: {status: {_eq: "FAILED"}}) { aggregate { count } }
    unfinished: delivery_aggregate(where: {status: {_in: ["PENDING", "SENDING"]}}) { aggregate { count } }
    lost_attempts: attempt_aggregate(where: {outcome: {_eq: "LOST"}}) { aggregate { count } }
    state_changes: flow_run_state_aggregate { aggregate { count } }
}"""


@dataclass(frozen=True)
class Ledger:
    """Counts of deliveries, of attempts that ended with their process, and of the states that runs entered."""

    delivered: int
    failed: int
    unfinished: int
    lost_attempts: int
    state_changes: int


async def read_ledger(api: Api) -> Ledger:
    """The ledger as it is now."""
    data = await api.execute(_QUERY)
    return Ledger(**{name: rows["aggregate"]["count"] for name, rows in data.items()})


async def read_settled_ledger(api: Api, *, seconds: float) -> Ledger:
    """The ledger once every delivery has an end, or as it is after so long."""
    deadline = time.monotonic() + seconds
    while True:
        ledger = await read_ledger(api)
        if not ledger.unfinished or time.monotonic() > deadline:
            return ledger
        await asyncio.sleep(POLL_SECONDS)
