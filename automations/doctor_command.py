"""`automations doctor`: whether a database is in order, for a terminal or as JSON."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from ipaddress import ip_network
from typing import Any, Final

import orjson

from automations.database import Database
from automations.doctor import BackendApi, Finding, examine
from automations.http import Http

ANSWER_SECONDS: Final = 10.0
_ANYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_MARKS: Final = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}


def add_doctor_command(commands: Any, run: Callable[..., int]) -> None:
    """Add the command to a parser's subparsers; `run` is called with the settings and the options."""
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


def run_doctor(database_url: str, *, orchestration_url: str | None, api_key: str | None, as_json: bool) -> int:
    """Print the findings and return the exit code."""

    async def run() -> list[Finding]:
        http = Http(allowed_networks=_ANYWHERE, timeout_seconds=ANSWER_SECONDS)
        try:
            return await examine(Database(database_url), BackendApi(http, orchestration_url, api_key))
        finally:
            await http.aclose()

    findings = asyncio.run(run())
    is_healthy = all(finding.status != "problem" for finding in findings)
    sys.stdout.write(_as_json(findings, is_healthy=is_healthy) if as_json else _as_text(findings))
    return 0 if is_healthy else 1


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
