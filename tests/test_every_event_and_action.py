"""Every event with every action that fits it, from GraphQL to servers that are as strict as the providers.

All of it happens at once, on one server: each case has a flow or an agent config, and an automation, of its own.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Verifier

from automations import watch
from automations.actions import CLIENTS
from automations.actions.contract import Action
from tests.canaries import CANARY
from tests.harness import Automations, GraphQLError, eventually, running
from tests.providers import slack, teams, twilio
from tests.providers.pagerduty import ROUTING_KEY, PagerDuty
from tests.providers.slack import Slack
from tests.providers.smtp import SmtpServer
from tests.providers.teams import Teams
from tests.providers.twilio import Twilio
from tests.receivers import Receiver

SETTLE_SECONDS = 30
SIGNING = f"whsec_{base64.b64encode(CANARY.encode() * 2).decode()}"
# What the ledger must not show of what the secrets hold, and of what is hidden.
SECRETS = (slack.PATH, CANARY, twilio.TOKEN, SIGNING.removeprefix("whsec_"), ROUTING_KEY)
# None of its runs is due while the tests go on: it would be late as well.
SCHEDULE = {"clocks": [{"type": "IntervalClock", "interval": 86_400_000_000}]}

EVENTS: dict[str, dict[str, Any]] = {
    "state_changed": {"flow_run_state_changed": {"states": ["Running"]}},
    "late_to_start": {"flow_sla_failed": {"kind": "SCHEDULED_NOT_STARTED", "duration_seconds": 1}},
    "late_to_finish": {"flow_sla_failed": {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 1}},
    "quiet_agents": {"agent_sla_failed": {"unhealthy_after_seconds": 1}},
    "missing_secret": {"server_problem": {"problems": ["SECRET_MISSING"]}},
}
WITHOUT_A_RUN = {"quiet_agents": "agent_config_id", "missing_secret": "affected"}
"""What tells of the subject in events that have no run."""
NEVER_SET = "NEVER_SET"
NEEDS_A_RUN = {(event, "cancel_flow_run") for event in WITHOUT_A_RUN}
CASES = [(event, client.KEY) for event in EVENTS for client in CLIENTS if (event, client.KEY) not in NEEDS_A_RUN]
ON_THE_WATCHED_SIDE = {"cancel_flow_run", "pause_schedule", "create_flow_run"}


@dataclass
class Case:
    """One event with one action. `subject` is the id of its run, or of its agent config, or the name of its secret."""

    event: str
    key: str
    flow_id: str = ""
    flow_group_id: str = ""
    subject: str = ""
    automation_id: str = ""

    @property
    def name(self) -> str:
        """Of the automation."""
        return f"case {self.event} {self.key}"

    @property
    def has_run(self) -> bool:
        return self.event not in WITHOUT_A_RUN

    @property
    def attribute(self) -> str:
        """The one that tells of the subject."""
        return WITHOUT_A_RUN.get(self.event, "flow_run_id")

    @property
    def about(self) -> Any:
        """The attribute's value."""
        return [self.subject] if self.attribute == "affected" else self.subject


