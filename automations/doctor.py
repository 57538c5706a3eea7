"""Looks at a database and at what is around it, and says what is in order, what is not, and what to do. Only reads."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import orjson

from automations import attachment
from automations.actions import CLIENTS
from automations.database import CLIENT_ERRORS, Connection, Database, load_queries
from automations.health import LATE, measure
from automations.http import Http, HttpError
from automations.migrations import OLDEST_SERVER, MigrationError, missing_migrations

queries = load_queries("doctor")

Status = Literal["ok", "warning", "problem"]

SKEW_SECONDS: Final = 1.0
"""From then on, times in messages look odd."""
HARMFUL_SKEW_SECONDS: Final = 10.0
"""From then on, leases, late runs and quiet agents are misjudged."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not in order."""

    check: str
    status: Status
    says: str
    advice: str | None = None


@dataclass(frozen=True)
class BackendApi:
    """An existing backend's API, as the settings have it."""

    http: Http
    url: str | None = None
    api_key: str | None = None


async def examine(database: Database, api: BackendApi) -> list[Finding]:
    """All findings. They end where the database does not answer, is too old, or has not our newest schema."""
    findings: list[Finding] = []
    try:
        connection = await database.dedicated()
        try:
            await queries.only_read(connection)
            async for finding in _examine(connection, api):
                findings.append(finding)  # noqa: PERF401 - those before an error are kept
        finally:
            await connection.close()
    except CLIENT_ERRORS as error:
        says = f"It cannot be read: {str(error) or type(error).__name__}."
        findings.append(
            Finding("database", "problem", says, "Check AUTOMATIONS_DATABASE_URL and its account's rights.")
        )
    return findings


async def _examine(connection: Connection, api: BackendApi) -> AsyncIterator[Finding]:
    yield (version := await _version(connection))
    if version.status == "problem":
        return
    yield await _clock(connection)
    has_schema = await attachment.has_schema(connection)
    is_attached = has_schema and await attachment.is_attached(connection)
    is_foreign = is_attached or (not has_schema and bool(await queries.has_watched_tables(connection)))
    yield await _backend(connection, is_foreign=is_foreign)
    yield await _rights(connection, is_foreign=is_foreign)
    yield (schema := await _schema(connection, has_schema=has_schema))
    if schema.status == "problem":
        return
    yield await _capture(connection)
    yield await _servers(connection)
    async for finding in _work(connection):
        yield finding
    if is_attached:
        yield await _tenants(connection)
        yield await _actions(connection, api)
    elif api.url is not None:
        says = "AUTOMATIONS_ORCHESTRATION_URL is set, and this database is no other backend's: it is not used."
        yield Finding("actions on runs", "warning", says, "Unset it, or check AUTOMATIONS_DATABASE_URL.")


async def _version(connection: Connection) -> Finding:
    row = await queries.server(connection)
    says = f"PostgreSQL {row['version']}."
    if row["number"] >= OLDEST_SERVER:
        return Finding("database", "ok", says)
    return Finding("database", "problem", says, f"Upgrade it to version {OLDEST_SERVER // 10000} or newer.")


async def _clock(connection: Connection) -> Finding:
    """The clocks' difference, as far as the time that the question took lets it be known."""
    asked_at = datetime.now(UTC)
    told = (await queries.server(connection))["now"]
    took = datetime.now(UTC) - asked_at
    difference = abs((told - asked_at - took / 2).total_seconds())
    least = max(0.0, difference - took.total_seconds() / 2)
    says = f"The clocks of this host and of the database differ by {difference:.1f} s."
    if least < SKEW_SECONDS:
        return Finding("clock", "ok", says)
    status: Status = "problem" if least >= HARMFUL_SKEW_SECONDS else "warning"
    return Finding("clock", status, says, "Let both keep their time by NTP: what is late is judged by it.")


async def _backend(connection: Connection, *, is_foreign: bool) -> Finding:
    if not is_foreign:
        return Finding("backend", "ok", "Flows, runs and agents are Automations' own.")
    if problem := await attachment.unfit(connection):
        says, _, advice = problem.partition(". ")
        return Finding("backend", "problem", f"{says}.", advice)
    return Finding(
        "backend", "ok", "Flows, runs and agents are those of an existing Prefect Server; they are only read."
    )


