"""`automations apply` and `diff` on a real server: what is planned, what is done, and that nothing is left to do."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.files.conftest import Run
from tests.harness import Automations

EVERYTHING = """
actions:
  - name: Page on-call
    pagerduty_notification: {routing_key: R0123456789abcdef0123456789abcde, severity: error}
automations:
  - name: Tell the data team
    description: Failures of the nightly flows
    when:
      flow_run_state_changed: {state_group: FAILED, flows: [etl, reporting/daily], projects: [reporting]}
    then:
      - slack_notification: {webhook_url_secret: SLACK, message: "{flow_name} failed"}
      - action: Page on-call
  - name: Late
    when: {flow_sla_failed: {kind: STARTED_NOT_FINISHED, duration: 10m, flows: [etl]}}
    then: [{cancel_flow_run: {}}]
  - name: Agents
    enabled: false
    when: {agent_sla_failed: {agent_configs: [prod], min_healthy: 2, unhealthy_after: 1m30s}}
    then: [{email_notification: {to_emails: [ops@example.com]}}]
  - name: On call
    when: {server_problem: {problems: [EVALUATION_LATE, SECRET_MISSING]}}
    then: [{action: Page on-call}]
"""
STOP = """
automations:
  - name: Stop
    when: {flow_run_state_changed: {states: [Failed]}}
    then: [{cancel_flow_run: {}}]
