"""What is wrong with files is told all at once, by line, and nothing is changed."""

import pytest

from tests.files.conftest import Run
from tests.harness import Automations
from tests.receivers import refusing_port


def one(
    when: str = "{flow_run_state_changed: {states: [Failed]}}", then: str = "[{cancel_flow_run: {}}]", more: str = ""
) -> str:
    return f"automations:\n  - name: x{more}\n    when: {when}\n    then: {then}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("automation: []", "1: A file has no key 'automation'. Did you mean automations?"),
        ("[]", "1: A file must be a mapping with the keys actions, automations."),
        ("automations: {}", "1: automations must be a list."),
        ("automations: [x]", "1: Each of automations must be a mapping with a name."),
        (one(more="\n    enable: true"), "3: An automation has no key 'enable'. Did you mean enabled?"),
        (one(more="\n    enabled: yes"), "3: enabled must be true or false."),
        (one() + one()[13:], "5: 'x' stands at 0.yaml:2 already; a name is given once."),
        ("automations: [{name: x}]", "1: An automation needs when and then."),
        (one(then="[]"), "4: then must be a list of 1 to 20 actions."),
        (one(then="[{slack: {}}]"), "4: An action 'slack' does not exist."),
        (one(then="[{webhok: {}}]"), "Did you mean webhook?"),
        (one(then="[{cancel_flow_run: {}, webhook: {}}]"), "4: An action takes exactly one key of slack_notification"),
        (one(then="[{cancel_flow_run: {mesage: x}}]"), "4: cancel_flow_run has no key 'mesage'. Did you mean message?"),
        (one(then="[{slack_notification: {}}]"), "4: slack_notification needs webhook_url_secret."),
        (one(then="[{slack_notification: {webhook_url_secret: 5}}]"), "webhook_url_secret must be a text: write it in quotes."),
        (one(then="[{cancel_flow_run: {message: '{flow_nam}'}}]"), "4: cancel_flow_run.message"),
        (one(then="[{action: Nobody}]"), "4: There is no saved action 'Nobody'."),
        (one(then="[{create_flow_run: {flow: nowhere}}]"), "4: There is no flow 'nowhere'."),
        (
            one(then="[{twilio_notification: {account_sid: AC1, auth_token_secret: T, messaging_service_sid: MG1, phone_numbers: [(555) 555-5555]}}]"),
            "write it with its country, such as +1 555 555 5555.",
        ),
        (one(when="{flow_run_state_change: {}}"), "3: when 'flow_run_state_change' does not exist. Did you mean flow_run_state_changed?"),
        (one(when="{flow_run_state_changed: {}}"), "3: flow_run_state_changed takes either states (one or more) or state_group."),
        (one(when="{flow_run_state_changed: {states: [Faild]}}"), "3: There is no state 'Faild': did you mean Failed?"),
        (one(when="{flow_run_state_changed: {state_group: FAILURE}}"), "3: state_group must be one of SUCCESS, FAILED, FINISHED, ALL."),
        (one(when="{flow_sla_failed: {kind: STARTED_NOT_FINISHED, duration: soon}}"), "duration such as 90s, 10m or 1h30m."),
        (one(when="{flow_sla_failed: {kind: STARTED_NOT_FINISHED, duration: 0s}}"), "3: duration must be a whole number from 1"),
        (one(when="{flow_sla_failed: {slas: [x], duration: 5m}}"), "3: flow_sla_failed takes either slas, or kind and duration"),
        (one(when="{agent_sla_failed: {agent_configs: [prd]}}"), "3: There is no agent config 'prd'. Did you mean prod?"),
        (one(when="{agent_sla_failed: {agent_configs: prod, min_healthy: true}}"), "3: min_healthy must be a whole number."),
        (one(when="{agent_sla_failed: {agent_configs: prod}}"), "2: cancel_flow_run needs an event with a flow run, and agent_sla_failed has none."),
        (one(when="{flow_run_state_changed: {states: Failed, flows: [daily]}}"), "2 flows are called 'daily'; write one of a/daily, b/daily."),
    ],
)  # fmt: skip
async def test_problem_is_told_with_its_line(api: Automations, run: Run, text: str, told: str) -> None:
    await api.write("create_agent_config", name="prod")
    await api.flow("daily", "a")
    await api.flow("daily", "b")
    done = await run("apply", "--yes", files=[text])
    assert done.code == 2
    assert told in done.err
    assert "0.yaml:" in done.err
    assert (await api.execute("{ automation { id } }"))["automation"] == []


async def test_all_problems_of_all_files_are_told_at_once(run: Run) -> None:
    bad = one(when="{flow_run_state_changed: {states: [Faild]}}", then="[{action: Nobody}, {webhok: {}}]")
    done = await run("diff", files=[bad, "automations: [", bad.replace("name: x", "name: y")])
    lines = done.err.splitlines()
    assert done.code == 2
    assert [line.split(" ")[0] for line in lines[1:]] == [
        "0.yaml:3:", "0.yaml:4:", "0.yaml:4:", "1.yaml:1:", "2.yaml:3:", "2.yaml:4:", "2.yaml:4:",
    ]  # fmt: skip


async def test_name_that_the_server_has_twice_is_a_problem(api: Automations, run: Run) -> None:
    for _ in range(2):
        await api.automation({"cancel_flow_run": {}}, name="x")
    done = await run("apply", "--yes", files=[one()])
    assert done.code == 2
    assert "0.yaml:2: The server has 2 automations called 'x'" in done.err
    exported = await run("export")
    assert exported.code == 2
    assert "The server has several automations called 'x'" in exported.err


async def test_file_that_cannot_be_read_is_told(run: Run) -> None:
    done = await run("diff", "-f", "none.yaml")
    assert (done.code, "none.yaml:1: The file cannot be read: No such file or directory." in done.err) == (2, True)


@pytest.mark.parametrize("command", [["export"], ["diff", "-f", "-"], ["apply", "-f", "-", "--yes"]])
async def test_server_that_is_not_there_is_told(run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.read", lambda: "")
    monkeypatch.setattr("automations.client.wire.FIRST_WAIT_SECONDS", 0.001)
    with refusing_port() as port:
        done = await run(*command, "--url", f"http://127.0.0.1:{port}")
    assert done.code == 2
    assert "does not answer" in done.err
