"""Twilio, against a server that is as strict as Twilio's documentation, and against Twilio's own library."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from automations.actions import parse_config
from automations.actions.contract import Choices, Delivery, InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.twilio import TwilioNotification, cut, e164, units
from automations.events import EventType
from automations.http import Http
from tests.actions.conformance import HOSTILE, every_event, texts_of
from tests.actions.stage import LOOPBACK, TLS, Rerouted, delivery, outcome, tools
from tests.harness import Automations
from tests.providers.twilio import ACCOUNT, SERVICE, TOKEN, Twilio, message_to, problem_answer
from tests.receivers import Receiver, hang_up, never_answer, refusing_port, reply

NUMBER = "+15555555555"
SECRETS = {"TWILIO": TOKEN}


@pytest.fixture
def twilio(receiver: Receiver) -> Iterator[Twilio]:
    receiver.behaviour = played = Twilio()
    yield played
    assert played.refused == []


def notification(message: str | None = None, numbers: tuple[str, ...] = (NUMBER,)) -> TwilioNotification:
    return TwilioNotification(
        account_sid=ACCOUNT,
        auth_token_secret="TWILIO",
        messaging_service_sid=SERVICE,
        phone_numbers=list(numbers),
        message=message,
    )


async def send(http: Http, message: str | None = None, **event: Any) -> Sent | Rejected | RetryLater:
    return await outcome(notification(message), delivery(target=NUMBER, **event), tools(http, SECRETS))


async def test_message_tells_what_happened_and_which_automation_sent_it(twilio: Twilio, http: Http) -> None:
    result = await send(http)
    assert isinstance(result, Sent)
    [message] = twilio.messages
    assert message["to"] == NUMBER
    assert message["body"].startswith("Run amber-otter of flow nightly-etl entered state Failed")
    assert message["body"].endswith("\n— Tell the data team")


async def test_host_is_the_operators_choice(twilio: Twilio, receiver: Receiver) -> None:
    async with aclosing(Http(allowed_networks=LOOPBACK, ssl_context=TLS)) as http:
        ready = tools(http, SECRETS, choices=Choices(twilio_url=f"{receiver.url}/"))
        assert isinstance(await outcome(notification(), delivery(target=NUMBER), ready), Sent)
        repeat = delivery(target=NUMBER, may_have_arrived=True)
        assert isinstance(await outcome(notification(), repeat, ready), Sent)
    assert [request.method for request in receiver.requests] == ["POST", "GET"]


async def test_own_message_is_rendered_and_a_test_says_so(twilio: Twilio, http: Http) -> None:
    await send(http, "{flow_name}: {state}", is_test=True)
    assert twilio.messages[0]["body"] == "Test: nightly-etl: Failed\n— Tell the data team"


@pytest.mark.parametrize("kind", HOSTILE)
@every_event
async def test_message_is_valid_for_every_event_and_name(
    twilio: Twilio, http: Http, event_type: EventType, kind: str
) -> None:
    text = HOSTILE[kind]
    assert isinstance(await send(http, event_type=event_type, automation_name=text, **texts_of(event_type, text)), Sent)


@pytest.mark.parametrize(("extra", "length"), [(0, 1600), (1, 1600), (-1, 1599)])
@pytest.mark.parametrize("character", ["x", "🦄"])
async def test_body_is_cut_over_its_limit(twilio: Twilio, http: Http, character: str, extra: int, length: int) -> None:
    room = 1600 - len("\n— Tell the data team") + extra
    text = "a" * (room % 2) + character * (room // units(character) - (0 if character == "🦄" else room % 2))
    await send(http, text)
    body = twilio.messages[0]["body"]
    assert length - 1 <= units(body) <= length
    assert ("…" in body) == (extra > 0)


def test_cut_never_splits_a_character() -> None:
    for most in range(2, 60):
        assert most - 2 <= units(cut("ab🦄c" * 20, most)) <= most


# Numbers


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("(555) 555-5555", "US", "+15555555555"),
        ("555.555.5555", "US", "+15555555555"),
        ("+1 555 555 5555", "DE", "+15555555555"),
        ("020 7183 8750", "GB", "+442071838750"),
        ("+44 (0)20 7183 8750", "US", "+442071838750"),
        ("tel:+1-555-555-5555", "US", "+15555555555"),
        ("1-800-FLOWERS", "US", "+18003569377"),
    ],
)
def test_number_is_read_as_people_write_it(written: str, country: str, number: str) -> None:
    assert e164(written, country) == number


@pytest.mark.parametrize("written", ["", "call me", "555", "+1", "123456789012345678", "+15555555555 ext. 5"])
def test_what_is_no_number_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(InvalidConfig, match=r"is not a phone number; write it with its country, such as \+1"):
        e164(written, "US")


def test_numbers_are_stored_in_e164_each_once_and_are_the_targets() -> None:
    config = asdict(notification()) | {"phone_numbers": ["(555) 555-5555", "+15555555555", "+44 20 7183 8750"]}
    action = parse_config("twilio_notification", config)
    assert isinstance(action, TwilioNotification)
    assert list(action.targets) == action.phone_numbers == ["+15555555555", "+442071838750"]
    british = parse_config("twilio_notification", config | {"phone_numbers": ["020 7183 8750"]}, Choices("GB"))
    assert british.targets == ("+442071838750",)


async def test_saved_action_shows_its_numbers_in_e164(api: Automations) -> None:
    config = asdict(notification()) | {"phone_numbers": ["(555) 555-5555"]}
    await api.write("create_action", config={"twilio_notification": config})
    data = await api.execute("{ action { action_config } }")
    assert data["action"][0]["action_config"]["phone_numbers"] == [NUMBER]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"account_sid": "AC/../x"}, "account_sid"),
        ({"account_sid": SERVICE}, "account_sid must be AC"),
        ({"messaging_service_sid": NUMBER}, "messaging_service_sid must be MG"),
        ({"phone_numbers": []}, "1 to 50"),
        ({"phone_numbers": [f"+1555555{n:04}" for n in range(51)]}, "1 to 50"),
        ({"auth_token_secret": ""}, "auth_token_secret"),
    ],
)
def test_unusable_config_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        parse_config("twilio_notification", asdict(notification()) | change)


async def test_number_that_was_taken_off_the_action_is_not_written_to(twilio: Twilio, http: Http) -> None:
    for target in ("+442071838750", None):
        result = await outcome(notification(), delivery(target=target), tools(http, SECRETS))
        assert isinstance(result, Rejected)
        assert "was changed" in result.reason
    assert twilio.messages == []


# Outcomes


@pytest.mark.parametrize(
    ("status", "code", "outcome_", "unknown"),
    [
        (400, 21211, Rejected, 0),
        (400, 21610, Rejected, 0),
        (401, 20003, Rejected, 0),
        (404, 20404, Rejected, 0),
        (400, 21611, RetryLater, False),
        (429, 21611, RetryLater, False),
        (429, 20429, RetryLater, False),
        (500, 20500, RetryLater, True),
        (503, 20503, RetryLater, True),
    ],
)
async def test_documented_error_has_its_outcome_and_is_told(
    twilio: Twilio, http: Http, status: int, code: int, outcome_: type, unknown: bool
) -> None:
    twilio.answer_next(problem_answer(status, code, "What went wrong"))
    result = await send(http)
    assert isinstance(result, outcome_)
    assert not isinstance(result, Sent)
    assert f"code {code}, What went wrong" in result.reason
    assert not isinstance(result, RetryLater) or result.unknown == unknown


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"sid": null}'])
async def test_answer_without_a_message_is_no_success(twilio: Twilio, http: Http, body: bytes) -> None:
    twilio.answer_next(reply(201, body))
    assert isinstance(await send(http), Rejected)


# After an unknown outcome


def again(**more: Any) -> Delivery:
    return delivery(target=NUMBER, may_have_arrived=True, **more)


async def retry(http: Http, owed: Delivery) -> Sent | Rejected | RetryLater:
    return await outcome(notification(), owed, tools(http, SECRETS))


async def test_message_that_arrived_before_is_not_sent_again(twilio: Twilio, http: Http) -> None:
    assert isinstance(await send(http), Sent)
    result = await retry(http, again())
    assert isinstance(result, Sent)
    assert "not sent again" in (result.note or "")
    assert len(twilio.messages) == 1


@pytest.mark.parametrize(
    "earlier",
    [
        message_to(NUMBER, "another text"),
        message_to("+442071838750", "SAME"),
        message_to(NUMBER, "SAME", datetime.now(UTC) - timedelta(minutes=30)),
    ],
    ids=["another text", "another number", "before it was owed"],
)
async def test_message_that_did_not_arrive_is_sent(
    twilio: Twilio, http: Http, receiver: Receiver, earlier: dict[str, Any]
) -> None:
    await send(http)
    [same] = twilio.messages
    twilio.messages[:] = [earlier | {"body": earlier["body"].replace("SAME", same["body"])}]
    result = await retry(http, again())
    assert isinstance(result, Sent)
    assert result.note is None
    assert twilio.messages[-1]["body"] == same["body"]
    asked = parse_qs(urlsplit(receiver.requests[1].path).query)
    since = datetime.now(UTC) - timedelta(minutes=2)
    assert asked == {"To": [NUMBER], "DateSent>": [f"{since:%Y-%m-%d}"], "PageSize": ["50"]}


async def test_trial_accounts_words_before_the_text_do_not_matter(twilio: Twilio, http: Http) -> None:
    await send(http)
    twilio.messages[0]["body"] = "Sent from your Twilio trial account - " + twilio.messages[0]["body"]
    assert isinstance(await retry(http, again()), Sent)
    assert len(twilio.messages) == 1


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"{}"),
        reply(200, b"no JSON"),
        reply(200, b'{"messages": [1]}'),
        problem_answer(403, 20403, "Forbidden"),
    ],
)
async def test_where_twilio_cannot_tell_one_marked_repeat_is_sent(twilio: Twilio, http: Http, answer: Any) -> None:
    twilio.answer_next(answer)
    assert isinstance(await retry(http, again()), Sent)
    assert twilio.messages[0]["body"].startswith("(Perhaps a repeat) Run amber-otter")


async def test_list_longer_than_a_page_cannot_tell(twilio: Twilio, http: Http) -> None:
    twilio.messages = [message_to(NUMBER, "other") for _ in range(51)]
    assert isinstance(await retry(http, again()), Sent)
    assert twilio.messages[-1]["body"].startswith("(Perhaps a repeat) ")


async def test_unknown_outcome_of_the_marked_repeat_is_final(twilio: Twilio, http: Http) -> None:
    twilio.answer_next(reply(200, b"{}"), hang_up)
    result = await retry(http, again())
    assert isinstance(result, Rejected)
    assert "not repeated again" in result.reason


async def test_rate_limit_of_the_marked_repeat_is_waited_for(twilio: Twilio, http: Http) -> None:
    twilio.answer_next(reply(200, b"{}"), problem_answer(429, 20429, "Too many requests"))
    assert isinstance(await retry(http, again()), RetryLater)


@pytest.mark.parametrize("answer", [reply(429), reply(503), hang_up, never_answer])
async def test_nothing_is_sent_while_twilio_cannot_be_asked(twilio: Twilio, receiver: Receiver, answer: Any) -> None:
    http = Rerouted(receiver.url, 0.4)
    twilio.answer_next(answer)
    result = await retry(http, again())
    await http.aclose()
    assert isinstance(result, RetryLater)
    assert not result.unknown
    assert twilio.messages == []
    assert [received.method for received in receiver.requests] == ["GET"]


async def test_refused_connection_while_asking_is_tried_again() -> None:
    with refusing_port() as port:
        http = Rerouted(f"http://127.0.0.1:{port}")
        assert isinstance(await retry(http, again()), RetryLater)
        await http.aclose()


# Twilio's own library


class ReroutedClient(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own HTTP client, whose requests go to a receiver of the test."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._target = urlsplit(url)

    def request(self, method: str, url: str, *more: Any, **named: Any) -> Any:
        meant = urlsplit(url)
        assert meant.netloc == "api.twilio.com"
        rerouted = urlunsplit((self._target.scheme, self._target.netloc, meant.path, meant.query, ""))
        return super().request(method, rerouted, *more, **named)


async def test_twilios_own_client_sends_and_asks_the_same(twilio: Twilio, http: Http, receiver: Receiver) -> None:
    await send(http, "{flow_name} 🦄 é & + % =")
    [message] = twilio.messages
    await retry(http, again())
    client = Client(ACCOUNT, TOKEN, http_client=ReroutedClient(receiver.url))
    made = await asyncio.to_thread(
        client.messages.create, to=NUMBER, messaging_service_sid=SERVICE, body=message["body"]
    )
    assert made.body == message["body"]
    since = datetime.now(UTC) - timedelta(minutes=2)
    client_asked = await asyncio.to_thread(client.messages.page, to=NUMBER, date_sent_after=since.date(), page_size=50)
    assert next(iter(client_asked)).body == message["body"]
    sent, asked, _, theirs_sent, theirs_asked = receiver.requests
    for ours, theirs in ((sent, theirs_sent), (asked, theirs_asked)):
        assert ours.method == theirs.method
        assert urlsplit(ours.path).path == urlsplit(theirs.path).path
        ours_query, theirs_query = (parse_qs(urlsplit(side.path).query) for side in (ours, theirs))
        # The library gives the start of the day in full, and Twilio's pages the day only.
        theirs_query = {name: [values[0].removesuffix("T00:00:00Z")] for name, values in theirs_query.items()}
        assert ours_query == theirs_query
        assert ours.headers["authorization"] == theirs.headers["authorization"]
        assert parse_qs(ours.body.decode()) == parse_qs(theirs.body.decode())
    assert sent.headers["content-type"] == theirs_sent.headers["content-type"]