@dataclass
class Stage:
    """The server, and those who are told."""

    api: Automations
    slack: Slack
    teams: Teams
    twilio: Twilio
    pagerduty: PagerDuty
    smtp: SmtpServer
    webhooks: Receiver
    cases: dict[tuple[str, str], Case] = field(default_factory=dict)

    def config(self, case: Case) -> dict[str, Any]:
        """The inner object of the case's action."""
        configs: dict[str, dict[str, Any]] = {
            "slack_notification": {"webhook_url_secret": "SLACK"},
            "teams_webhook_notification": {"webhook_url_secret": "TEAMS"},
            "email_notification": {"to_emails": ["data-team@example.com"]},
            "twilio_notification": {
                "account_sid": twilio.ACCOUNT,
                "auth_token_secret": "TWILIO",
                "messaging_service_sid": twilio.SERVICE,
                "phone_numbers": ["(555) 555-5555"],
            },
            "pagerduty_notification": {"routing_key": ROUTING_KEY, "severity": "error"},
            "webhook": {"url": self.webhooks.url, "signing_secret": "SIGNING"},
            "cancel_flow_run": {},
            "pause_schedule": {},
            "create_flow_run": {"parameters": {"about": f"{{{case.attribute}}}"}},
        }
        if not case.has_run and case.key in {"pause_schedule", "create_flow_run"}:
            return {**configs[case.key], "flow_group_id": case.flow_group_id}
        return configs[case.key]

    def told(self, case: Case, delivery_id: str) -> list[str]:
        """What arrived from the case's automation, each as a text."""
        found: dict[str, Callable[[], list[str]]] = {
            "slack_notification": lambda: [str(message) for message in self.slack.messages],
            "teams_webhook_notification": lambda: [str(card) for card in self.teams.cards],
            "email_notification": lambda: [
                str(part.get_content()) for mailed in self.smtp.mailed if (part := mailed.message.get_body(("plain",)))
            ],
            "twilio_notification": lambda: [message["body"] for message in self.twilio.messages],
            "pagerduty_notification": lambda: [str(event) for event in self.pagerduty.events],
        }
        if case.key == "webhook":  # it has all of the event, and its id is that of the delivery
            requests = [one for one in self.webhooks.requests if one.headers["webhook-id"] == delivery_id]
            return [orjson.dumps(Verifier(SIGNING).verify(one.body, dict(one.headers))).decode() for one in requests]
        return [text for text in found[case.key]() if case.name in text]


