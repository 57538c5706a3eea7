"""Twilio's messages: https://www.twilio.com/docs/messaging/api/message-resource."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson

from tests.canaries import CANARY
from tests.providers.strict import StrictProvider
from tests.receivers import Behaviour, Received, reply

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
SERVICE = "MG0123456789abcdef0123456789abcdef"
TOKEN = f"{CANARY}-auth-token"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
E164 = re.compile(r"\+[1-9]\d{6,14}")


class Twilio(StrictProvider):
    """Takes what Twilio takes and keeps `messages`, oldest first, as its own list shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    def problems(self, received: Received) -> Iterator[str]:
        url = urlsplit(received.path)
        if url.path != PATH:
            yield "path"
        if received.headers["authorization"] != "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode():
            yield "authorization"
        if received.method == "GET":
            yield from _asking(parse_qs(url.query, strict_parsing=True))
        elif received.method == "POST":
            if received.headers["content-type"] != "application/x-www-form-urlencoded" or url.query:
                yield "content type"
            yield from _sending(_form(received))
        else:
            yield "method"

    def refuse(self, problem: str) -> Behaviour:
        return problem_answer(400, 21604, problem)

    def accept(self, received: Received) -> Behaviour:
        if received.method == "GET":
            return self._list(parse_qs(urlsplit(received.path).query))
        form = _form(received)
        message = message_to(form["To"][0], form["Body"][0])
        self.messages.append(message)
        return reply(201, orjson.dumps(message), {"Content-Type": "application/json"})

    def _list(self, query: dict[str, list[str]]) -> Behaviour:
        since = date.fromisoformat(query["DateSent>"][0][:10])
        found = [
            message
            for message in reversed(self.messages)
            if message["to"] == query["To"][0] and message["sent_on"] >= since.isoformat()
        ]
        size = int(query["PageSize"][0])
        page = {
            "messages": found[:size],
            "page": 0,
            "page_size": size,
            "next_page_uri": f"{PATH}?Page=1" if len(found) > size else None,
        }
        return reply(200, orjson.dumps(page), {"Content-Type": "application/json"})


def message_to(number: str, body: str, sent_at: datetime | None = None) -> dict[str, Any]:
    """A message as Twilio shows it."""
    sent_at = sent_at or datetime.now(UTC)
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": body,
        "date_created": format_datetime(sent_at),
        "date_sent": None,
        "direction": "outbound-api",
        "error_code": None,
        "from": None,
        "messaging_service_sid": SERVICE,
        "sid": f"SM{uuid4().hex}",
        "status": "accepted",
        "to": number,
        "sent_on": sent_at.date().isoformat(),
    }


def problem_answer(status: int, code: int, message: str) -> Behaviour:
    """An error as https://www.twilio.com/docs/usage/twilios-response describes it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return reply(status, orjson.dumps({"code": code, "message": message, "more_info": more, "status": status}))


def _form(received: Received) -> dict[str, list[str]]:
    return parse_qs(received.body.decode("ascii"), strict_parsing=True, errors="strict")


def _sending(form: dict[str, list[str]]) -> Iterator[str]:
    if set(form) != {"To", "MessagingServiceSid", "Body"} or any(len(values) != 1 for values in form.values()):
        yield f"fields {sorted(form)}"
    if not E164.fullmatch(form["To"][0]):
        yield "To"
    if form["MessagingServiceSid"] != [SERVICE]:
        yield "MessagingServiceSid"
    if not 1 <= len(form["Body"][0].encode("utf-16-le")) // 2 <= 1600:
        yield "Body"


def _asking(query: dict[str, list[str]]) -> Iterator[str]:
    if set(query) != {"To", "DateSent>", "PageSize"}:
        yield f"query {sorted(query)}"
    if not E164.fullmatch(query["To"][0]) or not re.fullmatch(r"\d{4}-\d\d-\d\d(T[0-9:]{8}Z)?", query["DateSent>"][0]):
        yield "query"
    if not 1 <= int(query["PageSize"][0]) <= 1000:
        yield "PageSize"
