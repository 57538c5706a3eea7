"""Every client in the registry against the table of outcomes, hostile texts and the rule that no secret is shown."""

import base64
import logging
from collections.abc import AsyncIterator
from dataclasses import FrozenInstanceError, asdict, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
import structlog

from automations.actions import BY_KEY, BY_TYPE, CLIENTS, parse_config
from automations.actions.contract import Action, InvalidConfig, Rejected, RetryLater, Sent, values_of_kind
from automations.delivery import recorder
from automations.delivery.attempts import Sender
from automations.delivery.claims import Claim, Ended
from automations.events import FLOW_RUN_STATE_CHANGED, sample_event
from automations.http import Http
from automations.links import Links
from automations.messages import check, check_json
from automations.resources import resource
from automations.vault import Vault
from tests.actions.conformance import (
    DIFFERENCES,
    FAILURES,
    HOSTILE,
    RETRY,
    SENT,
    STATUSES,
    UNKNOWN,
    Subject,
    echo,
    judged,
    subjects,
)
from tests.actions.stage import PlayedMail, PlayedOrchestration, Rerouted, delivery, outcome, tools
from tests.canaries import reveals
from tests.receivers import Receiver, in_turn, refusing_port, reply

every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
every_subject = pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
every_http_subject = pytest.mark.parametrize("subject", subjects(speaking_http=True), ids=lambda subject: subject.name)
every_http_example = pytest.mark.parametrize(
    "subject", subjects(speaking_http=True, variants=False), ids=lambda subject: subject.name
)
every_http_keeper_of_secrets = pytest.mark.parametrize(
    "subject", subjects(speaking_http=True, with_secrets=True), ids=lambda subject: subject.name
)
every_keeper_of_secrets = pytest.mark.parametrize(
    "subject", subjects(with_secrets=True), ids=lambda subject: subject.name
)

SHORT_SECONDS = 0.4


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def http(receiver: Receiver) -> AsyncIterator[Http]:
    client = Rerouted(receiver.url)
    yield client
    await client.aclose()


async def run(subject: Subject, http: Http, **event: Any) -> Sent | Rejected | RetryLater:
    return await outcome(subject.action, delivery(target=subject.target, **event), tools(http, subject.secrets))


# The table


@pytest.mark.parametrize("status", STATUSES)
@every_http_example
async def test_status_has_the_outcome_of_the_table(
    subject: Subject, status: int, receiver: Receiver, http: Http
) -> None:
    receiver.behaviour = reply(status, b"" if status in {204, 304} else b"ok", {"Location": "/elsewhere"})
    result = await run(subject, http)
    assert judged(result) == subject.expects(status)
    assert len(receiver.requests) == 1, "a redirect is not followed, and nothing is sent twice"
    assert result.answer is not None
    assert result.answer.status_code == status


