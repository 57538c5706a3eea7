"""Teams, against a server that is as strict as the documentation of Workflows and Adaptive Cards."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from automations.actions.contract import InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.teams import CARD_BYTES, TeamsWebhookNotification, fit
from automations.events import EventType
from automations.http import Http
from tests.actions.conformance import HOSTILE, every_event, texts_of
from tests.actions.stage import delivery, outcome, tools
from tests.providers.teams import PATH, Teams
from tests.receivers import Receiver, reply

SECRETS = {"TEAMS": f"https://prod-00.westeurope.logic.azure.com{PATH}"}


@pytest.fixture
def teams(receiver: Receiver) -> Iterator[Teams]:
    receiver.behaviour = played = Teams()
    yield played
    assert played.refused == []


async def send(
    http: Http, message: str | None = None, title: str | None = None, **event: Any
) -> Sent | Rejected | RetryLater:
    action = TeamsWebhookNotification(webhook_url_secret="TEAMS", title=title, message=message)
    return await outcome(action, delivery(**event), tools(http, SECRETS))


def runs(card: dict[str, Any]) -> list[str]:
    return [run["text"] for element in card["body"] for run in element.get("inlines", [])]


def facts(card: dict[str, Any]) -> dict[str, str]:
    [found] = [element["facts"] for element in card["body"] if element["type"] == "FactSet"]
    return {fact["title"]: fact["value"] for fact in found}


async def test_card_tells_what_happened_where_to_look_and_which_automation_sent_it(teams: Teams, http: Http) -> None:
    assert isinstance(await send(http), Sent)
    [card] = teams.cards
    title, message, footnote = runs(card)
    assert title == "nightly-etl entered Failed"
    assert message.startswith("Run amber-otter of flow nightly-etl entered state Failed")
    assert footnote == "Sent by the automation Tell the data team"
    assert facts(card) == {
        "Flow": "nightly-etl",
        "Run": "amber-otter",
        "State": "Failed",
        "Reason": "Some reference tasks failed",
    }
    assert card["actions"][0]["url"] == delivery().event["flow_run_link"]


async def test_title_and_message_are_rendered(teams: Teams, http: Http) -> None:
    await send(http, "{state_message}!", "{flow_name} is {state}", is_test=True)
    title, message, footnote = runs(teams.cards[0])
    assert (title, message) == ("nightly-etl is Failed", "Some reference tasks failed!")
    assert footnote.startswith("This is a test.")


@pytest.mark.parametrize("kind", HOSTILE)
@every_event
async def test_card_is_valid_for_every_event_and_name(
    teams: Teams, http: Http, event_type: EventType, kind: str
) -> None:
    text = HOSTILE[kind]
    assert isinstance(await send(http, event_type=event_type, automation_name=text, **texts_of(event_type, text)), Sent)


async def test_names_are_not_read_as_markdown(teams: Teams, http: Http) -> None:
    await send(http, flow_name="[log in](https://evil.example) *now* my_flow")
    [card] = teams.cards
    assert facts(card)["Flow"] == r"\[log in\](https://evil.example) \*now\* my_flow"
    assert "TextBlock" not in {element["type"] for element in card["body"]}, "only runs are never Markdown"


@pytest.mark.parametrize("character", ["x", "é", "🦄", '"', "\\", "\n", "\t"])
async def test_long_message_is_cut_and_the_card_stays_whole(
    teams: Teams, http: Http, receiver: Receiver, character: str
) -> None:
    long = "a" + character * 50_000 + "z"
    assert isinstance(await send(http, "{state_message}", state_message=long, flow_name=long, flow_run_name=long), Sent)
    size = len(receiver.requests[0].body)
    assert CARD_BYTES - 8 <= size <= CARD_BYTES
    assert runs(teams.cards[0])[1].endswith("…")


async def test_text_that_just_fits_is_sent_whole(teams: Teams, http: Http, receiver: Receiver) -> None:
    await send(http, "x")
    room = CARD_BYTES - len(receiver.requests[0].body) + 1
    await send(http, "x" * room)
    await send(http, "x" * (room + 1))
    assert len(receiver.requests[1].body) == CARD_BYTES
    assert [runs(card)[1][-1] for card in teams.cards] == ["x", "x", "…"]


@pytest.mark.parametrize("size", range(3, 40))
def test_cut_text_fills_the_room_it_has(size: int) -> None:
    text = fit('aé"\\\n🦄' * 10, size)
    assert size - 5 <= len(orjson.dumps(text)) - 2 <= size


@pytest.mark.parametrize(
    ("status", "body", "outcome_", "unknown"),
    [
        (
            200,
            b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413",
            Rejected,
            0,
        ),
        (200, b"Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0", RetryLater, False),
        (200, b"Microsoft Teams endpoint returned HTTP error 503", RetryLater, True),
        (200, b"1", Sent, 0),
        (202, b"", Sent, 0),
        (400, b'{"error": {"code": "TriggerInputSchemaMismatch"}}', Rejected, 0),
        (401, b'{"error": {"code": "DirectApiAuthorizationRequired"}}', Rejected, 0),
        (403, b"", Rejected, 0),
        (404, b'{"error": {"code": "WorkflowNotFound"}}', Rejected, 0),
        (413, b"", Rejected, 0),
        (429, b"", RetryLater, False),
        (502, b'{"error": {"code": "NoResponse"}}', RetryLater, True),
    ],
)
async def test_documented_answer_has_its_outcome(
    teams: Teams, http: Http, status: int, body: bytes, outcome_: type, unknown: bool
) -> None:
    teams.answer_next(reply(status, body, {"Retry-After": "7"}))
    result = await send(http)
    assert isinstance(result, outcome_)
    if isinstance(result, RetryLater):
        assert (result.unknown, result.after) == (unknown, 7)


def test_secret_needs_a_name() -> None:
    with pytest.raises(InvalidConfig, match="webhook_url_secret"):
        TeamsWebhookNotification(webhook_url_secret=" ")
