"""`python -m bench.table < FILE`: what the benchmarks printed, as docs/benchmarks.md shows it."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from bench import __main__ as benchmarks

_HEAD = """# Benchmarks

{day}, {cores} cores that ran everything: server, PostgreSQL {postgres}, load and receivers; Python {python}. Written by

```sh
make bench{quick} > bench.json
.venv/bin/python -m bench.table < bench.json > docs/benchmarks.md
```

A figure depends on the machine. The floors were measured in the same run with as little as the work can be done with: a
bare insert, `SELECT 1`, Starlette that returns the same bytes, httpx without a database. The ratio of both can be
compared between machines. A goal that was not met says so.
"""
_SHOWN_OF_SPREADS = ("p50_ms", "p99_ms")


def markdown(report: dict[str, Any], day: str) -> str:
    """The page: for each benchmark what it does, its goals and its floors."""
    head = _HEAD.format(day=day, **report["machine"], quick=" QUICK=1" if report["quick"] else "")
    return "\n".join([head, *(line for name, found in report["benchmarks"].items() for line in _section(name, found))])


def _section(name: str, found: dict[str, Any]) -> Iterator[str]:
    does = " ".join((benchmarks.BENCHMARKS[name].__doc__ or "").split())
    yield f"## {name}\n\n{does}\n"
    if "error" in found:
        yield f"Could not be carried out: {found['error']}\n"
        return
    yield "| | Measured | Goal |\n|---|---|---|"
    for goal in found["goals"]:
        bound = f"≥ {_number(goal['at_least'])}" if "at_least" in goal else f"≤ {_number(goal['at_most'])}"
        yield f"| {goal['what']} | {_number(goal['value'])} | {bound}{'' if goal['met'] else ' **not met**'} |"
    yield ""
    if floors := ", ".join(f"{what} {_number(value)}" for what, value in _flat(found["floors"])):
        yield f"Floors: {floors}.\n"


def _flat(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Names in words and numbers; of times their middle and their tail."""
    for name, value in figures.items():
        words = f"{before} {name}".replace("_", " ").strip()
        if not isinstance(value, dict):
            yield words, value
        elif "p99_ms" in value:
            yield from ((f"{words} {part.replace('_', ' ')}", value[part]) for part in _SHOWN_OF_SPREADS)
        else:
            yield from _flat(value, words)


def _number(value: float) -> str:
    return f"{value:,}" if abs(value) >= 10_000 else f"{value:g}"


if __name__ == "__main__":
    sys.stdout.write(markdown(orjson.loads(sys.stdin.buffer.read()), f"{datetime.now(UTC):%Y-%m-%d}"))
