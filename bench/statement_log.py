"""What clients have PostgreSQL do, and how long each statement takes there: from its own log.

The embedded PostgreSQL has no pg_stat_statements. Writing the log costs time of its own: processor time is measured
without.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from automations.database import DedicatedConnection, load_queries
from automations.resources import resource
from bench.server_settings import server_settings

READ = "(read over GraphQL)"
_ENTRY = re.compile(r"^\S+ \S+ UTC \[(\d+)\] (\w+):  (.*)$")
_DURATION = re.compile(r"duration: ([0-9.]+) ms  (?:(parse|bind|execute) [^:]*|statement): (.*)", re.DOTALL)
_SETTINGS = {"log_min_duration_statement": "0", "log_parameter_max_length": "0"}


@dataclass(frozen=True)
class Ran:
    """A statement that ran: its name in sql/queries, or how it begins, and milliseconds."""

    name: str
    ms: float


def logged(connection: DedicatedConnection) -> AbstractAsyncContextManager[None]:
    """Meanwhile, every statement is logged, of those too who are connected already."""
    return server_settings(connection, _SETTINGS)


def statements(file: Path, start: int) -> list[Ran]:
    """What was logged from this byte on."""
    found: list[Ran] = []
    before: dict[str, float] = {}  # of each process: binding is part of the statement that it is for
    for process, text in _entries(file.read_bytes()[start:].decode(errors="replace")):
        match = _DURATION.match(text)
        if match is None:
            continue
        ms, phase, sql = float(match[1]), match[2], match[3]
        if phase in {"parse", "bind"}:
            before[process] = before.get(process, 0) + ms
        else:
            found.append(Ran(_name(sql), ms + before.pop(process, 0)))
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Process and message of each entry; further lines of a message begin with a tab."""
    process, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("\t"):
            lines.append(line)
        elif match := _ENTRY.match(line):
            yield process, "\n".join(lines)
            process, lines = match[1], [match[3]] if match[2] == "LOG" else []
    yield process, "\n".join(lines)


def _name(sql: str) -> str:
    plain = _plain(sql)
    named = names().get(plain)
    if named is not None:
        return named
    return READ if "json" in plain[:200] else plain.rstrip(";")[:40]


@cache
def names() -> dict[str, str]:
    """Names of the statements in sql/queries, by their text in one line."""
    files = sorted((resource("sql") / "queries").glob("*.sql"))
    return {
        _plain(query.sql): name
        for path in files
        for queries in [load_queries(path.stem)]
        for name in queries.available_queries
        if not name.endswith("_cursor") and hasattr(query := getattr(queries, name), "sql")
    }


def _plain(sql: str) -> str:
    return " ".join(sql.split())
