"""What is wrong with files is told all at once, by line, and nothing is changed."""

import pytest

from tests.files.conftest import Run
from tests.harness import Automations
from tests.receivers import refusing_port

STOP = "[{cancel_flow_run: {}}]"
FAILED = "{flow_run_state_changed: {states: [Failed]}}"


def one(when: str = FAILED, then: str = STOP, more: str = "") -> str:
    """A file with one automation: its event is in line 3, its actions are in line 4, what there is more before them."""
    return f"automations:\n  - name: x{more}\n    when: {when}\n    then: {then}\n"


OF_THE_FILE = [
    ("automation: []", "1: A file has no key 'automation'. Did you mean automations?"),
    ("[]", "1: A file must be a mapping with the keys actions, automations."),
    ("automations: {}", "1: automations must be a list."),
    ("automations: [x]", "1: Each of automations must be a mapping with a name."),
    ("automations: [{name: x}]", "1: An automation needs when and then."),
    (one(more="\n    enable: true"), "3: An automation has no key 'enable'. Did you mean enabled?"),
    (one(more="\n    enabled: yes"), "3: enabled must be true or false."),
    (one() + one()[13:], "5: 'x' stands at 0.yaml:2 already; a name is given once."),
]
OF_ACTIONS = [
    ("[]", "then must be a list of 1 to 20 actions."),
    ("[{slack: {}}]", "An action 'slack' does not exist."),
    ("[{webhok: {}}]", "Did you mean webhook?"),
    ("[{cancel_flow_run: {}, webhook: {}}]", "An action takes exactly one key of slack_notification"),
    ("[{cancel_flow_run: {mesage: x}}]", "cancel_flow_run has no key 'mesage'. Did you mean message?"),
    ("[{slack_notification: {}}]", "slack_notification needs webhook_url_secret."),
    ("[{slack_notification: {webhook_url_secret: 5}}]", "webhook_url_secret must be a text: write it in quotes."),
    ("[{cancel_flow_run: {message: '{flow_nam}'}}]", "cancel_flow_run.message"),
    ("[{action: Nobody}]", "There is no saved action 'Nobody'."),
    ("[{create_flow_run: {flow: nowhere}}]", "There is no flow 'nowhere'."),
    (
        "[{twilio_notification: {account_sid: AC1, auth_token_secret: T, messaging_service_sid: MG1, "
        "phone_numbers: [(555) 555-5555]}}]",
        "write it with its country, such as +1 555 555 5555.",
    ),
]
LATE = "kind: STARTED_NOT_FINISHED"
OF_EVENTS = [
    ("{flow_run_state_change: {}}", "does not exist. Did you mean flow_run_state_changed?"),
    ("{flow_run_state_changed: {}}", "flow_run_state_changed takes either states (one or more) or state_group."),
    ("{flow_run_state_changed: {states: [Faild]}}", "There is no state 'Faild': did you mean Failed?"),
    ("{flow_run_state_changed: {state_group: FAILURE}}", "state_group must be one of SUCCESS, FAILED, FINISHED, ALL."),
    ("{flow_run_state_changed: {states: Failed, flows: daily}}", "'daily'; write one of a/daily, b/daily."),
    (f"{{flow_sla_failed: {{{LATE}, duration: soon}}}}", "duration must be a duration such as 90s, 10m or 1h30m."),
    (f"{{flow_sla_failed: {{{LATE}, duration: 0s}}}}", "duration must be a whole number from 1"),
    ("{flow_sla_failed: {slas: [lat]}}", "There is no SLA 'lat'. Did you mean late?"),
    ("{flow_sla_failed: {slas: [x], duration: 5m}}", "flow_sla_failed takes either slas, or kind and duration"),
    ("{agent_sla_failed: {agent_configs: [prd]}}", "There is no agent config 'prd'. Did you mean prod?"),
    ("{agent_sla_failed: {agent_configs: prod, min_healthy: true}}", "min_healthy must be a whole number."),
    ("{server_problem: {problems: [SECRET_MISING]}}", "SECRET_MISSING. Did you mean SECRET_MISSING?"),
    ("{server_problem: {problem: SECRET_MISSING}}", "server_problem has no key 'problem'. Did you mean problems?"),
    ("{server_problem: all}", "server_problem must be a mapping with the keys problems."),
]
OF_BOTH = [
    (one("{agent_sla_failed: {agent_configs: prod}}"), "2: cancel_flow_run needs an event with a flow run"),
    (one("{server_problem: {}}"), "2: cancel_flow_run needs an event with a flow run"),
]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *OF_THE_FILE,
        *((one(then=then), told) for then, told in OF_ACTIONS),
        *((one(when=when), told) for when, told in OF_EVENTS),
        *OF_BOTH,
    ],
)
async def test_problem_is_told_with_its_line(api: Automations, run: Run, text: str, told: str) -> None:
    await api.write("create_agent_config", name="prod")
    await api.write("create_flow_sla_config", kind="STARTED_NOT_FINISHED", duration_seconds=60, name="late")
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
