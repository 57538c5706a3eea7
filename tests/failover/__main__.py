"""`make failover`: prints a report as JSON; exit code 1 where something was wrong, 2 where programs are absent."""

import argparse
import asyncio
import sys

import orjson

from automations.logs import configure_logs
from tests.failover.cluster import missing_programs
from tests.failover.run import Fault, run_failover

FAULTS = {fault.name.lower(): fault for fault in Fault}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.failover", description=__doc__)
    parser.add_argument(
        "--faults",
        nargs="+",
        choices=list(FAULTS),
        default=["killed", "frozen"],
        help="what becomes of one primary after the other (default: killed frozen)",
    )
    parser.add_argument("--rate", type=float, default=50, help="state changes a second (default: 50)")
    parser.add_argument("--servers", type=int, default=2, help="servers (default: 2)")
    options = parser.parse_args()
    if missing := missing_programs():
        sys.stderr.write(
            f"There is no {' and no '.join(missing)} here. On Debian and Ubuntu: "
            "apt-get install patroni etcd-server postgresql\n"
        )
        return 2
    configure_logs(format_="auto", level="warning")
    report = asyncio.run(
        run_failover(faults=[FAULTS[name] for name in options.faults], rate=options.rate, servers=options.servers)
    )
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
