"""Slack, by an incoming webhook whose whole URL is a secret."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

from automations.actions.answers import judge
from automations.actions.contract import (
    Action,
    Delivery,
    Rejected,
    Sent,
    Tools,
    require_text,
    secret,
    template,
)
from automations.messages import render

# https://docs.slack.dev/reference/block-kit/blocks: a section's text has 3,000 characters, a header's 150.
SECTION_CHARACTERS = 3000
HEADER_CHARACTERS = 150

_EMOJI = {
    "success": "white_check_mark",
    "cached": "white_check_mark",
    "mapped": "white_check_mark",
    "skipped": "white_check_mark",
    "failed": "red_circle",
    "timedout": "red_circle",
    "triggerfailed": "red_circle",
    "validationfailed": "red_circle",
    "cancelled": "no_entry_sign",
    "cancelling": "no_entry_sign",
    "running": "arrow_forward",
}


@dataclass(frozen=True)
class SlackNotification(Action):
    """A message in a Slack channel."""

    KEY: ClassVar = "slack_notification"
    TYPE: ClassVar = "SlackNotificationAction"
    # https://docs.slack.dev/apis/web-api/rate-limits: incoming webhooks 1 a second, short bursts of more allowed.
    PER_SECOND: ClassVar = 1.0
    BURST: ClassVar = 5

    webhook_url_secret: str = secret("Name of the secret that holds the incoming webhook's URL.")
    message: str | None = template("The message, with {attributes} of the event; the event's own by default.")

    def __post_init__(self) -> None:
        require_text(self, "webhook_url_secret")

    @classmethod
    def example(cls) -> Self:
        return cls(webhook_url_secret="SLACK_WEBHOOK_URL", message="{flow_name} entered {state}: {state_message}")  # noqa: S106

    @property
    def destination(self) -> str:
        return f"slack:{self.webhook_url_secret}"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        body = self._body(delivery)
        tools.request = body
        answer = await tools.post(
            tools.secret(self.webhook_url_secret).strip(),
            content=orjson.dumps(body),
            headers={"content-type": "application/json; charset=utf-8"},
        )
        judge(answer, receiver="Slack", transient=frozenset({429}))
        text = answer.body.decode(errors="replace").strip()
        if answer.status_code != 200 or text != "ok":
            raise Rejected(f"Slack answered {answer.status_code}, but not with 'ok'", answer)
        return Sent(answer)

    def _body(self, delivery: Delivery) -> dict[str, Any]:
        event = delivery.event
        text = escape(render(self.message or "{message}", event))
        text = text if text.strip() else "(The message is empty.)"
        state = str(event.get("state") or "")
        emoji = _EMOJI.get(state.lower(), "bell")
        context = [f"Sent by the automation *{escape(delivery.automation_name)}*"]
        if delivery.is_test:
            context.insert(0, "*This is a test.*")
        blocks: list[dict[str, Any]] = [
            {"type": "section", "text": {"type": "mrkdwn", "text": clip(f":{emoji}: {text}", SECTION_CHARACTERS)}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": clip(" · ".join(context), SECTION_CHARACTERS)}],
            },
        ]
        return {"text": clip(text, SECTION_CHARACTERS), "blocks": blocks}


def escape(text: str) -> str:
    """Slack's three escapes: an unescaped `<!channel>` in a flow's name would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clip(text: str, characters: int) -> str:
    """At most so many characters, with an ellipsis where some were cut, and no escape cut in half."""
    if len(text) <= characters:
        return text
    kept = text[: characters - 1]
    start = kept.rfind("&", max(0, len(kept) - 4))
    if start >= 0 and ";" not in kept[start:]:
        kept = kept[:start]
    return f"{kept}…"