@every_http_subject
async def test_success_is_sent_with_its_answer(subject: Subject, receiver: Receiver, http: Http) -> None:
    receiver.behaviour = subject.differences.success
    result = await run(subject, http)
    assert judged(result) == SENT
    assert result.answer is not None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0),
        ("17", 17, 17),
        ("  17  ", 17, 17),
        ("999999999999999999999", 3600, 1e12),
        ("in two hours", 7000, 7200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
@every_http_example
async def test_retry_after_is_told(
    subject: Subject, header: str, least: float, most: float, status: int, receiver: Receiver, http: Http
) -> None:
    if header == "in two hours":
        header = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    receiver.behaviour = reply(status, b"busy", {"Retry-After": header})
    result = await run(subject, http)
    assert isinstance(result, RetryLater)
    assert result.after is not None
    assert least <= result.after <= most


@pytest.mark.parametrize(
    "header",
    ["", "soon", "-5", "1.5", "1e3", "²", "Wed, 21 Oct 2015 07:28:00", "Mon, 01 Jan 2024 00:00:00 +99999999999999"],
)
@every_http_example
async def test_unreadable_retry_after_is_passed_over(
    subject: Subject, header: str, receiver: Receiver, http: Http
) -> None:
    receiver.behaviour = reply(429, b"busy", {"Retry-After": header})
    result = await run(subject, http)
    assert isinstance(result, RetryLater)
    assert result.after is None


@pytest.mark.parametrize("failure", FAILURES)
@every_http_example
async def test_broken_answer_may_have_arrived(subject: Subject, failure: str, receiver: Receiver) -> None:
    behaviour, expected = FAILURES[failure]
    http = Rerouted(receiver.url, SHORT_SECONDS)
    receiver.behaviour = behaviour
    try:
        assert judged(await run(subject, http)) == expected
        assert len(receiver.requests) == 1
    finally:
        await http.aclose()


@every_http_subject
async def test_refused_connection_is_tried_again(subject: Subject) -> None:
    with refusing_port() as port:
        http = Rerouted(f"http://127.0.0.1:{port}")
        try:
            assert judged(await run(subject, http)) == RETRY
        finally:
            await http.aclose()


@every_http_subject
async def test_oversized_answer_is_cut(subject: Subject, receiver: Receiver, http: Http) -> None:
    receiver.behaviour = reply(200, b"ok" + b"." * 1_000_000)
    result = await run(subject, http)
    assert judged(result) == subject.differences.oversized
    assert result.answer is not None
    assert len(result.answer.body) <= 4096


# What is sent


@pytest.mark.parametrize(
    "subject", [subject for subject in subjects() if subject.differences.identity], ids=lambda subject: subject.name
)
async def test_every_try_carries_the_same_identity(subject: Subject, receiver: Receiver, http: Http) -> None:
    identity = subject.differences.identity
    assert identity is not None
    receiver.behaviour = in_turn(reply(500), reply(429), subject.differences.success)
    owed = delivery(target=subject.target)
    results = [judged(await outcome(subject.action, owed, tools(http, subject.secrets))) for _ in range(3)]
    assert results == [UNKNOWN, RETRY, SENT]
    first, second, third = (identity(received) for received in receiver.requests)
    assert first == second == third
    assert first


@pytest.mark.parametrize("kind", HOSTILE)
@every_http_subject
async def test_hostile_texts_do_not_break_the_request(
    subject: Subject, kind: str, receiver: Receiver, http: Http
) -> None:
    text = HOSTILE[kind]
    receiver.behaviour = subject.differences.success
    result = await run(
        subject, http, flow_name=text, flow_run_name=text[:1000], state_message=text, automation_name=text
    )
    assert judged(result) == SENT
    [received] = receiver.requests
    assert (received.method, "injected" in received.path) == ("POST", False)
    assert "x-injected" not in received.headers
    assert int(received.headers["content-length"]) == len(received.body)
    assert subject.differences.read_body(received.body) is not None


@pytest.mark.parametrize("kind", HOSTILE)
@every_subject
async def test_hostile_texts_can_be_recorded(subject: Subject, kind: str, receiver: Receiver, http: Http) -> None:
    text = HOSTILE[kind]
    receiver.behaviour = echo(200)
    ended = await attempt(
        subject, http, flow_name=text, flow_run_name=text[:1000], state_message=text, automation_name=text
    )
    assert "Internal error" not in (ended.reason or "")
    assert ended.request is not None
    assert orjson.loads(ended.request) is not None
    assert len(ended.request) < 40_000
    stored = f"{ended.request} {ended.answer} {ended.reason}"
    assert "\0" not in stored
    stored.encode()


@every_subject
async def test_test_event_is_sent_too(subject: Subject, receiver: Receiver, http: Http) -> None:
    receiver.behaviour = subject.differences.success
    result = await outcome(subject.action, delivery(is_test=True, target=subject.target), tools(http, subject.secrets))
    assert judged(result) == SENT


# Secrets


@every_keeper_of_secrets
async def test_missing_secret_is_named_and_nothing_is_sent(subject: Subject, receiver: Receiver, http: Http) -> None:
    for missing in subject.secrets:
        secrets = {name: value for name, value in subject.secrets.items() if name != missing}
        result = await outcome(subject.action, delivery(target=subject.target), tools(http, secrets))
        assert isinstance(result, Rejected)
        assert missing in result.reason
    assert receiver.requests == []


@pytest.mark.parametrize("failure", ["echo 200", "echo 400", "echo 500", "echo 307", "refused", *FAILURES])
@every_http_keeper_of_secrets
async def test_no_secret_is_shown(
    subject: Subject, failure: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the reason, the recorded request, the recorded answer or a line of the log, whatever goes wrong."""
    receiver.behaviour = echo(int(failure[5:])) if failure.startswith("echo") else FAILURES.get(failure, (reply(),))[0]
    http = Rerouted(receiver.url, SHORT_SECONDS)
    with refusing_port() as port, structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG):
        if failure == "refused":
            http = Rerouted(f"http://127.0.0.1:{port}", SHORT_SECONDS)
        ended = await attempt(subject, http)
        recorder._log(ended)
        await http.aclose()
    assert lines
    for shown in (ended.reason, ended.request, ended.answer, repr(lines), caplog.text):
        assert not reveals(shown or "")


@every_http_keeper_of_secrets
async def test_no_secret_is_shown_at_the_edge_of_a_long_answer(
    subject: Subject, receiver: Receiver, http: Http
) -> None:
    """The 4 KB that are kept may end in the middle of a secret."""
    for value in subject.secrets.values():
        receiver.behaviour = reply(400, b"." * (4096 - len(value) + 3) + value.encode())
        ended = await attempt(subject, http)
        assert not reveals(ended.answer or "")
        assert "[secret" in (ended.answer or "")


@every_subject
async def test_bug_in_a_client_is_tried_again_and_its_trace_shows_no_secret(
    subject: Subject, http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Action, _delivery: object, tools: Any) -> Sent:
        values = [tools.secret(name) for _, name in values_of_kind(self, "secret")]
        raise RuntimeError(f"cannot use {values}")

    monkeypatch.setattr(type(subject.action), "run", fail)
    with structlog.testing.capture_logs() as lines:
        ended = await attempt(subject, http)
    assert ended.outcome == "RETRY"
    assert "RuntimeError" in (ended.reason or "")
    [line] = lines
    assert "cannot use" in line["trace"]
    assert not reveals(repr(line))
    assert not reveals(ended.reason or "")


@every_subject
def test_destination_holds_no_secret(subject: Subject) -> None:
    assert not reveals(subject.action.destination)
    assert subject.action.destination.isprintable()
    assert len(subject.action.destination) < 1000


# The declaration


@every_client
def test_example_is_valid_and_comes_back_from_its_config(client: type[Action]) -> None:
    example = client.example()
    config = orjson.loads(orjson.dumps(asdict(cast("Any", example))))
    assert parse_config(client.KEY, config) == example
    for name, value in values_of_kind(example, "template"):
        assert check(value, FLOW_RUN_STATE_CHANGED, where=name) == []
    for name, value in values_of_kind(example, "json_template"):
        assert check_json(value, FLOW_RUN_STATE_CHANGED, where=name) == []


@every_client
def test_client_is_documented(client: type[Action]) -> None:
    assert client.__doc__
    for item in fields(cast("Any", client)):
        assert item.metadata["kind"] in {"plain", "template", "json_template", "secret", "flow_group"}
        assert item.metadata["description"].endswith("."), f"{client.KEY}.{item.name} is a sentence"
    schema = resource("schema.graphql").read_text()
    assert f"{client.KEY}:" in schema
    for item in fields(cast("Any", client)):
        assert f"{item.name}:" in schema


@every_client
def test_client_is_declared_once_and_frozen(client: type[Action]) -> None:
    assert BY_KEY[client.KEY] is client
    assert BY_TYPE[client.TYPE] is client
    assert client.TYPE.endswith("Action")
    with pytest.raises(FrozenInstanceError):
        cast("Any", client.example()).KEY = "other"


@every_client
def test_unknown_field_is_refused_by_name(client: type[Action]) -> None:
    config = asdict(cast("Any", client.example())) | {"colour": "red"}
    with pytest.raises(InvalidConfig, match="colour"):
        parse_config(client.KEY, config)


def test_differences_are_those_of_clients_that_exist() -> None:
    assert set(DIFFERENCES) <= set(BY_KEY)


def test_unknown_action_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidConfig, match="slack_notification"):
        parse_config("carrier_pigeon", {})


async def attempt(subject: Subject, http: Http, **changes: Any) -> Ended:
    """One attempt as the dispatcher makes it: from a claimed row with sealed secrets to an end for the ledger."""
    tenant_id, vault = uuid4(), Vault([b"k" * 32])
    automation_name = changes.pop("automation_name", "Tell the data team")
    event = sample_event(FLOW_RUN_STATE_CHANGED) | changes
    sealed = {
        name: base64.encodebytes(vault.seal(tenant_id, name, orjson.dumps(value))).decode()
        for name, value in subject.secrets.items()
    }
    row = {
        "action_type": subject.action.TYPE,
        "action_config": orjson.dumps({k: v for k, v in asdict(cast("Any", subject.action)).items() if v is not None}),
        "event": orjson.dumps(event),
        "event_type": FLOW_RUN_STATE_CHANGED.name,
        "automation_name": automation_name,
        "firing_id": uuid4(),
        "is_test": False,
        "subject": "of a test",
        "created": datetime.now(UTC),
        "target": subject.target,
        "may_have_arrived": False,
        "sealed_secrets": orjson.dumps(sealed) if sealed else None,
        "traceparent": None,
    }
    sender = Sender(
        http=http,
        vault=vault,
        orchestration=PlayedOrchestration(),
        mail=PlayedMail(),
        links=Links(),
        retry_seconds=(5, 30),
    )
    return await sender.attempt(Claim(tenant_id, uuid4(), 1, subject.action.destination, cast("Any", row)))
