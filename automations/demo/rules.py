"""The demo's automations, and what each owes worked out without the server: what it is measured by."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from automations.demo.api import Api

ROGUE_FLOW = "shadow-backfill"
HANGING_FLOW = "churn-forecast"
LATE_AFTER_SECONDS = QUIET_AFTER_SECONDS = 1

# The receivers take the messages apart again; `timestamp` is when the run entered the state, when it should have
# finished, and when it was noticed that agents are quiet.
SLACK_MESSAGE = "{flow_name} / {flow_run_name} {state}: {state_message}\n{flow_run_link} ({timestamp})"
SMS_MESSAGE = (
    "{flow_name} / {flow_run_name} is {state} for more than {duration_seconds} s\n{flow_run_link} ({timestamp})"
)
MAIL_BODY = "Too few agents ask for work: {sla_min_healthy} must.\nagent config {agent_config_id} ({timestamp})"

TWILIO_ACCOUNT = f"AC{'0123456789abcdef' * 2}"
MESSAGING_SERVICE = f"MG{'0123456789abcdef' * 2}"
PHONE_NUMBER = "+15555555555"
MAIL_FROM, MAIL_TO = "automations@example.com", "platform-team@example.com"

_FAILED = frozenset({"Failed", "TimedOut"})
_FINISHED = _FAILED | {"Success", "Cancelled"}


class Kind(StrEnum):
    """What an automation does."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    CANCEL = "cancel"
    SMS = "sms"
    EMAIL = "email"


RULES = (
    ("Tell #data-alerts", "a run fails or times out", "a Slack message with its reason"),
    ("Tell the data platform", "a run finishes, however it ends", "a signed webhook"),
    ("Stop the rogue flow", f"a run of {ROGUE_FLOW} starts", "the run is cancelled"),
    ("Text on-call", f"a run of {HANGING_FLOW} is not done after {LATE_AFTER_SECONDS} s", "a text message"),
    ("Mail the owners", f"the agents of a config ask nothing for {QUIET_AFTER_SECONDS} s", "an e-mail"),
)


@dataclass(frozen=True)
class Subjects:
    """Ids of what the automations watch in particular."""

    rogue_flow_group_id: str
    hanging_flow_group_id: str
    agent_config_ids: Sequence[str]


@dataclass(frozen=True)
class Credentials:
    """Where the receiver listens, and what it knows senders by."""

    url: str
    signing_key: bytes
    twilio_token: str


def owed(flow: str, state: str) -> Sequence[Kind]:
    """What is owed when a run of this flow enters this state."""
    kinds = []
    if state in _FAILED:
        kinds.append(Kind.SLACK)
    if state in _FINISHED:
        kinds.append(Kind.WEBHOOK)
    if state == "Running" and flow == ROGUE_FLOW:
        kinds.append(Kind.CANCEL)
    return kinds


async def create_automations(api: Api, subjects: Subjects, receiver: Credentials) -> None:
    """Make them, and the secrets that they need."""
    # What Slack gives out is such an address: whoever has it may post, so it is a secret.
    await api.write("set_secret", "success", name="SLACK", value=f"{receiver.url}/slack/{secrets.token_hex(8)}")
    signing_secret = f"whsec_{base64.b64encode(receiver.signing_key).decode()}"
    await api.write("set_secret", "success", name="SIGNING", value=signing_secret)
    await api.write("set_secret", "success", name="TWILIO", value=receiver.twilio_token)
    late = {
        "kind": "STARTED_NOT_FINISHED",
        "duration_seconds": LATE_AFTER_SECONDS,
        "flow_group_ids": [subjects.hanging_flow_group_id],
    }
    quiet = {"agent_config_ids": subjects.agent_config_ids, "unhealthy_after_seconds": QUIET_AFTER_SECONDS}
    rogue = {"states": ["Running"], "flow_group_ids": [subjects.rogue_flow_group_id]}
    events = (
        {"flow_run_state_changed": {"state_group": "FAILED"}},
        {"flow_run_state_changed": {"state_group": "FINISHED"}},
        {"flow_run_state_changed": rogue},
        {"flow_sla_failed": late},
        {"agent_sla_failed": quiet},
    )
    sms = {
        "account_sid": TWILIO_ACCOUNT,
        "auth_token_secret": "TWILIO",
        "messaging_service_sid": MESSAGING_SERVICE,
        "phone_numbers": [PHONE_NUMBER],
        "message": SMS_MESSAGE,
    }
    actions = (
        {"slack_notification": {"webhook_url_secret": "SLACK", "message": SLACK_MESSAGE}},
        {"webhook": {"url": f"{receiver.url}/runs", "signing_secret": "SIGNING"}},
        {"cancel_flow_run": {"message": "Stopped: {flow_name} may not run here"}},
        {"twilio_notification": sms},
        {"email_notification": {"to_emails": [MAIL_TO], "body": MAIL_BODY}},
    )
    for (name, _, _), event, action in zip(RULES, events, actions, strict=True):
        await api.write("create_automation", name=name, event=event, actions=[action])
