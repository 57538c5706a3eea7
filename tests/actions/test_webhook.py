"""Webhooks, against a receiver that verifies them with the library of Standard Webhooks."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from automations.actions import parse_config
from automations.actions.contract import InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.webhook import BODY_BYTES, Webhook, sign
from automations.http import Http
from tests.actions.conformance import every_event
from tests.actions.stage import Rerouted, delivery, outcome, tools
from tests.receivers import Received, Receiver, reply

URL = "https://hooks.example.com/runs?team=data"
KEY, OTHER_KEY = (f"whsec_{base64.b64encode(letter * 32).decode()}" for letter in (b"a", b"b"))


class StrictReceiver:
    """Takes only requests that are signed with its key."""

    def __init__(self, key: str) -> None:
        self._verifier = Verifier(key)
        self.verified: list[Any] = []

    async def __call__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        try:
            self.verified.append(self._verifier.verify(received.body, dict(received.headers)))
        except WebhookVerificationError as error:
            await reply(401, str(error).encode())(received, writer)
        else:
            await reply(204, b"")(received, writer)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def http(receiver: Receiver) -> AsyncIterator[Http]:
    client = Rerouted(receiver.url)
    yield client
    await client.aclose()


async def send(
    http: Http, secrets: dict[str, str] | None = None, /, event: dict[str, Any] | None = None, **config: Any
) -> Sent | Rejected | RetryLater:
    action = parse_config("webhook", {"url": URL, **config})
    return await outcome(action, delivery(**(event or {})), tools(http, secrets))


# Signatures


def test_published_vector_is_signed_as_published() -> None:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_signed_webhook_is_verified_by_its_receiver(receiver: Receiver, http: Http) -> None:
    receiver.behaviour = strict = StrictReceiver(KEY)
    result = await send(http, {"SIGN": KEY}, signing_secret="SIGN", payload={"run": "{flow_run_name} ✓"})
    assert isinstance(result, Sent)
    assert strict.verified == [{"run": "amber-otter ✓"}]


async def test_receivers_of_the_old_and_the_new_key_verify_while_keys_rotate(receiver: Receiver, http: Http) -> None:
    for key in (KEY, OTHER_KEY):
        receiver.behaviour = strict = StrictReceiver(key)
        assert isinstance(await send(http, {"SIGN": f"{OTHER_KEY}\n {KEY} "}, signing_secret="SIGN"), Sent)
        assert len(strict.verified) == 1


async def test_other_key_is_refused_by_the_receiver(receiver: Receiver, http: Http) -> None:
    receiver.behaviour = StrictReceiver(OTHER_KEY)
    result = await send(http, {"SIGN": KEY}, signing_secret="SIGN")
    assert isinstance(result, Rejected)
    assert result.answer is not None
    assert result.answer.status_code == 401


async def test_retry_has_the_same_id_and_a_timestamp_of_its_own(receiver: Receiver, http: Http) -> None:
    action = Webhook(url=URL, signing_secret="SIGN")
    owed = delivery()
    for _ in range(2):
        await outcome(action, owed, tools(http, {"SIGN": KEY}))
    ids = [received.headers["webhook-id"] for received in receiver.requests]
    assert ids == [str(owed.id)] * 2
    for received in receiver.requests:
        assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
        assert received.headers["x-prefect-event-id"] == owed.event["id"]


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "   ",
        "whsec_",
        "whsec_!!!!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_" + base64.b64encode(b"x" * 32).decode().rstrip("="),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_ключключключключключключключключ",
        f"{KEY} whsec_short",
        "whsk_" + base64.b64encode(b"x" * 32).decode(),
    ],
)
async def test_malformed_signing_secret_is_refused_without_being_shown(
    receiver: Receiver, http: Http, secret: str
) -> None:
    result = await send(http, {"SIGN": secret}, signing_secret="SIGN")
    assert isinstance(result, Rejected)
    assert "whsec_" in result.reason
    assert not any(len(word) > 12 for word in result.reason.split())
    assert receiver.requests == []


@pytest.mark.parametrize("length", [24, 64])
async def test_shortest_and_longest_key_sign(receiver: Receiver, http: Http, length: int) -> None:
    key = f"whsec_{base64.b64encode(b'k' * length).decode()}"
    receiver.behaviour = StrictReceiver(key)
    assert isinstance(await send(http, {"SIGN": key}, signing_secret="SIGN"), Sent)


async def test_webhook_without_a_signing_secret_has_no_signature(receiver: Receiver, http: Http) -> None:
    await send(http)
    assert "webhook-signature" not in receiver.requests[0].headers


# Bodies


@every_event
async def test_no_payload_means_all_of_the_event(receiver: Receiver, http: Http, event_type: Any) -> None:
    owed = delivery(event_type)
    await outcome(Webhook(url=URL), owed, tools(http))
    assert orjson.loads(receiver.requests[0].body) == owed.event
    assert set(owed.event) == set(event_type.attributes)


async def test_templates_are_rendered_in_keys_and_values(receiver: Receiver, http: Http) -> None:
    payload = {
        "{flow_name}": ["{state}", {"deep": "{flow_run_name}"}],
        "n": 1,
        "none": None,
        "brace": "{{}}",
        "x": "{state}{state}",
    }
    await send(http, payload=payload)
    assert orjson.loads(receiver.requests[0].body) == {
        "nightly-etl": ["Failed", {"deep": "amber-otter"}],
        "n": 1,
        "none": None,
        "brace": "{}",
        "x": "FailedFailed",
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('{"run": "{flow_run_name}"}', {"run": "amber-otter"}),
        ('["{state}", 1]', ["Failed", 1]),
        ('"{state}"', "Failed"),
        ("{state}: {flow_name}", "Failed: nightly-etl"),
        ("", ""),
        ("0", 0),
        ("false", False),
        ([], []),
    ],
)
async def test_payload_may_be_json_in_a_string(receiver: Receiver, http: Http, given: Any, sent: Any) -> None:
    await send(http, payload=given)
    assert orjson.loads(receiver.requests[0].body) == sent


async def test_values_of_the_event_are_never_templates(receiver: Receiver, http: Http) -> None:
    await send(http, event={"flow_name": "{state_message}"}, payload={"flow": "{flow_name}"})
    assert orjson.loads(receiver.requests[0].body) == {"flow": "{state_message}"}


async def test_long_texts_are_cut_where_the_body_would_be_too_long(receiver: Receiver, http: Http) -> None:
    result = await send(http, event={"state_message": "x" * 400_000})
    assert isinstance(result, Sent)
    body = orjson.loads(receiver.requests[0].body)
    assert body["state_message"] == "x" * 8000
    assert body["flow_name"] == "nightly-etl"


async def test_body_of_the_longest_size_is_sent_whole(receiver: Receiver, http: Http) -> None:
    assert isinstance(await send(http, payload="x" * (BODY_BYTES - 2)), Sent)
    assert len(receiver.requests[0].body) == BODY_BYTES


async def test_payload_too_long_by_itself_is_refused_with_its_size(receiver: Receiver, http: Http) -> None:
    result = await send(http, payload="x" * (BODY_BYTES - 1))
    assert isinstance(result, Rejected)
    assert str(BODY_BYTES + 1) in result.reason
    assert receiver.requests == []


# Headers


async def test_headers_are_rendered_and_sent(receiver: Receiver, http: Http) -> None:
    await send(
        http, headers={"X-Flow": "{flow_name}", "Authorization": "Bearer {{abc}}", "Content-Type": "text/x-json"}
    )
    headers = receiver.requests[0].headers
    assert (headers["x-flow"], headers["authorization"]) == ("nightly-etl", "Bearer {abc}")
    assert headers["content-type"] == "text/x-json"


async def test_headers_may_be_json_in_a_string(receiver: Receiver, http: Http) -> None:
    await send(http, headers='{"X-Flow": "{flow_name}"}')
    assert receiver.requests[0].headers["x-flow"] == "nightly-etl"


async def test_value_in_a_header_keeps_to_its_line(receiver: Receiver, http: Http) -> None:
    await send(http, event={"flow_name": "a\r\nX-Evil: 1\0b"}, headers={"X-Flow": "{flow_name}"})
    assert receiver.requests[0].headers["x-flow"] == "a X-Evil: 1 b"


async def test_long_value_in_a_header_is_cut(receiver: Receiver, http: Http) -> None:
    await send(http, event={"state_message": "é" * 100_000}, headers={"X-A": "{state_message}", "X-B": "{message}"})
    assert len(receiver.requests[0].headers["x-a"].encode("latin-1").decode()) == 2000


@pytest.mark.parametrize(
    "headers",
    [
        {"Webhook-Id": "1"},
        {"webhook-timestamp": "1"},
        {"WEBHOOK-SIGNATURE": "v1,x"},
        {"X-PREFECT-EVENT-ID": "1"},
        {"Host": "other.example"},
        {"Content-Length": "1"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"Proxy-Authorization": "x"},
        {"X Y": "1"},
        {"X-{flow_name}": "1"},
        {"": "1"},
        {"X-Y": "a\r\nb"},
        {"X-Y": 1},
        {"X-Y": None},
        ["X-Y"],
        "X-Y: 1",
        {"X-Y": "x" * 40_000},
    ],
    ids=str,
)
def test_header_that_is_not_ones_own_is_refused(headers: Any) -> None:
    with pytest.raises(InvalidConfig):
        parse_config("webhook", {"url": URL, "headers": headers})


async def test_request_is_recorded_without_what_proves_it(receiver: Receiver, http: Http) -> None:
    used = tools(http, {"SIGN": KEY})
    await Webhook(url=URL, signing_secret="SIGN", payload={"a": 1}, headers={"X-A": "b"}).run(delivery(), used)
    assert used.request == {
        "body": {"a": 1},
        "headers": {
            "content-type": "application/json",
            "x-automations-automation": "Tell the data team",
            "x-a": "(hidden)",
        },
    }


# Where to


async def test_url_may_be_a_secret(receiver: Receiver, http: Http) -> None:
    action = Webhook(url_secret="HOOK")
    result = await outcome(action, delivery(), tools(http, {"HOOK": " https://hooks.example.com/in?key=1\n"}))
    assert isinstance(result, Sent)
    assert receiver.requests[0].path == "/in?key=1"


@pytest.mark.parametrize(
    "config", [{}, {"url": URL, "url_secret": "HOOK"}, {"url": ""}, {"url": None, "url_secret": ""}]
)
def test_webhook_takes_one_url(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="url"):
        parse_config("webhook", config)


async def test_empty_url_beside_a_secret_one_does_not_count(receiver: Receiver, http: Http) -> None:
    action = Webhook(url="", url_secret="HOOK")
    assert action.destination == "webhook:secret:HOOK"
    assert isinstance(await outcome(action, delivery(), tools(http, {"HOOK": URL})), Sent)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "example.com",
        "https://a:b@example.com/",
        "https://example.com:25/",
        "https:///x",
        "https://a b/",
    ],
)
def test_url_that_can_never_be_called_is_refused_when_it_is_saved(url: str) -> None:
    with pytest.raises(InvalidConfig):
        Webhook(url=url)


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://Hooks.Example.com/a?key=1", "webhook:https://hooks.example.com:https"),
        ("https://hooks.example.com:8443/b", "webhook:https://hooks.example.com:8443"),
        ("http://hooks.example.com/a", "webhook:http://hooks.example.com:http"),
        ("https://[2606:4700::1111]/", "webhook:https://2606:4700::1111:https"),
    ],
)
def test_webhooks_of_one_server_share_a_destination(url: str, destination: str) -> None:
    assert Webhook(url=url).destination == destination


async def test_headers_say_which_automation_sent_it_and_that_it_is_a_test(receiver: Receiver, http: Http) -> None:
    action = Webhook(url="https://hooks.example.com/")
    await outcome(action, delivery(automation_name="Tell: 💥\r\nX-Injected: yes"), tools(http))
    await outcome(action, delivery(is_test=True), tools(http))
    real, test = receiver.requests
    assert real.headers["x-automations-automation"] == "Tell: %F0%9F%92%A5%0D%0AX-Injected: yes"
    assert "x-automations-test" not in real.headers
    assert test.headers["x-automations-test"] == "true"
