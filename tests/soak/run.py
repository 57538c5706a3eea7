"""A steady load for a long time, over a server that keeps things for a short time only: nothing may grow."""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, linear_regression
from typing import Any

import psutil

from automations.database import Database, DedicatedConnection
from automations.health import measure, table_sizes
from tests.chaos.run import cancel, embedded, prepare_database
from tests.harness import Automations, ServerProcess, serving
from tests.receivers import Receiver

CALLERS = 5
RUNS = 10
"""Started, run and ended together by a caller."""
STATES = ("Submitted", "Running", "Failed")
CHANGES = RUNS * (1 + len(STATES))

SAMPLES = 240
SHORTEST_INTERVAL_SECONDS = 2.0
WARM = 0.5
"""What part of the time does not count: until then what is kept has piled up."""
LEAST_SECONDS = 900
"""For sizes to be judged: autovacuum comes round once a minute, and until then they climb."""
MOST_GROWTH = 0.1
"""Of a mean, over the time that counts."""
MOST_LAG_SECONDS = 5.0
LEAST_BYTES = 1 << 20
"""A smaller table is not judged: a page more is much of it."""
PROCESS = ("memory bytes", "connections")


@dataclass
class Soak:
    """What was seen: figures by name, each some seconds."""

    times: list[float] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    reported: int = 0
    delivered: int = 0

    def series(self) -> dict[str, list[tuple[float, float]]]:
        """The figures over time, without the sizes of what is small to the end."""
        last = self.samples[-1]
        names = [name for name in last if name in PROCESS or "seconds" in name or last[name] >= LEAST_BYTES]
        return {name: [(at, seen[name]) for at, seen in zip(self.times, self.samples, strict=True)] for name in names}

    def report(self) -> dict[str, Any]:
        """The figures' course after the warm-up, and which of those that are judged grow."""
        figures = {name: _course(points[int(len(points) * WARM) :]) for name, points in self.series().items()}
        lags = [name for name in figures if name.endswith("seconds")]
        is_long = self.times[-1] >= LEAST_SECONDS
        judged = [
            name
            for name, figure in figures.items()
            if name not in lags and (name in PROCESS or (is_long and figure["mean"] >= LEAST_BYTES))
        ]
        return {
            "seconds": round(self.times[-1]),
            "changes": self.reported,
            "deliveries": self.delivered,
            "figures": figures,
            "judged": judged,
            "grows": [name for name in judged if figures[name]["growth"] > MOST_GROWTH],
            "wrong": [f"{name}: {figures[name]['most']}" for name in lags if figures[name]["most"] > MOST_LAG_SECONDS],
        }


async def run_soak(*, seconds: float, rate: float, keep_seconds: float) -> Soak:
    """Load and samples for so long."""
    days = f"{keep_seconds / 86_400:.8f}"
    kept = dict.fromkeys(("keep_ledger_days", "keep_flow_run_days", "keep_idempotency_key_days"), days)
    soak = Soak()
    with tempfile.TemporaryDirectory(prefix="automations-soak-") as name, embedded(Path(name)) as postgres:
        await prepare_database(postgres.url)
        connection = await Database(postgres.url).dedicated()
        async with (
            serving(Path(name) / "server", postgres.url, **kept) as server,
            Receiver() as receiver,
            server.client() as client,
        ):
            loading = asyncio.create_task(_load(soak, client, receiver, rate))
            try:
                await _watch(soak, connection, server, receiver, seconds)
            finally:
                await cancel(loading)
                await connection.close()
    return soak


async def _load(soak: Soak, client: Automations, receiver: Receiver, rate: float) -> None:
    """Runs that start, go on and fail, each failure with a webhook."""
    flow = await client.flow()
    await client.automation({"webhook": {"url": receiver.url}})
    async with asyncio.TaskGroup() as tasks:
        for number in range(CALLERS):
            tasks.create_task(_call(soak, client, flow, number, CHANGES * CALLERS / rate))


async def _call(soak: Soak, client: Automations, flow: str, number: int, interval: float) -> None:
    starts = " ".join(f'run{n}: create_flow_run(input: {{flow_id: "{flow}"}}) {{ id }}' for n in range(RUNS))
    due_at = time.monotonic() + interval * number / CALLERS
    while True:
        await asyncio.sleep(max(0, due_at - time.monotonic()))
        due_at += interval
        started = await client.execute(f"mutation {{ {starts} }}")
        for state in STATES:
            states = [{"flow_run_id": run["id"], "state": {"type": state}} for run in started.values()]
            await client.write("set_flow_run_states", "states { id }", states=states)
        soak.reported += CHANGES


async def _watch(
    soak: Soak, connection: DedicatedConnection, server: ServerProcess, receiver: Receiver, seconds: float
) -> None:
    process = psutil.Process(server.process.pid)
    started_at = time.monotonic()
    while (elapsed := time.monotonic() - started_at) < seconds:
        soak.times.append(elapsed)
        soak.samples.append(await _sample(connection, process))
        soak.delivered += len(receiver.requests)
        receiver.requests.clear()
        await asyncio.sleep(max(SHORTEST_INTERVAL_SECONDS, seconds / SAMPLES))


async def _sample(connection: DedicatedConnection, process: psutil.Process) -> dict[str, float]:
    health = await measure(connection, now=datetime.now(UTC))
    indexes = await connection.fetch(
        "SELECT schemaname || '.' || indexrelname AS name, pg_relation_size(indexrelid) AS bytes "
        "FROM pg_stat_user_indexes"
    )
    sizes = [(size.name, size.bytes) for size in await table_sizes(connection)]
    sizes += [(row["name"], row["bytes"]) for row in indexes]
    return {
        "memory bytes": process.memory_info().rss,
        "connections": await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ),
        "evaluation lag seconds": health.change_lag_seconds,
        "delivery lag seconds": health.delivery_lag_seconds,
        "database bytes": await connection.fetchval("SELECT pg_database_size(current_database())"),
        **{f"{name} bytes": bytes_ for name, bytes_ in sizes},
    }


def _course(points: list[tuple[float, float]]) -> dict[str, float]:
    """Mean, most, the slope an hour, and what it is over these points as a part of the mean."""
    times, values = zip(*points, strict=True)
    mean, slope = fmean(values), linear_regression(times, values).slope
    growth = slope * (times[-1] - times[0]) / mean if mean else 0.0
    return {
        "mean": round(mean, 3),
        "most": round(max(values), 3),
        "an_hour": round(slope * 3600, 3),
        "growth": round(growth, 4),
    }