async def _rights(connection: Connection, *, is_foreign: bool) -> Finding:
    missing = await queries.missing_privileges(connection, is_attached=is_foreign)
    if not missing:
        return Finding("rights", "ok", "The account may do all that is needed.")
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return Finding(
        "rights", "problem", f"The account lacks {shown}.", "Grant it that, or use the account that owns it."
    )


async def _schema(connection: Connection, *, has_schema: bool) -> Finding:
    if not has_schema:
        says = "Automations has not been in this database yet."
        return Finding("schema", "problem", says, "Start a server, or run: automations migrate")
    try:
        missing = await missing_migrations(connection)
    except MigrationError as error:
        return Finding("schema", "problem", str(error), "Start the version of Automations that was used last.")
    if missing:
        says = f"{len(missing)} migrations are not applied yet."
        return Finding("schema", "problem", says, "Start a server, or run: automations migrate")
    return Finding("schema", "ok", "It is at the newest version.")


async def _capture(connection: Connection) -> Finding:
    dead = await queries.dead_triggers(connection)
    if not dead:
        return Finding("capture", "ok", "Triggers note every state that a run enters.")
    return Finding(
        "capture",
        "problem",
        f"Not every state that a run enters is noted: {' and '.join(dead)} on flow_run_state is missing or disabled.",
        "docs/attaching.md has the statement that puts it back.",
    )


async def _servers(connection: Connection) -> Finding:
    count = await attachment.connected_servers(connection)
    if count:
        return Finding("servers", "ok", f"{count} connections of Automations are open.")
    return Finding("servers", "warning", "No server of Automations is connected.", "Start one: automations serve")


async def _work(connection: Connection) -> AsyncIterator[Finding]:
    """What waits, and what is wrong with what is sent."""
    health = await measure(connection, now=datetime.now(UTC))
    yield Finding(
        "lag",
        "problem" if LATE & set(health.problems) else "ok",
        f"{health.changes_waiting} state changes wait, the oldest for {health.change_lag_seconds:.1f} s; "
        f"{health.deliveries_due} deliveries are due, the oldest for {health.delivery_lag_seconds:.1f} s.",
    )
    for name, text in health.problems.items():
        yield Finding(name, "problem" if name in LATE else "warning", text)


async def _tenants(connection: Connection) -> Finding:
    count = await queries.flows_without_tenant(connection)
    if not count:
        return Finding("tenants", "ok", "Every flow belongs to a tenant.")
    says = f"{count} flows belong to no tenant, and neither do their groups and projects: nobody sees their runs."
    return Finding("tenants", "warning", says, "Set tenant_id of their projects, where these runs matter.")


async def _actions(connection: Connection, api: BackendApi) -> Finding:
    """Whether an existing backend's API carries actions out."""
    if api.url is not None:
        return await _backend_api(api)
    types = [client.TYPE for client in CLIENTS if client.ON_BACKEND]
    if count := await queries.actions_on_runs(connection, types=types):
        says = f"{count} actions on runs fail: the API of the existing backend is not known."
        return Finding("actions on runs", "problem", says, "Set AUTOMATIONS_ORCHESTRATION_URL.")
    says = "Runs cannot be cancelled or made, nor schedules paused: the API of the existing backend is not known."
    return Finding("actions on runs", "warning", says, "Set AUTOMATIONS_ORCHESTRATION_URL where that is wanted.")


async def _backend_api(api: BackendApi) -> Finding:
    assert api.url is not None  # noqa: S101 - who calls has looked
    headers = {"Content-Type": "application/json"}
    if api.api_key is not None:
        headers["Authorization"] = f"Bearer {api.api_key}"
    advice = "Check AUTOMATIONS_ORCHESTRATION_URL and AUTOMATIONS_ORCHESTRATION_API_KEY: it is where clients send to."
    try:
        answer = await api.http.post(
            api.url, content=orjson.dumps({"query": "{ hello }"}), headers=headers, destination="orchestration"
        )
    except HttpError as error:
        return Finding("actions on runs", "problem", f"The backend's API cannot be reached: {error}.", advice)
    try:
        is_answered = "hello" in (orjson.loads(answer.body).get("data") or {})
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        is_answered = False
    if is_answered:
        return Finding("actions on runs", "ok", "The backend's API answers.")
    says = f"What is at AUTOMATIONS_ORCHESTRATION_URL answers {answer.status_code}, and not as a backend's API does."
    return Finding("actions on runs", "problem", says, advice)
