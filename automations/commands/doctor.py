"""`automations doctor`: whether a database is in order, for a terminal or as JSON."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from automations.commands.shared import database_url
from automations.database import Database
from automations.doctor import BackendApi, Finding, examine
from automations.http import Http
from automations.settings import ANYWHERE, Settings

ANSWER_SECONDS: Final = 10.0
_MARKS: Final = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}


def add(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "doctor",
        help="check the database and say what to do",
        description="Check the database, whose it is, what of Automations is in it, whether state changes are noted "
        "and worked off, the clocks, and the API of an existing backend. Changes nothing.",
        epilog="Exit code: 0 nothing keeps it from working, 1 something does.",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--data-dir", help="folder of the embedded PostgreSQL")
    parser.set_defaults(command=run)


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Print the findings and return the exit code."""
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        raise ValueError(f"there is no database in {settings.data_dir} yet: automations serve makes one there")
    with database_url(settings) as url:
        findings = asyncio.run(_examine(url, settings))
    is_healthy = all(finding.status != "problem" for finding in findings)
    sys.stdout.write(_as_json(findings, is_healthy=is_healthy) if options.json else _as_text(findings))
    return 0 if is_healthy else 1


async def _examine(url: str, settings: Settings) -> list[Finding]:
    http = Http(allowed_networks=ANYWHERE, timeout_seconds=ANSWER_SECONDS)
    try:
        backend_api = BackendApi(http, settings.orchestration_url, settings.orchestration_api_key)
        return await examine(Database(url), backend_api)
    finally:
        await http.aclose()


def _as_json(findings: Sequence[Finding], *, is_healthy: bool) -> str:
    answer = {"healthy": is_healthy, "findings": [asdict(finding) for finding in findings]}
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _as_text(findings: Sequence[Finding]) -> str:
    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.status]:<8} {finding.check:<{width}}  {finding.says}")
        if finding.advice is not None:
            lines.append(f"{'':<8} {'':<{width}}  → {finding.advice}")
    return "".join(f"{line}\n" for line in lines)
