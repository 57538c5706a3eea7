"""PagerDuty's Events API v2: https://developer.pagerduty.com/docs/send-alert-event."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from tests.providers.strict import StrictProvider, only_fields
from tests.receivers import Behaviour, Received, reply

ROUTING_KEY = "R0123456789ABCDEF0123456789ABCDE"


class PagerDuty(StrictProvider):
    """Takes what PagerDuty takes. `events` are those it took, `alerts` the open ones by dedup_key."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    @property
    def alerts(self) -> set[str]:
        return {event["dedup_key"] for event in self.events}

    def problems(self, received: Received) -> Iterator[str]:
        if (received.method, received.path) != ("POST", "/v2/enqueue"):
            yield "path"
        if received.headers["content-type"] != "application/json" or "authorization" in received.headers:
            yield "headers"
        if len(received.body) > 512 * 1024:
            yield "512 KB"
        event = orjson.loads(received.body)
        yield from only_fields(
            event,
            {"routing_key", "event_action", "payload"},
            {"dedup_key", "links", "images", "client", "client_url"},
            where="event",
        )
        if event["routing_key"] != ROUTING_KEY or event["event_action"] not in {"trigger", "acknowledge", "resolve"}:
            yield "event"
        if not 1 <= len(event["dedup_key"]) <= 255:
            yield "dedup_key"
        for item in event["links"]:
            yield from only_fields(item, {"href", "text"}, where="link")
            if not item["href"].startswith(("https://", "http://")):
                yield "href"
        yield from _payload(event["payload"])

    def refuse(self, problem: str) -> Behaviour:
        problem_ = {"status": "invalid event", "message": "Event object is invalid", "errors": [problem]}
        return reply(400, orjson.dumps(problem_))

    def accept(self, received: Received) -> Behaviour:
        event = orjson.loads(received.body)
        self.events.append(event)
        taken = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return reply(202, orjson.dumps(taken))


def _payload(payload: Any) -> Iterator[str]:
    optional = {"timestamp", "component", "group", "class", "custom_details"}
    yield from only_fields(payload, {"summary", "source", "severity"}, optional, where="payload")
    for name in {"summary", "source", "component", "group", "class"} & set(payload):
        if not isinstance(payload[name], str) or not payload[name]:
            yield name
    if len(payload["summary"]) > 1024:
        yield "summary"
    if payload["severity"] not in {"critical", "error", "warning", "info"}:
        yield "severity"
    if datetime.fromisoformat(payload["timestamp"]).tzinfo is None:
        yield "timestamp"
    if not isinstance(payload.get("custom_details", {}), dict):
        yield "custom_details"
