"""The command line and the registry of benchmarks."""

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import uvloop

from automations.logs import configure_logs
from automations.postgres import EmbeddedPostgres
from bench import (
    attached,
    deliveries,
    evaluator,
    filters,
    growth,
    heartbeats,
    idle,
    latency,
    orchestration,
    page,
    reads,
    scale,
    start,
    subscriptions,
    throughput,
    timers,
)
from bench.outcome import Outcome, rounded
from bench.rig import POSTGRES, Rig, busy_seconds

LONGEST_SECONDS, LONGEST_HUGE_SECONDS = 300.0, 5400.0
"""Of one benchmark: what hangs is reported, and the next one goes on."""
HUGE = (10_000_000,)
"""Flow runs that `growth` goes on to where that is asked for."""

BENCHMARKS: dict[str, Callable[[Rig], Awaitable[Outcome]]] = {
    "latency": latency.run,
    "single": throughput.run_single,
    "batch": throughput.run_batch,
    "evaluator": evaluator.run,
    "timers": timers.run,
    "heartbeats": heartbeats.run,
    "orchestration": orchestration.run,
    "attached": attached.run,
    "deliveries": deliveries.run,
    "reads": reads.run,
    "filters": filters.run,
    "growth": growth.run,
    "scale": scale.run,
    "subscriptions": subscriptions.run,
    "page": page.run,
    "idle": idle.run,
    "start": start.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks and print their JSON; 1 if one of them could not be carried out."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks: JSON on standard output.")
    parser.add_argument("--quick", action="store_true", help="all of them within minutes, with less certain figures")
    parser.add_argument("--huge", action="store_true", help="growth up to 10,000,000 runs: half an hour and 20 GB")
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHMARKS)}; all by default")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    configure_logs(format_="auto", level="warning")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(_run(options.names or list(BENCHMARKS), quick=options.quick, huge=options.huge))
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    return 1 if any("error" in benchmark for benchmark in report["benchmarks"].values()) else 0


async def _run(names: Sequence[str], *, quick: bool, huge: bool) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with _folder() as folder:
        postgres = await asyncio.to_thread(EmbeddedPostgres.attach, folder / POSTGRES)
        try:
            rig = Rig(postgres, folder, quick=quick, huge=HUGE if huge else ())
            machine = {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "postgres": await rig.postgres_version(),
            }
            benchmarks = {name: await _benchmark(name, rig) for name in names}
        finally:
            await asyncio.to_thread(postgres.release)
    return {"machine": machine, "quick": quick, "benchmarks": benchmarks}


@contextmanager
def _folder() -> Iterator[Path]:
    """A temporary one. Run as root, PostgreSQL has another account: it must get in."""
    with tempfile.TemporaryDirectory(prefix="automations-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def _benchmark(name: str, rig: Rig) -> dict[str, Any]:
    _tell(f"{name} …")
    started_at = time.monotonic()
    everybody, ours = busy_seconds(), rig.busy_seconds()
    try:
        async with asyncio.timeout(LONGEST_HUGE_SECONDS if rig.huge else LONGEST_SECONDS):
            shown = (await BENCHMARKS[name](rig)).shown()
    except Exception as error:  # one that fails must not take the others' figures with it
        traceback.print_exc(file=sys.stderr)
        return {"error": f"{type(error).__name__}: {error}"}
    for goal in shown["goals"]:
        bound = f"at least {goal['at_least']}" if "at_least" in goal else f"at most {goal['at_most']}"
        _tell(f"  {'met   ' if goal['met'] else 'MISSED'} {goal['what']}: {goal['value']} ({bound})")
    seconds = time.monotonic() - started_at
    others = busy_seconds() - everybody - (rig.busy_seconds() - ours)
    return {**shown, "seconds": rounded(seconds), "others_cores": rounded(others / seconds)}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