"""
READ = (
    "{ automation(order_by: {name: asc}) { id name description enabled event actions { name action_config inline } } }"
)


async def automations(api: Automations) -> list[dict[str, Any]]:
    return list((await api.execute(READ))["automation"])


@pytest.fixture
async def flows(api: Automations) -> dict[str, str]:
    """Flow group ids of three flows, of which two have the same name."""
    for name, project in (("etl", "main"), ("daily", "main2"), ("daily", "reporting")):
        await api.flow(name, project)
    await api.write("create_agent_config", name="prod")
    rows = (await api.execute("{ flow { name flow_group_id project { name } } }"))["flow"]
    return {f"{row['project']['name']}/{row['name']}": row["flow_group_id"] for row in rows}


async def test_everything_is_made_from_names_and_then_there_is_nothing_to_do(
    api: Automations, run: Run, flows: dict[str, str]
) -> None:
    await api.write("set_secret", "success", name="SLACK", value="x")
    done = await run("apply", "--yes", files=[EVERYTHING])
    assert (done.code, done.err) == (0, "")
    assert "= 0 unchanged; 5 to create." in done.out
    agents, late, on_call, tell = await automations(api)
    assert tell["event"]["flow_group_ids"] == [flows["main/etl"], flows["reporting/daily"]]
    assert tell["description"] == "Failures of the nightly flows"
    assert [action["name"] for action in tell["actions"]] == [None, "Page on-call"]
    assert late["event"]["duration_seconds"] == 600
    assert (agents["enabled"], agents["event"]["min_healthy"], agents["event"]["unhealthy_after_seconds"]) == (
        False,
        2,
        90,
    )
    assert on_call["event"] == {"problems": ["EVALUATION_LATE", "SECRET_MISSING"]}
    for command in (["apply", "--yes"], ["apply", "--prune", "--yes"], ["diff"]):
        again = await run(*command, files=[EVERYTHING])
        assert (again.code, again.out) == (0, "= 5 unchanged: nothing to do.\n")
    assert await automations(api) == [agents, late, on_call, tell]


async def test_change_is_shown_field_by_field_and_keeps_the_id(
    api: Automations, run: Run, flows: dict[str, str]
) -> None:
    await run("apply", "--yes", files=[EVERYTHING])
    earlier = {row["name"]: row["id"] for row in await automations(api)}
    changed = EVERYTHING.replace("duration: 10m", "duration: 2h").replace("enabled: false", "enabled: true")
    changed = changed.replace("{flow_name} failed", "{flow_name} broke").replace("    description:", "    # ")
    shown = await run("diff", files=[changed])
    assert shown.code == 1
    for line in (
        "~ automation Late",
        '    when.flow_sla_failed.duration: "10m" → "2h"',
        "    enabled: false → true",
        '    then[0].slack_notification.message: "{flow_name} failed" → "{flow_name} broke"',
        '    description: "Failures of the nightly flows" → (none)',
        "= 2 unchanged; 3 to update.",
    ):
        assert line in shown.out.splitlines()
    assert (await run("apply", "--yes", files=[changed])).code == 0
    assert {row["name"]: row["id"] for row in await automations(api)} == earlier
    assert (await run("diff", files=[changed])).code == 0


async def test_saved_action_is_changed_in_place(api: Automations, run: Run, flows: dict[str, str]) -> None:
    await run("apply", "--yes", files=[EVERYTHING])
    [before] = (await api.execute("{ action(where: {inline: {_eq: false}}) { id action_config } }"))["action"]
    await run("apply", "--yes", files=[EVERYTHING.replace("severity: error", "severity: critical")])
    [after] = (await api.execute("{ action(where: {inline: {_eq: false}}) { id action_config } }"))["action"]
    assert after == {**before, "action_config": {**before["action_config"], "severity": "critical"}}


async def test_only_prune_deletes_what_the_files_do_not_name(api: Automations, run: Run, flows: dict[str, str]) -> None:
    await run("apply", "--yes", files=[EVERYTHING])
    await run("apply", "--yes", files=[STOP])
    assert len(await automations(api)) == 5
    shown = await run("diff", "--prune", files=[STOP])
    assert shown.code == 1
    assert "- automation Late" in shown.out
    done = await run("apply", "--prune", "--yes", files=[STOP])
    assert (done.code, done.err) == (0, "")
    assert [row["name"] for row in await automations(api)] == ["Stop"]
    assert (await api.execute("{ action(where: {inline: {_eq: false}}) { id } }"))["action"] == []


async def test_prune_keeps_saved_actions_that_the_files_use(api: Automations, run: Run) -> None:
    await api.write("create_action", name="Halt", config={"cancel_flow_run": {}})
    using = STOP.replace("{cancel_flow_run: {}}", "{action: Halt}")
    assert (await run("apply", "--prune", "--yes", files=[using])).code == 0
    [stop] = await automations(api)
    assert stop["actions"] == [{"name": "Halt", "action_config": {}, "inline": False}]


async def test_several_files_are_one(api: Automations, run: Run) -> None:
    action = "actions: [{name: Halt, cancel_flow_run: {message: stop}}]"
    done = await run("apply", "--yes", files=[STOP.replace("{cancel_flow_run: {}}", "{action: Halt}"), action])
    assert done.code == 0
    assert "action Halt created\nautomation Stop created\n" in done.out


async def test_dry_run_and_nobody_to_ask_change_nothing(
    api: Automations, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await run("apply", "--dry-run", files=[STOP])).code == 0
    asked = await run("apply", files=[STOP])
    assert (asked.code, asked.err) == (
        1,
        "automations: Nothing was changed: there is nobody to ask. Say --yes to go ahead.\n",
    )
    assert await automations(api) == []


@pytest.mark.parametrize(("answer", "code", "count"), [("y", 0, 1), ("Yes", 0, 1), ("", 1, 0), ("no", 1, 0)])
async def test_terminal_is_asked(api: Automations, tmp_path: Path, answer: str, code: int, count: int) -> None:
    (tmp_path / "stop.yaml").write_text(STOP)
    terminal, end = os.openpty()
    os.write(terminal, f"{answer}\n".encode())
    apply = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "automations", "apply", "--url", api.url, "-f", str(tmp_path / "stop.yaml"),
        env={**os.environ, "AUTOMATIONS_TENANT_ID": api.headers["X-PREFECT-TENANT-ID"]},
        stdin=end, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await apply.communicate()
    os.close(terminal)
    os.close(end)
    assert apply.returncode == code
    assert "Go ahead? [y/N] " in out.decode()
    assert len(await automations(api)) == count


async def test_secret_that_is_missing_is_a_warning(api: Automations, run: Run) -> None:
    slack = STOP.replace("{cancel_flow_run: {}}", "{slack_notification: {webhook_url_secret: SLACK}}")
    done = await run("apply", "--yes", files=[slack])
    assert done.code == 0
    assert "! The secret 'SLACK' does not exist; sending fails until it is set." in done.out


async def test_refusal_in_the_middle_says_what_was_made(api: Automations, run: Run) -> None:
    unknown = STOP.replace("states: [Failed]", "states: [Failed], flows: [5f0c1a52-8f0e-5d0b-9a41-6a7f3f1f2c01]")
    both = STOP + unknown.replace("automations:\n", "").replace("name: Stop", "name: Then")
    done = await run("apply", "--yes", files=[both])
    assert done.code == 1
    assert "automation Stop created" in done.out
    assert "automation 'Then': flow_group_ids has ids that do not exist" in done.err
    assert "1 of 2 changes were made." in done.err
    assert [row["name"] for row in await automations(api)] == ["Stop"]


async def test_name_that_the_event_lacks_is_a_warning(run: Run) -> None:
    done = await run("diff", files=[STOP.replace("{cancel_flow_run: {}}", "{cancel_flow_run: {message: '{kind}'}}")])
    assert done.code == 1
    [warning] = [line for line in done.out.splitlines() if line.startswith("! ")]
    assert warning.startswith("! 0.yaml:3: ")
    assert "kind" in warning


async def test_names_from_the_server_cannot_move_the_cursor(api: Automations, run: Run) -> None:
    await api.automation({"cancel_flow_run": {}}, name="\x1b[2Jgone")
    done = await run("diff", "--prune", files=[STOP])
    assert "- automation \\x1b[2Jgone" in done.out
    assert "\x1b" not in done.out


async def test_action_on_the_flow_of_a_name(api: Automations, run: Run, flows: dict[str, str]) -> None:
    text = STOP.replace(
        "{cancel_flow_run: {}}", "{create_flow_run: {flow: main2/daily}}, {pause_schedule: {flow: etl}}"
    )
    assert (await run("apply", "--yes", files=[text])).code == 0
    [stop] = await automations(api)
    ids = [action["action_config"]["flow_group_id"] for action in stop["actions"]]
    assert ids == [flows["main2/daily"], flows["main/etl"]]
    assert (await run("diff", files=[text])).code == 0


async def test_phone_number_with_its_country_is_the_same_as_it_is_stored(api: Automations, run: Run) -> None:
    twilio = (
        "{twilio_notification: {account_sid: AC1, auth_token_secret: T, messaging_service_sid: MG1, "
        "phone_numbers: [+1 (555) 555-5555]}}"
    )
    text = STOP.replace("{cancel_flow_run: {}}", twilio)
    assert (await run("apply", "--yes", files=[text])).code == 0
    [stop] = await automations(api)
    assert stop["actions"][0]["action_config"]["phone_numbers"] == ["+15555555555"]
    assert (await run("diff", files=[text])).code == 0
