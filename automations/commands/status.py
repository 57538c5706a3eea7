"""`automations status`: what waits, what is wrong, and how large the tables are, for a terminal or as JSON."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from automations.commands.shared import connected, database_url
from automations.database import CLIENT_ERRORS
from automations.health import MEANINGS, Health, TableSize, measure, table_sizes
from automations.settings import Settings

SHOWN_TABLES = 8
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "status",
        help="show what waits and what is wrong",
        description="Show what waits, for how long, what is wrong, and how large the tables are, over all tenants.",
        epilog="Exit code: 0 nothing is wrong, 1 something is.",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--data-dir", help="folder of the embedded PostgreSQL")
    parser.set_defaults(command=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Print it and return the exit code. ValueError says why there is nothing to print."""

    async def look(url: str) -> tuple[Health, list[TableSize]]:
        async with connected(url) as connection:
            return await measure(connection, now=datetime.now(UTC)), await table_sizes(connection)

    try:
        with database_url(settings) as url:
            health, sizes = asyncio.run(look(url))
    except CLIENT_ERRORS as error:
        raise ValueError(f"the database cannot be read: {error}. Run: automations doctor") from None
    show = _as_json if options.json else _as_text
    sys.stdout.write(show(health, sizes))
    return 1 if health.problems else 0


def _as_json(health: Health, sizes: Sequence[TableSize]) -> str:
    answer = {**asdict(health), "problems": health.problems, "tables": [asdict(size) for size in sizes]}
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _as_text(health: Health, sizes: Sequence[TableSize]) -> str:
    figures = {
        name: f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for name, value in asdict(health).items()
    }
    width = max(len(figure) for figure in figures.values())
    lines = [f"{figures[name]:>{width}}  {meaning}" for name, meaning in MEANINGS.items()]
    lines += [
        "",
        *(f"{_bytes(size.bytes):>10}  {size.name}, about {size.rows:,} rows" for size in sizes[:SHOWN_TABLES]),
    ]
    lines += ["", *(f"! {name}: {advice}" for name, advice in health.problems.items())]
    if not health.problems:
        lines.append("Nothing is wrong.")
    return "".join(f"{line}\n" for line in lines)


def _bytes(count: float) -> str:
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:,.1f} {_UNITS[unit]}" if unit else f"{count:.0f} B"
