"""`make upgrade`: prints a report as JSON; exit code 1 where something was wrong."""

import argparse
import asyncio
import sys

import orjson

from automations.logs import configure_logs
from tests.upgrade.run import run_upgrade
from tests.upgrade.versions import NotAtHand, earlier_revision


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument(
        "--from",
        dest="revision",
        help="a Git revision (default: the last release, or what came before the newest migration)",
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long the load goes on (default: 60)")
    parser.add_argument("--rate", type=float, default=100, help="state changes a second (default: 100)")
    options = parser.parse_args()
    configure_logs(format_="auto", level="error")
    try:
        revision = options.revision or earlier_revision()
        sys.stderr.write(f"from {revision}\n")
        report = asyncio.run(run_upgrade(revision=revision, seconds=options.seconds, rate=options.rate))
    except NotAtHand as error:
        sys.stderr.write(f"The earlier version is not at hand: {error}\n")
        return 1
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
