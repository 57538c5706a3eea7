"""Teams, behind a Workflows webhook. Documented in Microsoft's and Adaptive Cards' own pages:

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
https://adaptivecards.io/explorer
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tests.canaries import CANARY
from tests.providers.strict import StrictProvider, only_fields
from tests.receivers import Behaviour, Received, reply

PATH = f"/workflows/abc/triggers/manual/paths/invoke?api-version=1&sig={CANARY}"
STYLE = {"size", "weight", "color", "isSubtle", "italic", "strikethrough", "highlight", "underline", "fontType"}


class Teams(StrictProvider):
    """Takes what a workflow takes. `cards` are those it took."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []

    def problems(self, received: Received) -> Iterator[str]:
        if (received.method, received.path) != ("POST", PATH):
            yield "path"
        if received.headers["content-type"].split(";")[0] != "application/json":
            yield "content type"
        if len(received.body) > 28 * 1024:
            yield "28 KB"
        if re.search(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])", received.body):
            yield "escapes in place of UTF-8"
        message = orjson.loads(received.body)
        yield from only_fields(message, {"type", "attachments"}, where="message")
        if message["type"] != "message" or len(message["attachments"]) != 1:
            yield "message"
        [attachment] = message["attachments"]
        yield from only_fields(attachment, {"contentType", "contentUrl", "content"}, where="attachment")
        if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" or attachment["contentUrl"]:
            yield "attachment"
        yield from _card(attachment["content"])

    def refuse(self, problem: str) -> Behaviour:
        return reply(400, orjson.dumps({"error": {"code": "TriggerInputSchemaMismatch", "message": problem}}))

    def accept(self, received: Received) -> Behaviour:
        self.cards.append(orjson.loads(received.body)["attachments"][0]["content"])
        return reply(202, b"")


def _card(card: Any) -> Iterator[str]:
    yield from only_fields(card, {"$schema", "type", "version", "body"}, {"actions", "msteams"}, where="card")
    if (card["type"], card["version"]) != ("AdaptiveCard", "1.4"):
        yield "card"
    for element in card["body"]:
        match element:
            case {"type": "RichTextBlock", "inlines": [_, *_] as inlines}:
                yield from only_fields(element, {"type", "inlines"}, where="RichTextBlock")
                for run in inlines:
                    yield from only_fields(run, {"type", "text"}, STYLE, where="TextRun")
                    if run["type"] != "TextRun" or not run["text"].strip():
                        yield "TextRun"
            case {"type": "FactSet", "facts": [_, *_] as facts}:
                yield from only_fields(element, {"type", "facts"}, where="FactSet")
                for fact in facts:
                    yield from only_fields(fact, {"title", "value"}, where="Fact")
            case _:
                yield f"element {element}"
    for action in card.get("actions", []):
        yield from only_fields(action, {"type", "title", "url"}, where="action")
        if action["type"] != "Action.OpenUrl" or not action["url"].startswith(("https://", "http://")):
            yield "action"
