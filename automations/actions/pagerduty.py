"""PagerDuty, by the Events API v2 (https://developer.pagerduty.com/docs/send-alert-event)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

from automations.actions.answers import judge
from automations.actions.contract import (
    Action,
    Delivery,
    InvalidConfig,
    Rejected,
    Sent,
    Tools,
    plain,
    require_text,
    template,
)
from automations.actions.wording import link, one_line, printable, shorten, web_address
from automations.events import AGENT_SLA_FAILED
from automations.messages import render

SEVERITIES = ("info", "warning", "error", "critical")
SUMMARY_CHARACTERS = 1024
DEDUP_KEY_CHARACTERS = 255
# An event may have 512 KB: so much of each of its texts is far from it.
DETAIL_CHARACTERS = 8000
NAME_CHARACTERS = 255


@dataclass(frozen=True)
class PagerDutyNotification(Action):
    """An alert in PagerDuty. One flow run, or one agent config, has one alert for each automation."""

    KEY: ClassVar = "pagerduty_notification"
    TYPE: ClassVar = "PagerDutyNotificationAction"
    ORDERED: ClassVar = True
    # https://developer.pagerduty.com/docs/events-api-v2-overview: about 120 a minute for an integration.
    PER_SECOND: ClassVar = 1.8
    BURST: ClassVar = 10

    routing_key: str = plain("The integration key of an Events API v2 integration.")
    severity: str = plain("info, warning, error or critical, in any case.")
    api_token_secret: str | None = plain(
        "Kept for existing clients and never used: the Events API v2 takes no token.", default=None
    )
    message: str | None = template("The alert's summary, with {attributes} of the event; the event's own by default.")

    def __post_init__(self) -> None:
        require_text(self, "routing_key")
        if str(self.severity).lower() not in SEVERITIES:
            raise InvalidConfig(f"{self.KEY}.severity must be one of {', '.join(SEVERITIES)}.")

    @classmethod
    def example(cls) -> Self:
        return cls(
            routing_key="R0123456789ABCDEF0123456789ABCDE", severity="error", message="{flow_name}: {state_message}"
        )

    @property
    def destination(self) -> str:
        return f"pagerduty:{hashlib.sha256(self.routing_key.strip().encode()).hexdigest()[:16]}"

    @property
    def hidden(self) -> Mapping[str, str]:
        return {"routing_key": self.routing_key.strip()}

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        body = self._body(delivery)
        tools.request = {**body, "routing_key": "(hidden)"}
        answer = await tools.post(
            f"{tools.choices.pagerduty_url.rstrip('/')}/v2/enqueue",
            content=orjson.dumps(body),
            headers={"content-type": "application/json"},
        )
        judge(answer, receiver="PagerDuty")
        if answer.status_code != 202:
            raise Rejected(f"PagerDuty answered {answer.status_code} in place of 202", answer)
        return Sent(answer)

    def _body(self, delivery: Delivery) -> dict[str, Any]:
        event = delivery.event
        summary = one_line(render(self.message or "{message}", event), SUMMARY_CHARACTERS)
        body: dict[str, Any] = {
            "routing_key": self.routing_key.strip(),
            "event_action": "trigger",
            "dedup_key": dedup_key(delivery),
            "payload": _payload(event)
            | {
                "summary": summary or "(The message is empty.)",
                "severity": self.severity.lower(),
                "custom_details": _details(delivery),
            },
            "links": _links(event),
            "client": one_line(f"Automations: {delivery.automation_name}", NAME_CHARACTERS),
        }
        page = link(event)
        return body if page is None else body | {"client_url": page}


def dedup_key(delivery: Delivery) -> str:
    """The same for all alerts of one automation about one thing; a test is never part of a real alert."""
    key = f"{delivery.subject}/test" if delivery.is_test else delivery.subject
    return key if len(key) <= DEDUP_KEY_CHARACTERS else hashlib.sha256(key.encode()).hexdigest()


def _payload(event: Mapping[str, Any]) -> dict[str, Any]:
    is_agent = event.get("event_name") == AGENT_SLA_FAILED.name
    values = {
        "source": f"agent config {event.get('agent_config_id')}" if is_agent else event.get("flow_name"),
        "component": None if is_agent else event.get("flow_run_name"),
        "group": event.get("tenant_slug"),
        "timestamp": event.get("timestamp"),
        "class": event.get("kind") or event.get("state") or event.get("problem") or event.get("event_name"),
    }
    named = {name: one_line(str(value or ""), NAME_CHARACTERS) for name, value in values.items()}
    named["source"] = named["source"] or "Automations"
    return {name: value for name, value in named.items() if value}


def _details(delivery: Delivery) -> dict[str, Any]:
    details = {
        name: shorten(printable(value), DETAIL_CHARACTERS) if isinstance(value, str) else value
        for name, value in delivery.event.items()
    }
    details["automation"] = one_line(delivery.automation_name, NAME_CHARACTERS)
    return details | ({"test": "This is a test."} if delivery.is_test else {})


def _links(event: Mapping[str, Any]) -> list[dict[str, str]]:
    pages = {"Flow run": web_address(event.get("flow_run_link")), "Flow": web_address(event.get("flow_link"))}
    return [{"href": page, "text": text} for text, page in pages.items() if page is not None]
