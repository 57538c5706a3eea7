"""Slack, against a server that is as strict as Slack's documentation.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, https://docs.slack.dev/reference/block-kit
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from automations.actions.contract import InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.slack import SlackNotification, clip, escape
from automations.events import AGENT_SLA_FAILED, FLOW_SLA_FAILED
from automations.http import Http
from tests.actions.stage import Rerouted, delivery, outcome, tools
from tests.receivers import Received, Receiver, reply

SECRETS = {"SLACK": "https://hooks.slack.com/services/T000/B000/XXXX"}
# What is left of a text that escapes & < > as Slack asks: https://docs.slack.dev/messaging/formatting-message-text
ESCAPED = re.compile(r"(?:[^&<>]|&(?:amp|lt|gt);)*")


class Slack:
    """Plays an incoming webhook: takes what Slack takes and answers as Slack does."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refused: list[str] = []

    async def __call__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        problem = self._problem(received)
        if problem is None:
            await reply(200, b"ok", {"Content-Type": "text/html"})(received, writer)
        else:
            self.refused.append(problem)
            await reply(400, b"invalid_payload", {"Content-Type": "text/html"})(received, writer)

    def _problem(self, received: Received) -> str | None:
        message = orjson.loads(received.body)
        blocks = message.get("blocks", [])
        texts = [text for block in blocks for text in _texts(block)]
        rules = {
            "no_service": received.path == "/services/T000/B000/XXXX",
            "content type": received.headers["content-type"].split(";")[0] == "application/json",
            "fields": set(message) == {"text", "blocks"},
            "no_text": isinstance(message.get("text"), str) and 0 < len(message["text"].strip()) <= 40_000,
            "number of blocks": 1 <= len(blocks) <= 50,
            "blocks": None not in texts,
            "characters": sum(len(text or "") for text in texts) <= 12_000,
            "escapes": all(ESCAPED.fullmatch(text or "") for text in (message.get("text"), *texts)),
        }
        self.messages.append(message)
        return next((rule for rule, is_kept in rules.items() if not is_kept), None)


def _texts(block: dict[str, Any]) -> list[str | None]:
    """The texts of a block, None among them where the block is not as documented."""
    match block:
        case {"type": "section", "text": {"type": "mrkdwn", "text": str(text), **more}, **rest} if (
            not rest and not more
        ):
            return [text if 1 <= len(text) <= 3000 else None]
        case {"type": "header", "text": {"type": "plain_text", "text": str(text), **more}, **rest} if not rest:
            return [text if 1 <= len(text) <= 150 and set(more) <= {"emoji"} else None]
        case {"type": "context", "elements": list(elements), **rest} if not rest and 1 <= len(elements) <= 10:
            return [
                element["text"]
                if set(element) == {"type", "text"}
                and element["type"] == "mrkdwn"
                and 1 <= len(element["text"]) <= 3000
                else None
                for element in elements
            ]
        case {"type": "divider", **rest} if not rest:
            return []
    return [None]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
def slack(receiver: Receiver) -> Slack:
    receiver.behaviour = played = Slack()
    return played


@pytest.fixture
async def http(receiver: Receiver) -> AsyncIterator[Http]:
    client = Rerouted(receiver.url)
    yield client
    await client.aclose()


async def send(http: Http, message: str | None = None, **event: Any) -> Sent | Rejected | RetryLater:
    action = SlackNotification(webhook_url_secret="SLACK", message=message)
    return await outcome(action, delivery(**event), tools(http, SECRETS))


def text_of(message: dict[str, Any]) -> str:
    return str(message["blocks"][0]["text"]["text"])


async def test_default_message_tells_what_happened_and_which_automation_sent_it(slack: Slack, http: Http) -> None:
    assert isinstance(await send(http, automation_name="Tell <us>"), Sent)
    [message] = slack.messages
    assert "Run amber-otter of flow nightly-etl entered state Failed" in message["text"]
    assert text_of(message) == f":red_circle: {message['text']}"
    assert message["blocks"][1]["elements"][0]["text"] == "Sent by the automation *Tell &lt;us&gt;*"


@pytest.mark.parametrize("event_type", [FLOW_SLA_FAILED, AGENT_SLA_FAILED], ids=lambda event_type: event_type.key)
async def test_every_event_has_a_message(slack: Slack, http: Http, event_type: Any) -> None:
    assert isinstance(await send(http, event_type=event_type), Sent)
    assert slack.messages[0]["text"]


