"""`automations doctor` says what is in order and what is not, and what to do, and changes nothing."""

import re
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from automations import doctor
from automations.database import Database, DedicatedConnection
from automations.doctor import BackendApi, Finding, examine
from automations.http import Http
from automations.settings import LOOPBACK
from tests.attached.theirs import TRIGGERS, Theirs, objects
from tests.harness import running
from tests.providers.prefect_server import KEY, PrefectServer
from tests.receivers import Receiver, refusing_port, reply
from tests.test_cli import automations


async def found(database_url: str, **api: Any) -> dict[str, Finding]:
    """The findings by what was looked at."""
    http = Http(allowed_networks=LOOPBACK, timeout_seconds=5)
    findings = await examine(Database(database_url), BackendApi(http, **api))
    await http.aclose()
    return {finding.check: finding for finding in findings}


def problems(findings: dict[str, Finding]) -> set[str]:
    return {check for check, finding in findings.items() if finding.status == "problem"}


async def test_good_attached_database_is_healthy(watched: Theirs, attached_url: str, tmp_path: Path) -> None:
    played = PrefectServer(watched, asks_for_key=True)
    async with Receiver(played) as receiver, running(attached_url, tmp_path):
        settings = {"database_url": attached_url, "orchestration_url": f"{receiver.url}/", "orchestration_api_key": KEY}
        done = await automations("doctor", **settings)
        as_json = await automations("doctor", "--json", **settings)
    assert "PROBLEM" not in done.out
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^ok +backend +Flows, runs and agents are those of an existing", done.out, re.MULTILINE)
    assert re.search(r"^ok +actions on runs +The backend's API answers", done.out, re.MULTILINE)
    answer = orjson.loads(as_json.out)
    assert answer["healthy"] is True
    assert {finding["check"] for finding in answer["findings"]} >= {
        "database",
        "clock",
        "rights",
        "schema",
        "capture",
        "lag",
    }
    assert KEY not in done.out + as_json.out


async def test_own_database_is_healthy(database_url: str) -> None:
    findings = await found(database_url)
    assert problems(findings) == set()
    assert findings["backend"].says == "Flows, runs and agents are Automations' own."
    assert "actions on runs" not in findings
    assert (await found(database_url, url="http://127.0.0.1:1/"))["actions on runs"].status == "warning"


async def test_nothing_is_changed(watched: Theirs, attached_url: str) -> None:
    async def everything() -> Any:
        rows = await watched.connection.fetch(
            "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
        )
        return await objects(watched.connection), sorted(map(tuple, rows))

    before = await everything()
    await found(attached_url)
    assert await everything() == before


async def test_database_that_nobody_has_attached_to_says_how(theirs: Theirs, empty_database_url: str) -> None:
    findings = await found(empty_database_url)
    assert problems(findings) == {"schema"}
    assert findings["schema"].advice == "Start a server, or run: automations migrate"
    assert "existing Prefect Server" in findings["backend"].says
    await theirs.connection.execute("ALTER TABLE flow_run DROP COLUMN labels")
    assert "flow_run.labels" in (await found(empty_database_url))["backend"].says
    await theirs.connection.execute("ALTER TABLE flow_run ADD COLUMN labels jsonb; DELETE FROM tenant")
    assert "no tenant" in (await found(empty_database_url))["backend"].says


async def test_trigger_that_does_not_fire_is_told_and_the_docs_put_it_back(watched: Theirs, attached_url: str) -> None:
    await watched.connection.execute(
        "DROP TRIGGER automations_capture ON flow_run_state;ALTER TABLE flow_run_state DISABLE TRIGGER automations_note"
    )
    before = await found(attached_url)
    assert problems(before) == {"capture"}
    assert "automations_capture and automations_note" in before["capture"].says
    await watched.connection.execute(TRIGGERS)
    assert problems(await found(attached_url)) == set()
    await watched.run((await watched.flow()).id)
    assert await watched.value("SELECT count(*) FROM automations.state_change") == 2


