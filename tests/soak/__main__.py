"""`make soak`: prints a report as JSON and draws it; exit code 1 where something grows or lags."""

import argparse
import asyncio
import sys
from pathlib import Path

import orjson

from automations.logs import configure_logs
from tests.soak.picture import draw
from tests.soak.run import run_soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long (default: 3600)")
    parser.add_argument("--rate", type=float, default=200, help="state changes a second (default: 200)")
    parser.add_argument("--keep", type=float, default=60, help="seconds for which what is done is kept (default: 60)")
    parser.add_argument("--picture", type=Path, default=Path("soak.svg"), help="where to draw (default: soak.svg)")
    options = parser.parse_args()
    configure_logs(format_="auto", level="warning")
    soak = asyncio.run(run_soak(seconds=options.seconds, rate=options.rate, keep_seconds=options.keep))
    options.picture.write_text(draw(soak.series()))
    report = soak.report()
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    return 1 if report["grows"] or report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
