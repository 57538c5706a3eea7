"""Slack, by an incoming webhook whose whole URL is a secret."""

import re
from collections.abc import Mapping
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
from automations.actions.wording import facts, headline, link, one_line, printable
from automations.messages import render

# https://docs.slack.dev/reference/block-kit/blocks/section-block: a text has 3,000 characters, one of 10 fields 2,000.
# Over all blocks about 12,000 are taken: fields and names are kept so short that they never come near, escapes and all.
SECTION_CHARACTERS = 3000
FIELDS = 10
FACT_CHARACTERS = 150
NAME_CHARACTERS = 200
# https://docs.slack.dev/messaging/formatting-message-text: links, users, channels, and the special mentions.
_MARKUP = re.compile(r"(<(?:https?://|mailto:|[@#!]|[{]flow(?:_run)?_link[}])[^<>\s|]*(?:[|][^<>|]*)?>)")

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
        text = printable(render(_escaped_template(self.message or "{message}"), _escaped(event)))
        text = clip(text, SECTION_CHARACTERS) if text.strip() else "(The message is empty.)"
        emoji = _EMOJI.get(str(event.get("state") or "").lower(), "bell")
        context = clip(escape(one_line(delivery.automation_name, NAME_CHARACTERS)), SECTION_CHARACTERS)
        blocks = [
            _section(f":{emoji}: *{escape(_unformatted(headline(event)))}*"),
            _section(text),
            *_fields(event),
            *_button(event),
            {
                "type": "context",
                "elements": [
                    _text(f"{'*This is a test.* ' if delivery.is_test else ''}Sent by the automation *{context}*")
                ],
            },
        ]
        return {"text": text, "blocks": blocks}


def _escaped_template(template: str) -> str:
    """A template in which links and mentions of Slack's stay what they are: its author may mean them."""
    marked = _MARKUP.split(template)
    return "".join(part if place % 2 else escape(part) for place, part in enumerate(marked))


def _escaped(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event for a template: what comes from runs is never markup."""
    return {name: escape(value) if isinstance(value, str) else value for name, value in event.items()}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _fields(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    fields = [_text(f"*{title}*\n{escape(value)}") for title, value in facts(event, FACT_CHARACTERS)]
    return [{"type": "section", "fields": fields[:FIELDS]}] if fields else []


def _button(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    url = link(event)
    if url is None:
        return []
    label = {"type": "plain_text", "text": "Open the run"}
    return [{"type": "actions", "elements": [{"type": "button", "text": label, "url": url, "action_id": "open_run"}]}]


def _text(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _unformatted(text: str) -> str:
    """Without the marks that would end the bold they stand in."""
    return text.replace("*", "")


def escape(text: str) -> str:
    """Slack's three escapes: an unescaped `<!channel>` in a flow's name would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clip(text: str, characters: int) -> str:
    """At most so many characters, with an ellipsis where some were cut, and no escape or link cut in half."""
    if len(text) <= characters:
        return text
    kept = text[: characters - 1]
    if kept.rfind("<") > kept.rfind(">"):
        kept = kept[: kept.rfind("<")]
    start = kept.rfind("&", max(0, len(kept) - 4))
    if start >= 0 and ";" not in kept[start:]:
        kept = kept[:start]
    return f"{kept}…"
