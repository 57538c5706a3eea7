"""Slack's incoming webhooks.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, https://docs.slack.dev/reference/block-kit
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from tests.canaries import CANARY
from tests.providers.strict import StrictProvider, only_fields
from tests.receivers import Behaviour, Received, reply

PATH = f"/services/T000/B000/{CANARY}"
# A text that escapes & < > as Slack asks, but for its own links and mentions:
# https://docs.slack.dev/messaging/formatting-message-text
ESCAPED = re.compile(r"(?:[^&<>]|&(?:amp|lt|gt);|<(?:https?://|mailto:|[@#!])[^<>]+>)*")
HTML = {"Content-Type": "text/html"}


class Slack(StrictProvider):
    """Takes what Slack takes and answers as Slack does. `messages` are those it took."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    def problems(self, received: Received) -> Iterator[str]:
        if (received.method, received.path) != ("POST", PATH):
            yield "no_service"
        if received.headers["content-type"].split(";")[0] != "application/json":
            yield "content type"
        message = orjson.loads(received.body)
        yield from only_fields(message, {"text", "blocks"}, where="message")
        if not (isinstance(message["text"], str) and 0 < len(message["text"].strip()) <= 40_000):
            yield "no_text"
        if not 1 <= len(message["blocks"]) <= 50:
            yield "number of blocks"
        for block in message["blocks"]:
            yield from _block(block)
        if sum(len(text) for text in texts(message["blocks"])) > 12_000:
            yield "msg_blocks_too_long"
        if not all(ESCAPED.fullmatch(text) for text in (message["text"], *texts(message["blocks"]))):
            yield "unescaped"

    def refuse(self, problem: str) -> Behaviour:
        return reply(400, b"invalid_payload", HTML)

    def accept(self, received: Received) -> Behaviour:
        self.messages.append(orjson.loads(received.body))
        return reply(200, b"ok", HTML)


def texts(value: Any) -> Iterator[str]:
    """Every text of text objects inside blocks."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for item in value.values():
            yield from texts(item)


def _block(block: Any) -> Iterator[str]:
    match block:
        case {"type": "section", "text": _}:
            yield from only_fields(block, {"type", "text"}, where="section")
            yield from _text(block["text"], "mrkdwn", 3000)
        case {"type": "section", "fields": [_, *_] as fields}:
            yield from only_fields(block, {"type", "fields"}, where="section")
            if len(fields) > 10:
                yield "fields: 10 at most"
            for field in fields:
                yield from _text(field, "mrkdwn", 2000)
        case {"type": "actions", "elements": [_, *_] as elements}:
            yield from only_fields(block, {"type", "elements"}, where="actions")
            for element in elements:
                yield from only_fields(element, {"type", "text", "url", "action_id"}, where="button")
                yield from _text(element["text"], "plain_text", 75)
                if element["type"] != "button" or not re.fullmatch(r"https?://[!-~]{1,2990}", element["url"]):
                    yield "button"
        case {"type": "context", "elements": [_, *_] as elements}:
            yield from only_fields(block, {"type", "elements"}, where="context")
            if len(elements) > 10:
                yield "context: 10 elements at most"
            for element in elements:
                yield from _text(element, "mrkdwn", 3000)
        case _:
            yield f"block {block}"


def _text(value: Any, kind: str, characters: int) -> Iterator[str]:
    yield from only_fields(value, {"type", "text"}, where=kind)
    if value["type"] != kind or not 1 <= len(value["text"]) <= characters:
        yield f"{kind} of {len(value['text'])} characters"
