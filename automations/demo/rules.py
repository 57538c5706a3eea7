"""The demo's automations, and what each owes worked out without the server: what it is measured by."""

import base64
import secrets
from collections.abc import Sequence
from enum import StrEnum

from automations.demo.api import Api

ROGUE_FLOW = "shadow-backfill"

# The receiver takes the message apart again; `timestamp` is when the run entered the state.
SLACK_MESSAGE = "{flow_name} / {flow_run_name} {state}: {state_message}\n{flow_run_link} ({timestamp})"

_FAILED = frozenset({"Failed", "TimedOut"})
_FINISHED = _FAILED | {"Success", "Cancelled"}


class Kind(StrEnum):
    """What an automation does."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    CANCEL = "cancel"


RULES = (
    ("Tell #data-alerts", "a run fails or times out", "a Slack message with its reason"),
    ("Tell the data platform", "a run finishes, however it ends", "a signed webhook"),
    ("Stop the rogue flow", f"a run of {ROGUE_FLOW} starts", "the run is cancelled"),
)


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


async def create_automations(api: Api, *, receiver_url: str, signing_key: bytes, rogue_flow_group_id: str) -> None:
    """Make them, and the secrets that they need."""
    # What Slack gives out is such an address: whoever has it may post, so it is a secret.
    await api.write("set_secret", "success", name="SLACK", value=f"{receiver_url}/slack/{secrets.token_hex(8)}")
    signing_secret = f"whsec_{base64.b64encode(signing_key).decode()}"
    await api.write("set_secret", "success", name="SIGNING", value=signing_secret)
    slack = {"webhook_url_secret": "SLACK", "message": SLACK_MESSAGE}
    webhook = {"url": f"{receiver_url}/runs", "signing_secret": "SIGNING"}
    cancel = {"message": "Stopped: {flow_name} may not run here"}
    automations = (
        ({"state_group": "FAILED"}, {"slack_notification": slack}),
        ({"state_group": "FINISHED"}, {"webhook": webhook}),
        ({"states": ["Running"], "flow_group_ids": [rogue_flow_group_id]}, {"cancel_flow_run": cancel}),
    )
    for (name, _, _), (event, action) in zip(RULES, automations, strict=True):
        await api.write("create_automation", name=name, event={"flow_run_state_changed": event}, actions=[action])