@pytest.fixture(scope="module")
async def stage(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Everything has happened, and every delivery has ended."""
    played = Slack(), Teams(), Twilio(), PagerDuty()
    async with AsyncExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(watch, "LOOK_SECONDS", 1)
        receivers = [await stack.enter_async_context(Receiver(one)) for one in (*played, None)]
        smtp = await stack.enter_async_context(SmtpServer())
        slack_url, teams_url, twilio_url, pagerduty_url, _ = [receiver.url for receiver in receivers]
        server = await stack.enter_async_context(
            running(
                module_database_url,
                tmp_path_factory.mktemp("every"),
                twilio_url=twilio_url,
                pagerduty_url=pagerduty_url,
                smtp_host="127.0.0.1",
                smtp_port=smtp.port,
                smtp_tls="none",
                smtp_from="Automations <automations@example.com>",
            )
        )
        stage = Stage(server, *played, smtp, receivers[-1])
        secrets = {
            "SLACK": slack_url + slack.PATH,
            "TEAMS": teams_url + teams.PATH,
            "TWILIO": twilio.TOKEN,
            "SIGNING": SIGNING,
        }
        for name, value in secrets.items():
            await server.write("set_secret", "success", name=name, value=value)
        await server.write("create_action", config={"slack_notification": {"webhook_url_secret": NEVER_SET}})
        cases = [Case(event, key) for event, key in CASES]
        await asyncio.gather(*[happen(stage, case) for case in cases])
        stage.cases = {(case.event, case.key): case for case in cases}
        with suppress(TimeoutError):  # each case says for itself what is missing
            await eventually(lambda: is_settled(server, len(cases)), SETTLE_SECONDS)
        yield stage


async def happen(stage: Stage, case: Case) -> None:
    """Set the case's automation up, and let happen what it waits for."""
    api = stage.api
    project = await api.write("create_project", name=case.name)
    flow = {"name": f"flow of {case.name}", "schedule": SCHEDULE}
    case.flow_id = (await api.write("create_flow", project_id=project["id"], serialized_flow=flow))["id"]
    rows = await api.execute("query($id: uuid!) { flow_by_pk(id: $id) { flow_group_id } }", id=case.flow_id)
    case.flow_group_id = rows["flow_by_pk"]["flow_group_id"]
    [(kind, fields)] = EVENTS[case.event].items()
    if case.event == "missing_secret":
        case.subject = NEVER_SET
        event = EVENTS[case.event]
    elif case.event == "quiet_agents":
        case.subject = (await api.write("create_agent_config", name=case.name))["id"]
        await api.write("register_agent", name=case.name, agent_config_id=case.subject)
        event = {kind: {**fields, "agent_config_ids": [case.subject]}}
    else:
        event = {kind: {**fields, "flow_group_ids": [case.flow_group_id]}}
    case.automation_id = await api.automation({case.key: stage.config(case)}, name=case.name, event=event)
    if case.has_run:
        case.subject = await api.run(case.flow_id)
        if case.event != "late_to_start":
            await api.set_state(case.subject, "Running", "it has started")


async def is_settled(api: Automations, count: int) -> bool:
    rows = await api.execute(
        '{ delivery(where: {status: {_in: ["DELIVERED", "FAILED"]}}, limit: 1000) { automation_id } }'
    )
    return len({row["automation_id"] for row in rows["delivery"]}) == count


async def ledger(stage: Stage, case: Case) -> dict[str, Any]:
    """The one delivery of the case's automation about its subject."""
    rows = await stage.api.execute(
        """query($id: uuid!) { delivery(where: {automation_id: {_eq: $id}}) {
            id status reason firing { event } attempts { outcome reason request answer } } }""",
        id=case.automation_id,
    )
    [delivery] = [row for row in rows["delivery"] if row["firing"]["event"][case.attribute] == case.about]
    return dict(delivery)


@pytest.mark.parametrize(("event", "key"), CASES)
async def test_event_is_delivered_once_and_the_ledger_has_it(stage: Stage, event: str, key: str) -> None:
    case = stage.cases[event, key]
    delivery = await ledger(stage, case)
    assert (delivery["status"], delivery["attempts"][0]["outcome"]) == ("DELIVERED", "DELIVERED"), delivery["reason"]
    assert delivery["attempts"][0]["request"]
    kept = orjson.dumps(delivery["attempts"]).decode()
    assert [secret for secret in SECRETS if secret in kept] == []
    if key not in ON_THE_WATCHED_SIDE:
        [told] = stage.told(case, delivery["id"])
        assert case.subject in told


@pytest.mark.parametrize("event", [event for event, key in CASES if key == "cancel_flow_run"])
async def test_run_of_the_event_is_cancelled_in_the_automations_name(stage: Stage, event: str) -> None:
    case = stage.cases[event, "cancel_flow_run"]
    rows = await stage.api.execute(
        "query($id: uuid!) { flow_run_by_pk(id: $id) { state state_message } }", id=case.subject
    )
    assert rows["flow_run_by_pk"]["state"] in {"Cancelling", "Cancelled"}
    assert case.name in rows["flow_run_by_pk"]["state_message"]


@pytest.mark.parametrize("event", EVENTS)
async def test_schedule_of_the_flow_is_switched_off(stage: Stage, event: str) -> None:
    rows = await stage.api.execute("{ flow(where: {is_schedule_active: {_eq: false}}) { id } }")
    assert stage.cases[event, "pause_schedule"].flow_id in {row["id"] for row in rows["flow"]}


@pytest.mark.parametrize("event", EVENTS)
async def test_run_is_made_that_knows_why(stage: Stage, event: str) -> None:
    case = stage.cases[event, "create_flow_run"]
    rows = await stage.api.execute(
        "query($id: uuid!) { flow_run(where: {flow_id: {_eq: $id}}) { id parameters } }", id=case.flow_id
    )
    about = case.about if isinstance(case.about, str) else orjson.dumps(case.about).decode()
    [made] = [row for row in rows["flow_run"] if row["parameters"] == {"about": about}]
    assert (await ledger(stage, case))["reason"] == f"The run is {made['id']}"


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.example().needs_flow_run])
async def test_action_that_needs_a_run_is_refused_where_there_is_none(api: Automations, client: type[Action]) -> None:
    config = (await api.write("create_agent_config"))["id"]
    events: list[dict[str, Any]] = [{"agent_sla_failed": {"agent_config_ids": [config]}}, {"server_problem": {}}]
    for event in events:
        with pytest.raises(GraphQLError, match="needs an event with a flow run"):
            await api.automation({client.KEY: {}}, event=event)


def test_providers_refused_nothing(stage: Stage) -> None:
    assert [stage.slack.refused, stage.teams.refused, stage.twilio.refused, stage.pagerduty.refused] == [[], [], [], []]
