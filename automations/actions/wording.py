"""What notifications say of an event beside their message: a headline, facts, a link. Pure, and without any markup."""

import re
from collections.abc import Mapping
from typing import Any

from automations.events import AGENT_SLA_FAILED, FLOW_SLA_FAILED, SERVER_PROBLEM
from automations.health import PROBLEMS

_FACTS = {
    "Flow": "flow_name",
    "Run": "flow_run_name",
    "State": "state",
    "Reason": "state_message",
    "SLA": "kind",
    "After": "duration_seconds",
    "Agents": "agent_config_name",
    "Agent config": "agent_config_id",
    "Healthy agents needed": "sla_min_healthy",
    "Unhealthy agents": "unhealthy_agent_ids",
    "Problem": "problem_message",
    "Affected": "affected",
    "Since": "since",
}
# What is no text: control characters, and the marks that turn the direction of what follows them.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


def headline(event: Mapping[str, Any], characters: int = 150) -> str:
    """What happened, in a line."""
    match event.get("event_name"):
        case FLOW_SLA_FAILED.name:
            text = f"{event.get('flow_name')} missed its SLA"
        case AGENT_SLA_FAILED.name:
            text = "Too few healthy agents"
        case SERVER_PROBLEM.name:
            text = f"Automations has a problem: {PROBLEMS.get(str(event.get('problem')), event.get('problem'))}"
        case _:
            text = f"{event.get('flow_name')} entered {event.get('state')}"
    return one_line(text, characters)


def facts(event: Mapping[str, Any], characters: int = 300) -> list[tuple[str, str]]:
    """Names and values of what the event has, each value in one line."""
    found = ((title, one_line(_text(name, event.get(name)), characters)) for title, name in _FACTS.items())
    return [(title, value) for title, value in found if value]


def link(event: Mapping[str, Any]) -> str | None:
    """The page of the event's run, where it has one that a browser opens."""
    return web_address(event.get("flow_run_link"))


def web_address(value: object) -> str | None:
    """The value, if it is an http or https address: nothing else may become a link."""
    if isinstance(value, str) and re.fullmatch(r"https?://[^\s\x00-\x20<>\"|\\^`{}]{1,2000}", value):
        return value
    return None


def sent_by(automation_name: str, *, is_test: bool) -> str:
    """Which automation this comes from, in a line."""
    return f"{'This is a test. ' if is_test else ''}Sent by the automation {one_line(automation_name, 200)}"


def one_line(text: str, characters: int) -> str:
    """A text of so many characters at most, without line breaks and without what is not printed."""
    return shorten(" ".join(printable(text[: characters * 4]).split()), characters)


def printable(text: str) -> str:
    """The text without control characters; tabs and line breaks stay."""
    return _UNPRINTABLE.sub("", text)


def shorten(text: str, characters: int) -> str:
    """At most so many characters, with an ellipsis where some were cut."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value} seconds" if name == "duration_seconds" else str(value)
