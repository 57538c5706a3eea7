"""Microsoft Teams, by a Workflows webhook whose whole URL is a secret: an Adaptive Card.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

from automations.actions.answers import judge, retry_after
from automations.actions.contract import (
    Action,
    Delivery,
    Rejected,
    RetryLater,
    Sent,
    Tools,
    require_text,
    secret,
    template,
)
from automations.actions.wording import facts, headline, link, one_line, printable, sent_by
from automations.http import Answer
from automations.messages import render

CARD_BYTES = 28 * 1000  # "28 KB": the smaller reading of it
TITLE_CHARACTERS = 300
# Fact.value is Markdown: https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
_MARKDOWN = re.compile(r"([\\`*\[\]])")
# Workflows answer 200 and tell in the text what Teams answered to them.
_INNER_STATUS = re.compile(rb"HTTP error (\d{3})", re.IGNORECASE)


@dataclass(frozen=True)
class TeamsWebhookNotification(Action):
    """A card in a Microsoft Teams channel."""

    KEY: ClassVar = "teams_webhook_notification"
    TYPE: ClassVar = "TeamsWebhookNotificationAction"
    # https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: 4 a second.
    PER_SECOND: ClassVar = 4.0
    BURST: ClassVar = 4

    webhook_url_secret: str = secret("Name of the secret that holds the workflow's URL.")
    title: str | None = template("The card's title, with {attributes} of the event; what happened by default.")
    message: str | None = template("The message, with {attributes} of the event; the event's own by default.")

    def __post_init__(self) -> None:
        require_text(self, "webhook_url_secret")

    @classmethod
    def example(cls) -> Self:
        return cls(webhook_url_secret="TEAMS_URL", title="{flow_name}: {state}", message="{state_message}")  # noqa: S106

    @property
    def destination(self) -> str:
        return f"teams:{self.webhook_url_secret}"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        body = self._body(delivery)
        tools.request = body
        answer = await tools.post(
            tools.secret(self.webhook_url_secret).strip(),
            content=orjson.dumps(body),
            headers={"content-type": "application/json; charset=utf-8"},
        )
        _judge_inside(answer)
        judge(answer, receiver="Teams")
        return Sent(answer)

    def _body(self, delivery: Delivery) -> dict[str, Any]:
        event = delivery.event
        title = one_line(render(self.title, event), TITLE_CHARACTERS) if self.title else ""
        text = printable(render(self.message or "{message}", event)).strip() or "(The message is empty.)"
        footnote = sent_by(delivery.automation_name, is_test=delivery.is_test)

        def card(text: str) -> dict[str, Any]:
            return _card(title or headline(event), text, facts(event), link(event), footnote)

        room = CARD_BYTES - len(orjson.dumps(card("")))
        return card(fit(text, room))


def fit(text: str, size: int) -> str:
    """As much of a text as has so many bytes inside a JSON string in UTF-8, with an ellipsis where some was cut."""
    if _bytes(text) <= size:
        return text
    kept = bisect_right(range(len(text)), size - len("…".encode()), key=lambda length: _bytes(text[:length])) - 1
    return f"{text[: max(0, kept)]}…"


def _bytes(text: str) -> int:
    return len(orjson.dumps(text)) - 2


def _card(title: str, text: str, facts: list[tuple[str, str]], url: str | None, footnote: str) -> dict[str, Any]:
    """The message of one Adaptive Card 1.4 (https://adaptivecards.io/explorer). Text in runs is never Markdown."""
    body: list[dict[str, Any]] = [
        _run(title, weight="Bolder", size="Large"),
        _run(text),
    ]
    if facts:
        body.append({"type": "FactSet", "facts": [{"title": name, "value": _plain(value)} for name, value in facts]})
    body.append(_run(footnote, isSubtle=True, size="Small"))
    content: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    if url is not None:
        content["actions"] = [{"type": "Action.OpenUrl", "title": "Open the run", "url": url}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _judge_inside(answer: Answer) -> None:
    """What is told inside a 200: 429 may work later, anything else will not."""
    found = _INNER_STATUS.search(answer.body) if answer.status_code == 200 else None
    if found is None:
        return
    status = int(found[1])
    reason = f"Teams answered 200, and in it HTTP error {status}"
    if status == 429 or status >= 500:
        raise RetryLater(reason, retry_after(answer), unknown=status >= 500, answer=answer)
    raise Rejected(reason, answer)