async def test_work_that_waits_is_told(watched: Theirs, attached_url: str) -> None:
    await watched.run((await watched.flow()).id)
    await watched.connection.execute("UPDATE automations.state_change SET captured_at = now() - interval '1 hour'")
    findings = await found(attached_url)
    assert problems(findings) == {"lag", "evaluation is late"}
    assert findings["lag"].says.startswith("2 state changes wait, the oldest for 36")


@pytest.mark.parametrize(("seconds", "status"), [(5, "warning"), (60, "problem")])
async def test_clock_that_is_off_is_told(
    seconds: float, status: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime.now(zone) - timedelta(seconds=seconds)

    monkeypatch.setattr(doctor, "datetime", Clock)
    finding = (await found(database_url))["clock"]
    assert (finding.status, "NTP" in (finding.advice or "")) == (status, True)


async def test_rights_that_an_account_lacks_are_named(watched: Theirs, attached_url: str) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    await watched.connection.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA automations, public TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA automations, public TO {role}"
    )
    account = await Database(attached_url).dedicated()
    try:
        await account.execute(f"SET ROLE {role}")
        missing = await doctor.queries.missing_privileges(account, is_attached=True)
    finally:
        await account.close()
        await watched.connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert {"TRIGGER on flow_run_state", "UPDATE on flow_run", "INSERT on automations.firing"} <= set(missing)
    assert not {name for name in missing if name.startswith("SELECT") or name.endswith("on flow")}


async def test_actions_that_nobody_can_carry_out_are_told(watched: Theirs, attached_url: str, tmp_path: Path) -> None:
    assert (await found(attached_url))["actions on runs"].status == "warning"
    async with running(attached_url, tmp_path, orchestration_url="http://127.0.0.1:1/") as api:
        await api.write("create_action", config={"cancel_flow_run": {}})
    finding = (await found(attached_url))["actions on runs"]
    assert (finding.status, finding.advice) == ("problem", "Set AUTOMATIONS_ORCHESTRATION_URL.")
    with refusing_port() as port:
        finding = (await found(attached_url, url=f"http://127.0.0.1:{port}/"))["actions on runs"]
    assert finding.status == "problem"
    assert "Connection refused" in finding.says
    for body in (b"<html>", b"[]", b'{"data": null}', b'{"data": {}}'):
        async with Receiver(reply(200, body)) as receiver:
            finding = (await found(attached_url, url=receiver.url))["actions on runs"]
        assert (finding.status, "answers 200" in finding.says) == ("problem", True)


async def test_runs_of_nobody_are_told(watched: Theirs, attached_url: str) -> None:
    await watched.flow()
    await watched.connection.execute(
        "UPDATE flow SET tenant_id = NULL, project_id = NULL; UPDATE flow_group SET tenant_id = NULL"
    )
    assert "1 flows belong to no tenant" in (await found(attached_url))["tenants"].says


async def test_newer_and_older_schema_are_told(connection: DedicatedConnection, database_url: str) -> None:
    await connection.execute(
        "DELETE FROM automations.migration WHERE set_name = 'automations'"
        " AND version = (SELECT max(version) FROM automations.migration WHERE set_name = 'automations')"
    )
    assert "1 migrations are not applied" in (await found(database_url))["schema"].says
    await connection.execute("INSERT INTO automations.migration VALUES ('automations', 999, 'tomorrow', '')")
    assert "newer than this program" in (await found(database_url))["schema"].says


async def test_database_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    with refusing_port() as port:
        done = await automations("doctor", database_url=f"postgresql://me:{KEY}@127.0.0.1:{port}/x")
    assert (done.code, done.err) == (1, "")
    assert "It cannot be read" in done.out
    assert KEY not in done.out
    nothing = await automations("doctor", data_dir=str(tmp_path / "none"))
    assert nothing.code == 1
    assert "there is no database" in nothing.err
    assert not (tmp_path / "none").exists()


async def test_old_server_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_SERVER", 990000)
    findings = await found(database_url)
    assert list(findings) == ["database"]
    assert findings["database"].advice == "Upgrade it to version 99 or newer."
