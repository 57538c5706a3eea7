"""PagerDuty, against a server that is as strict as the Events API v2."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from automations.actions.contract import Choices, InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.pagerduty import PagerDutyNotification, dedup_key
from automations.events import EventType
from automations.http import Http
from tests.actions.conformance import HOSTILE, Differences, Subject, echo, every_event, texts_of
from tests.actions.stage import delivery, outcome, tools
from tests.actions.test_conformance import attempt
from tests.providers.pagerduty import ROUTING_KEY, PagerDuty
from tests.receivers import Receiver, reply


@pytest.fixture
def pagerduty(receiver: Receiver) -> Iterator[PagerDuty]:
    receiver.behaviour = played = PagerDuty()
    yield played
    assert played.refused == []


async def send(
    http: Http, message: str | None = None, severity: str = "error", **event: Any
) -> Sent | Rejected | RetryLater:
    action = PagerDutyNotification(routing_key=ROUTING_KEY, severity=severity, message=message)
    return await outcome(action, delivery(**event), tools(http))


async def test_alert_tells_what_happened_where_to_look_and_which_automation_sent_it(
    pagerduty: PagerDuty, http: Http
) -> None:
    assert isinstance(await send(http), Sent)
    [event] = pagerduty.events
    sample = delivery().event
    assert event["payload"]["summary"].startswith("Run amber-otter of flow nightly-etl entered state Failed")
    assert {name: event["payload"][name] for name in ("source", "component", "group", "class", "severity")} == {
        "source": "nightly-etl",
        "component": "amber-otter",
        "group": "acme",
        "class": "Failed",
        "severity": "error",
    }
    assert [item["href"] for item in event["links"]] == [sample["flow_run_link"], sample["flow_link"]]
    assert event["client"] == "Automations: Tell the data team"
    assert event["client_url"] == sample["flow_run_link"]
    assert event["payload"]["custom_details"]["flow_run_id"] == sample["flow_run_id"]
    assert event["payload"]["custom_details"]["automation"] == "Tell the data team"


@pytest.mark.parametrize("severity", ["info", "WARNING", "Error", "cRiTiCaL"])
async def test_severity_is_taken_in_any_case(pagerduty: PagerDuty, http: Http, severity: str) -> None:
    await send(http, severity=severity)
    assert pagerduty.events[0]["payload"]["severity"] == severity.lower()


@pytest.mark.parametrize("kind", HOSTILE)
@every_event
async def test_alert_is_valid_for_every_event_and_name(
    pagerduty: PagerDuty, http: Http, event_type: EventType, kind: str
) -> None:
    text = HOSTILE[kind]
    assert isinstance(await send(http, event_type=event_type, automation_name=text, **texts_of(event_type, text)), Sent)


@pytest.mark.parametrize(("length", "end"), [(1024, "x"), (1025, "…")])
async def test_summary_is_cut_over_its_limit(pagerduty: PagerDuty, http: Http, length: int, end: str) -> None:
    await send(http, "x" * length)
    summary = pagerduty.events[0]["payload"]["summary"]
    assert (len(summary), summary[-1]) == (1024, end)


async def test_alerts_about_one_thing_are_one(pagerduty: PagerDuty, http: Http) -> None:
    action = PagerDutyNotification(routing_key=ROUTING_KEY, severity="error")
    first = delivery()
    for owed in (first, replace(first, number=2), replace(first, id=uuid4(), number=1)):
        assert isinstance(await outcome(action, owed, tools(http)), Sent)
    assert pagerduty.alerts == {"of a test"}
    await outcome(action, replace(first, is_test=True), tools(http))
    assert pagerduty.alerts == {"of a test", "of a test/test"}, "a test is no part of a real alert"
    assert PagerDutyNotification.ORDERED


@pytest.mark.parametrize(("length", "kept"), [(255, 255), (256, 64)])
def test_long_subject_has_a_key_of_its_own_that_is_short_enough(length: int, kept: int) -> None:
    keys = [dedup_key(replace(delivery(), subject="s" * (length - 1) + end)) for end in "ab"]
    assert [len(key) for key in keys] == [kept, kept]
    assert keys[0] != keys[1]


async def test_host_is_the_operators_choice(pagerduty: PagerDuty, http: Http) -> None:
    seen = []

    class Watching(type(http)):  # type: ignore[misc]
        async def request(self, method: str, url: str, **more: Any) -> Any:
            seen.append(url)
            return await http.request(method, url, **more)

    action = PagerDutyNotification(routing_key=ROUTING_KEY, severity="error")
    choices = Choices(pagerduty_url="https://events.eu.pagerduty.com/")
    watching = Watching.__new__(Watching)
    await outcome(action, delivery(), tools(watching, choices=choices))
    await outcome(action, delivery(), tools(watching))
    assert seen == ["https://events.eu.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/enqueue"]


async def test_neither_key_nor_token_is_shown_and_the_token_is_not_even_read(receiver: Receiver, http: Http) -> None:
    action = PagerDutyNotification(routing_key=f" {ROUTING_KEY}\n", severity="info", api_token_secret="TOKEN")
    for status in (202, 400, 500):
        receiver.behaviour = echo(status)
        ended = await attempt(Subject(action, Differences(), "keys"), http)
        assert ended.request is not None
        assert ROUTING_KEY not in f"{ended.request} {ended.answer} {ended.reason}"
    assert ROUTING_KEY not in action.destination
    assert orjson.loads(receiver.requests[0].body)["routing_key"] == ROUTING_KEY
    assert "TOKEN" not in str(receiver.requests)


@pytest.mark.parametrize(
    ("status", "outcome_", "unknown"),
    [(400, Rejected, 0), (404, Rejected, 0), (200, Rejected, 0), (429, RetryLater, False), (500, RetryLater, True)],
)
async def test_documented_answer_has_its_outcome(
    pagerduty: PagerDuty, http: Http, status: int, outcome_: type, unknown: bool
) -> None:
    pagerduty.answer_next(reply(status, b'{"status": "throttle exceeded"}'))
    result = await send(http)
    assert isinstance(result, outcome_)
    assert not isinstance(result, RetryLater) or result.unknown == unknown


@pytest.mark.parametrize(
    ("change", "named"),
    [({"routing_key": " "}, "routing_key"), ({"severity": "fatal"}, "severity must be one of info")],
)
def test_unusable_config_is_refused(change: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        PagerDutyNotification(**{"routing_key": ROUTING_KEY, "severity": "info", **change})
