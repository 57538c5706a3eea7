"""`make chaos`: prints a report as JSON; exit code 1 where something was wrong."""

import argparse
import asyncio
import secrets
import sys

import orjson

from automations.logs import configure_logs
from tests.chaos.run import run_chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long load and faults go on (default: 120)")
    parser.add_argument("--rate", type=float, default=200, help="state changes a second (default: 200)")
    parser.add_argument("--servers", type=int, default=3, help="servers at first (default: 3)")
    parser.add_argument("--seed", type=int, help="repeat a run that failed (default: another one each time)")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    sys.stderr.write(f"seed {seed}\n")
    configure_logs(format_="auto", level="error")
    report = asyncio.run(run_chaos(seed=seed, seconds=options.seconds, rate=options.rate, servers=options.servers))
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    if report["wrong"]:
        sys.stderr.write(f"Repeat it: make chaos ARGS='--seed {seed} --seconds {options.seconds:g}'\n")
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
