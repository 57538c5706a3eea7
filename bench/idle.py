"""What a server costs that has nothing to do."""

import asyncio
from itertools import islice

import psutil

from bench import load, states
from bench.outcome import Goal, Outcome
from bench.rig import Rig

WORK = 500
SETTLE_SECONDS = 1.0


async def run(rig: Rig) -> Outcome:
    """After some work: its resident memory, and its processor time and PostgreSQL's over some seconds."""
    seconds = rig.pick(5.0, 20.0)
    async with states.watched(rig, runs=WORK) as watched:
        fresh_mib = watched.server.resident_mib
        requests = list(islice(watched.calls(states=1), WORK))
        await load.closed_loop(watched.server.url, requests, clients=4, seconds=60)
        await watched.receiver.wait_for(WORK, 60)
        async with rig.connection(watched.database_url) as connection:
            backends = [
                psutil.Process(row["pid"])
                for row in await connection.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ]
        await asyncio.sleep(SETTLE_SECONDS)
        server, postgres = watched.server.processor_seconds, _processor_seconds(backends)
        await asyncio.sleep(seconds)
        server, postgres = watched.server.processor_seconds - server, _processor_seconds(backends) - postgres
        worked_mib = watched.server.resident_mib
    figures = {
        "resident_mib": fresh_mib,
        "resident_after_work_mib": worked_mib,
        "processor_percent": 100 * server / seconds,
        "postgres_processor_percent": 100 * postgres / seconds,
    }
    goals = [
        Goal("resident MiB", max(fresh_mib, worked_mib), at_most=120),
        Goal("% of a core", figures["processor_percent"], at_most=1),
    ]
    return Outcome(figures, goals)


def _processor_seconds(backends: list[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in backends if process.is_running()))