async def test_own_message_is_rendered(slack: Slack, http: Http) -> None:
    await send(http, "{flow_name}: {state}!")
    assert slack.messages[0]["text"] == "nightly-etl: Failed!"


@pytest.mark.parametrize(
    ("state", "emoji"),
    [("Success", "white_check_mark"), ("Running", "arrow_forward"), ("Cancelled", "no_entry_sign"), ("New", "bell")],
)
async def test_state_has_its_emoji(slack: Slack, http: Http, state: str, emoji: str) -> None:
    await send(http, state=state)
    assert text_of(slack.messages[0]).startswith(f":{emoji}: ")


async def test_names_cannot_call_everybody(slack: Slack, http: Http) -> None:
    await send(http, flow_name="<!channel>", state_message="<@U1> & <https://evil.example|log in>")
    text = slack.messages[0]["text"]
    assert "&lt;!channel&gt;" in text
    assert "&lt;@U1&gt; &amp; &lt;https://evil.example|log in&gt;" in text


@pytest.mark.parametrize("character", ["x", "<", "&", "🦄"])
async def test_long_message_is_cut_to_what_slack_takes(slack: Slack, http: Http, character: str) -> None:
    assert isinstance(await send(http, state_message=character * 20_000), Sent)
    text = text_of(slack.messages[0])
    assert text.endswith("…")
    assert 2990 <= len(text) <= 3000


async def test_message_that_renders_to_nothing_is_still_taken(slack: Slack, http: Http) -> None:
    assert isinstance(await send(http, "{state_message}", state_message=""), Sent)
    assert slack.refused == []


async def test_test_message_says_so(slack: Slack, http: Http) -> None:
    await send(http, is_test=True)
    assert "This is a test" in slack.messages[0]["blocks"][1]["elements"][0]["text"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"invalid_payload"),
        (403, b"action_prohibited"),
        (403, b"invalid_token"),
        (404, b"channel_not_found"),
        (404, b"no_service"),
        (410, b"channel_is_archived"),
        (200, b"<html>Sign in to the proxy</html>"),
        (200, b"invalid_payload"),
        (200, b""),
    ],
)
async def test_documented_error_is_final_and_kept(receiver: Receiver, http: Http, status: int, body: bytes) -> None:
    receiver.behaviour = reply(status, body)
    result = await send(http)
    assert isinstance(result, Rejected)
    assert result.answer is not None
    assert (result.answer.status_code, result.answer.body) == (status, body)


async def test_rate_limit_is_waited_for(receiver: Receiver, http: Http) -> None:
    receiver.behaviour = reply(429, b"rate_limited", {"Retry-After": "30"})
    result = await send(http)
    assert isinstance(result, RetryLater)
    assert (result.after, result.unknown) == (30, False)


async def test_server_error_is_tried_again_although_it_may_post_twice(receiver: Receiver, http: Http) -> None:
    receiver.behaviour = reply(503, b"service_unavailable")
    result = await send(http)
    assert isinstance(result, RetryLater)
    assert result.unknown


async def test_blanks_around_the_url_do_not_matter(slack: Slack, http: Http) -> None:
    action = SlackNotification(webhook_url_secret="SLACK")
    secrets = {"SLACK": f" {SECRETS['SLACK']}\n"}
    assert isinstance(await outcome(action, delivery(), tools(http, secrets)), Sent)
    assert len(slack.messages) == 1


@pytest.mark.parametrize("url", ["hooks.slack.com/services/T/B/X", "not a url", "", "https://user:pw@hooks.slack.com/"])
async def test_unusable_url_is_refused_without_being_shown(slack: Slack, http: Http, url: str) -> None:
    result = await outcome(SlackNotification(webhook_url_secret="SLACK"), delivery(), tools(http, {"SLACK": url}))
    assert isinstance(result, Rejected)
    assert "services" not in result.reason
    assert "pw" not in result.reason


@pytest.mark.parametrize("name", ["", "  "])
def test_secret_needs_a_name(name: str) -> None:
    with pytest.raises(InvalidConfig, match="webhook_url_secret"):
        SlackNotification(webhook_url_secret=name)


@pytest.mark.parametrize("length", range(1, 40))
def test_cut_never_leaves_half_an_escape(length: int) -> None:
    cut = clip(escape("a<b>&c" * 10), length)
    assert len(cut) <= length
    assert ESCAPED.fullmatch(cut)
