"""What notifications say of an event beside their message."""

import pytest

from automations.actions.wording import facts, headline, link, one_line, shorten, web_address
from automations.events import AGENT_SLA_FAILED, EVENT_TYPES, FLOW_SLA_FAILED, SERVER_PROBLEM, sample_event
from tests.actions.conformance import HOSTILE


def test_every_event_has_a_headline_and_facts() -> None:
    assert [headline(sample_event(event_type)) for event_type in EVENT_TYPES.values()] == [
        "nightly-etl entered Failed",
        "nightly-etl missed its SLA",
        "Too few healthy agents",
        "Automations has a problem: a secret is missing",
    ]
    for event_type in EVENT_TYPES.values():
        assert len(facts(sample_event(event_type))) >= 3


def test_facts_are_those_of_the_event() -> None:
    assert dict(facts(sample_event(FLOW_SLA_FAILED)))["After"] == "600 seconds"
    assert dict(facts(sample_event(AGENT_SLA_FAILED))) == {
        "Agents": "kubernetes-eu",
        "Agent config": "a4b5c6d7-e8f9-4a0b-9c1d-2e3f4a5b6c08",
        "Healthy agents needed": "1",
        "Unhealthy agents": "91b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c07",
    }
    assert dict(facts(sample_event(SERVER_PROBLEM))) == {
        "Problem": 'An action uses the secret "SLACK_URL", which does not exist: set it, or sending fails.',
        "Affected": "SLACK_URL",
        "Since": "2026-11-23T09:30:00+00:00",
    }


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_are_one_line_of_printable_text(text: str) -> None:
    line = one_line(text, 100)
    assert len(line) <= 100
    assert not set(line) & set("\r\n\0\x1b\u202e\u2066")


@pytest.mark.parametrize(("length", "shown"), [(4, "xxxx"), (5, "xxxxx"), (6, "xxxx…")])
def test_text_is_cut_over_its_limit(length: int, shown: str) -> None:
    assert shorten("x" * length, 5) == shown


@pytest.mark.parametrize(
    "value",
    [None, 1, "", "javascript:alert(1)", "//x", "https://", "https://x y", 'https://x"', "https://x\n", "ftp://x"],
)
def test_only_web_addresses_become_links(value: object) -> None:
    assert web_address(value) is None


def test_agent_event_has_no_run_to_open() -> None:
    assert link(sample_event(AGENT_SLA_FAILED)) is None
    assert str(link(sample_event(FLOW_SLA_FAILED))).startswith("https://")
