"""Slack, against a server that is as strict as Slack's documentation, and against Slack's own library."""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.webhook import WebhookClient

from automations.actions.contract import InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.slack import SlackNotification, clip, escape
from automations.events import AGENT_SLA_FAILED, FLOW_RUN_STATE_CHANGED, FLOW_SLA_FAILED, EventType, sample_event
from automations.http import Http
from tests.actions.conformance import HOSTILE, every_event, texts_of
from tests.actions.stage import delivery, outcome, tools
from tests.providers.slack import ESCAPED, PATH, Slack, texts
from tests.receivers import Receiver, reply

SECRETS = {"SLACK": f"https://hooks.slack.com{PATH}"}


@pytest.fixture
def slack(receiver: Receiver) -> Iterator[Slack]:
    receiver.behaviour = played = Slack()
    yield played
    assert played.refused == []


async def send(http: Http, message: str | None = None, **event: Any) -> Sent | Rejected | RetryLater:
    action = SlackNotification(webhook_url_secret="SLACK", message=message)
    return await outcome(action, delivery(**event), tools(http, SECRETS))


def text_of(message: dict[str, Any]) -> str:
    return str(message["blocks"][1]["text"]["text"])


async def test_default_message_tells_what_happened_and_which_automation_sent_it(slack: Slack, http: Http) -> None:
    assert isinstance(await send(http, automation_name="Tell <us>"), Sent)
    [message] = slack.messages
    assert "Run amber-otter of flow nightly-etl entered state Failed" in message["text"]
    assert text_of(message) == message["text"]
    title, _, facts, button, context = message["blocks"]
    assert title["text"]["text"] == ":red_circle: *nightly-etl entered Failed*"
    assert [field["text"] for field in facts["fields"]] == [
        "*Flow*\nnightly-etl",
        "*Run*\namber-otter",
        "*State*\nFailed",
        "*Reason*\nSome reference tasks failed",
    ]
    assert button["elements"][0]["url"] == delivery().event["flow_run_link"]
    assert context["elements"][0]["text"] == "Sent by the automation *Tell &lt;us&gt;*"


async def test_late_run_and_missing_agents_have_facts_of_their_own(slack: Slack, http: Http) -> None:
    assert isinstance(await send(http, event_type=FLOW_SLA_FAILED), Sent)
    assert isinstance(await send(http, event_type=AGENT_SLA_FAILED), Sent)
    late, agents = (list(texts(message["blocks"])) for message in slack.messages)
    assert ":arrow_forward: *nightly-etl missed its SLA*" in late
    assert {"*SLA*\nSTARTED_NOT_FINISHED", "*After*\n600 seconds"} <= set(late)
    assert ":bell: *Too few healthy agents*" in agents
    assert "*Unhealthy agents*\n91b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c07" in agents
    assert [block["type"] for block in slack.messages[1]["blocks"]] == ["section", "section", "section", "context"]


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "http://x/a b", "file:///etc/passwd", "", "https://x/\n<!here>"]
)
async def test_only_a_web_address_gets_a_button(slack: Slack, http: Http, link: str) -> None:
    assert isinstance(await send(http, "{flow_name}", flow_run_link=link), Sent)
    assert "actions" not in {block["type"] for block in slack.messages[0]["blocks"]}


async def test_own_message_is_rendered(slack: Slack, http: Http) -> None:
    await send(http, "{flow_name}: {state}!")
    assert slack.messages[0]["text"] == "nightly-etl: Failed!"


@pytest.mark.parametrize(
    ("state", "emoji"),
    [("Success", "white_check_mark"), ("Running", "arrow_forward"), ("Cancelled", "no_entry_sign"), ("New", "bell")],
)
async def test_state_has_its_emoji(slack: Slack, http: Http, state: str, emoji: str) -> None:
    await send(http, state=state)
    assert slack.messages[0]["blocks"][0]["text"]["text"].startswith(f":{emoji}: ")


async def test_names_cannot_call_everybody(slack: Slack, http: Http) -> None:
    await send(http, flow_name="<!channel>", state_message="<@U1> & <https://evil.example|log in>")
    text = slack.messages[0]["text"]
    assert "&lt;!channel&gt;" in text
    assert "&lt;@U1&gt; &amp; &lt;https://evil.example|log in&gt;" in text


@pytest.mark.parametrize("character", ["x", "<", "&", "🦄"])
async def test_longest_texts_are_cut_to_what_slack_takes(slack: Slack, http: Http, character: str) -> None:
    long = character * 20_000
    names = {"flow_name": long, "flow_run_name": long, "state": long, "kind": long, "duration_seconds": long}
    for event_type in (FLOW_RUN_STATE_CHANGED, FLOW_SLA_FAILED):
        changes = {"state_message": long, "automation_name": long, **names}
        assert isinstance(await send(http, event_type=event_type, **changes), Sent)
        assert text_of(slack.messages[-1]).endswith("…")
        assert 2990 <= len(text_of(slack.messages[-1])) <= 3000


@pytest.mark.parametrize(("length", "end"), [(3000, "x"), (3001, "…")])
async def test_limit_itself_is_still_sent_whole(slack: Slack, http: Http, length: int, end: str) -> None:
    await send(http, "x" * length)
    assert len(text_of(slack.messages[0])) == 3000
    assert text_of(slack.messages[0]).endswith(end)


async def test_message_that_renders_to_nothing_is_still_taken(slack: Slack, http: Http) -> None:
    assert isinstance(await send(http, "{state_message}", state_message=""), Sent)


async def test_test_message_says_so(slack: Slack, http: Http) -> None:
    await send(http, is_test=True)
    assert "This is a test" in slack.messages[0]["blocks"][-1]["elements"][0]["text"]


@pytest.mark.parametrize("kind", HOSTILE)
@every_event
async def test_slacks_own_models_find_the_blocks_valid(
    slack: Slack, http: Http, event_type: EventType, kind: str
) -> None:
    text = HOSTILE[kind]
    assert isinstance(await send(http, event_type=event_type, automation_name=text, **texts_of(event_type, text)), Sent)
    [message] = slack.messages
    for block in message["blocks"]:
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
        assert {**parsed.to_dict(), "block_id": None} == {**block, "block_id": None}


async def test_slacks_own_client_sends_the_same(slack: Slack, http: Http, receiver: Receiver) -> None:
    await send(http, "{flow_name} 🦄 <&>")
    [message] = slack.messages
    client = WebhookClient(f"{receiver.url}{PATH}")
    answer = await asyncio.to_thread(client.send, text=message["text"], blocks=message["blocks"])
    assert answer.body == "ok"
    ours, theirs = receiver.requests
    assert orjson.loads(ours.body) == orjson.loads(theirs.body)
    assert ours.headers["content-type"].lower() == theirs.headers["content-type"].lower().replace(
        ";charset", "; charset"
    )


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


async def test_authors_links_and_mentions_are_kept_and_those_of_runs_are_not(slack: Slack, http: Http) -> None:
    await send(
        http,
        "<!here> <{flow_run_link}|open> <https://wiki.example/a?b&c|wiki> a < b & {state_message}",
        state_message="<!channel> <https://evil.example|click>",
    )
    [message] = slack.messages
    link = sample_event(FLOW_RUN_STATE_CHANGED)["flow_run_link"]
    assert message["text"] == (
        f"<!here> <{link}|open> <https://wiki.example/a?b&c|wiki> a &lt; b &amp; "
        "&lt;!channel&gt; &lt;https://evil.example|click&gt;"
    )


def test_link_is_never_cut_in_half() -> None:
    assert clip("see <https://wiki.example/a|the wiki> now", 20) == "see …"
