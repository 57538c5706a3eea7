"""E-mail, handed to a real SMTP server on the loopback: what arrives, and what comes of every way to refuse it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

import pytest
import trustme

from automations.actions import parse_config
from automations.actions.contract import Delivery, InvalidConfig, Rejected, RetryLater, Sent
from automations.actions.email import EmailNotification
from automations.events import EventType
from automations.http import Http
from automations.mail import Mail, Mailserver
from tests.actions.conformance import HOSTILE, Differences, Subject, every_event, texts_of
from tests.actions.stage import delivery, outcome, tools
from tests.providers.smtp import PASSWORD, USER, SmtpServer
from tests.receivers import refusing_port

TO = "data-team@example.com"
SENDER = "Automations <automations@example.com>"
http = Http()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of our own name would hold the loop."""
    monkeypatch.setattr("socket.getfqdn", lambda *_: pytest.fail("looked up"))


def mail(smtp: SmtpServer, *, timeout_seconds: float = 10, context: ssl.SSLContext | None = None, **more: Any) -> Mail:
    server = Mailserver(**{"host": "127.0.0.1", "port": smtp.port, "sender": SENDER, "tls": "none", **more})
    return Mail(server, timeout_seconds=timeout_seconds, ssl_context=context)


async def send(
    used: Mail, action: EmailNotification | None = None, owed: Delivery | None = None, **event: Any
) -> Sent | Rejected | RetryLater:
    action = action or EmailNotification(to_emails=[TO])
    owed = owed or delivery(target=action.targets[0], **event)
    return await outcome(action, owed, tools(http, mail=used))


def parts(message: EmailMessage) -> tuple[str, str]:
    """The text and the HTML of a message."""
    assert message.get_content_type() == "multipart/alternative"
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert isinstance(text, EmailMessage)
    assert isinstance(page, EmailMessage)
    return text.get_content(), page.get_content()


# What arrives


async def test_message_tells_what_happened_and_which_automation_sent_it(smtp: SmtpServer) -> None:
    owed = delivery(target=TO)
    result = await send(mail(smtp), owed=owed)
    assert isinstance(result, Sent)
    assert result.note == "250 2.0.0 Queued as 4711"
    [mailed] = smtp.mailed
    assert (mailed.sender, mailed.recipients) == ("automations@example.com", [TO])
    message = mailed.message
    assert {name: str(message[name]) for name in ("From", "To", "Subject", "Auto-Submitted", "Message-ID")} == {
        "From": SENDER,
        "To": TO,
        "Subject": "nightly-etl entered Failed",
        "Auto-Submitted": "auto-generated",
        "Message-ID": f"<{owed.id}@example.com>",
    }
    assert message["Date"].datetime == owed.created.replace(microsecond=0)
    for body in parts(message):
        assert "Run amber-otter of flow nightly-etl entered state Failed" in body
        assert "Some reference tasks failed" in body
        assert owed.event["flow_run_link"] in body
        assert "Sent by the automation Tell the data team" in body


async def test_subject_and_body_are_rendered_and_a_test_says_so(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=[TO], subject="{flow_name} is {state}", body="{state_message}!")
    await send(mail(smtp), action, is_test=True)
    message = smtp.mailed[0].message
    assert message["Subject"] == "Test: nightly-etl is Failed"
    text, _ = parts(message)
    assert text.startswith("Some reference tasks failed!")
    assert "This is a test." in text


async def test_every_try_has_the_same_message_id_and_date(smtp: SmtpServer) -> None:
    owed = delivery(target=TO)
    smtp.refusals["DATA"] = "451 4.3.0 Try again later"
    assert isinstance(await send(mail(smtp), owed=owed), RetryLater)
    smtp.refusals.clear()
    for number in (2, 3):
        await send(mail(smtp), owed=replace(owed, number=number))
    first, second = (mailed.message for mailed in smtp.mailed)
    assert (first["Message-ID"], first["Date"]) == (second["Message-ID"], second["Date"])


async def test_each_address_gets_a_message_of_its_own(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=["a@example.com", "b@Example.com", "b@example.COM"])
    assert action.targets == ("a@example.com", "b@example.com")
    for target in action.targets:
        assert isinstance(await send(mail(smtp), action, delivery(target=target)), Sent)
    assert [mailed.recipients for mailed in smtp.mailed] == [["a@example.com"], ["b@example.com"]]
    assert [str(mailed.message["To"]) for mailed in smtp.mailed] == ["a@example.com", "b@example.com"]


async def test_address_that_was_taken_off_the_action_is_not_written_to(smtp: SmtpServer) -> None:
    result = await send(mail(smtp), owed=delivery(target="former@example.com"))
    assert isinstance(result, Rejected)
    assert "does not tell former@example.com now" in result.reason
    assert smtp.mailed == []


@pytest.mark.parametrize("kind", HOSTILE)
@every_event
async def test_hostile_names_add_no_header_and_no_markup(smtp: SmtpServer, event_type: EventType, kind: str) -> None:
    text = HOSTILE[kind]
    action = EmailNotification(
        to_emails=[TO], subject="{flow_name} {message}", body="{message}\r\n.\r\nQUIT\r\n{message}"
    )
    result = await send(mail(smtp), action, event_type=event_type, automation_name=text, **texts_of(event_type, text))
    assert isinstance(result, Sent)
    [mailed] = smtp.mailed
    message = mailed.message
    assert set(message) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version",
        "Content-Type",
    }  # fmt: skip
    assert message.defects == []
    assert mailed.content.isascii()
    assert max(map(len, mailed.content.splitlines())) <= 998
    plain, page = parts(message)
    assert "\n.\nQUIT" in plain.replace("\r\n", "\n") or len(plain) > 90_000, (
        "a dot on a line is a dot, and ends nothing"
    )
    assert "<!channel>" not in page
    assert "</script>" not in page


async def test_names_that_are_not_ascii_arrive_as_they_are(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=[TO], subject="{flow_name}", body="{flow_name}")
    await send(mail(smtp, sender="Bérénice 🦄 <b@example.com>"), action, flow_name="Ночной расчёт 🦄 夜間")
    [mailed] = smtp.mailed
    assert mailed.message["Subject"] == "Ночной расчёт 🦄 夜間"
    assert mailed.message["From"].addresses[0].display_name == "Bérénice 🦄"
    assert parts(mailed.message)[0].startswith("Ночной расчёт 🦄 夜間")


@pytest.mark.parametrize(("length", "end"), [(200, "x"), (201, "…")])
async def test_subject_is_cut_over_its_limit(smtp: SmtpServer, length: int, end: str) -> None:
    await send(mail(smtp), EmailNotification(to_emails=[TO], subject="x" * length))
    subject = str(smtp.mailed[0].message["Subject"])
    assert (len(subject), subject[-1]) == (200, end)


# Addresses


async def test_domain_that_is_not_ascii_is_sent_in_punycode(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=["team@Bücher.example"])
    assert isinstance(await send(mail(smtp), action), Sent)
    assert smtp.mailed[0].recipients == ["team@xn--bcher-kva.example"]
    assert smtp.mailed[0].content.isascii()


async def test_local_part_that_is_not_ascii_needs_smtputf8(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=["jörg@example.com"])
    assert isinstance(await send(mail(smtp), action), Sent)
    [mailed] = smtp.mailed
    assert mailed.recipients == ["jörg@example.com"]
    assert str(mailed.message["To"]) == "jörg@example.com"
    async with SmtpServer(with_utf8=False) as old:
        result = await send(mail(old), action)
        assert isinstance(result, Rejected)
        assert "SMTPUTF8" in result.reason
        assert old.mailed == []


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "@example.com", "a@", "a b@example.com", "a@example.com\r\nBcc: x@example.com", "a@b@example.com",
     "<a@example.com>", "Ann <a@example.com>", "a@example.com,b@example.com", "a..b@example.com", '"a"@example.com',
     "a@exa mple.com", "a@-example.com", "a\0@example.com", "x" * 65 + "@example.com", "a@" + "x" * 64 + ".com"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidConfig, match=r"is not an e-mail address; write it as name@example\.com"):
        EmailNotification(to_emails=[TO, address])


@pytest.mark.parametrize("addresses", [[], [f"a{n}@example.com" for n in range(51)]])
def test_number_of_addresses_has_a_limit(addresses: list[str]) -> None:
    with pytest.raises(InvalidConfig, match="1 to 50"):
        EmailNotification(to_emails=addresses)


def test_blanks_around_an_address_do_not_matter() -> None:
    action = parse_config("email_notification", {"to_emails": [f" {TO}\n"]})
    assert action == EmailNotification(to_emails=[TO])


# TLS and log-in


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_password_and_message_travel_encrypted(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext, tls: Literal["starttls", "tls"]
) -> None:
    async with SmtpServer(server_context, tls=tls, with_login=True) as smtp:
        used = mail(smtp, tls=tls, username=USER, password=PASSWORD, context=trusting)
        assert isinstance(await send(used), Sent)
        [mailed] = smtp.mailed
        assert (mailed.is_encrypted, mailed.user) == (True, USER)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_certificate_of_an_unknown_authority_or_another_name_is_refused(
    server_context: ssl.SSLContext, trusting: ssl.SSLContext, tls: Literal["starttls", "tls"]
) -> None:
    async with SmtpServer(server_context, tls=tls) as smtp:
        for used in (mail(smtp, tls=tls), mail(smtp, tls=tls, host="localhost", context=trusting)):
            result = await send(used)
            assert isinstance(result, RetryLater)
            assert "No TLS with" in result.reason
            assert not result.unknown
        assert smtp.mailed == []


async def test_nothing_is_sent_in_the_clear_where_starttls_is_asked_for(smtp: SmtpServer) -> None:
    result = await send(mail(smtp, tls="starttls"))
    assert isinstance(result, Rejected)
    assert "AUTOMATIONS_SMTP_TLS" in result.reason
    assert smtp.mailed == []


@pytest.mark.parametrize("password", ["wrong", "", None])
async def test_wrong_password_is_final_and_not_shown(password: str | None) -> None:
    async with SmtpServer(with_login=True) as smtp:
        result = await send(mail(smtp, username=USER, password=password))
        assert isinstance(result, Rejected)
        assert result.reason.startswith("The mail server refused the user name or the password (535)")
        assert "AUTOMATIONS_SMTP_PASSWORD" in result.reason


async def test_neither_password_nor_its_forms_are_shown() -> None:
    async with SmtpServer(with_login=True) as smtp:
        smtp.refusals["AUTH"] = f"535 5.7.8 {PASSWORD} is not the password of {USER}"
        used = mail(smtp, username=USER, password=PASSWORD)
        result = await send(used)
        assert isinstance(result, Rejected)
        assert PASSWORD not in result.reason
        assert PASSWORD not in repr(used._server)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_password_that_the_server_repeats_is_taken_out(verb: str) -> None:
    async with SmtpServer(with_login=True) as smtp:
        smtp.refusals[verb] = f"550 5.7.1 {PASSWORD} is a strange password"
        result = await send(mail(smtp, username=USER, password=PASSWORD))
        assert isinstance(result, Rejected)
        assert result.reason == "The mail server answered 550 5.7.1 [password] is a strange password"


async def test_server_that_cannot_check_the_password_now_is_tried_again() -> None:
    async with SmtpServer(with_login=True) as smtp:
        smtp.refusals["AUTH"] = "454 4.7.0 Temporary authentication failure"
        result = await send(mail(smtp, username=USER, password=PASSWORD))
        assert isinstance(result, RetryLater)


async def test_log_in_that_the_server_does_not_offer_is_told(smtp: SmtpServer) -> None:
    result = await send(mail(smtp, username=USER, password=PASSWORD))
    assert isinstance(result, Rejected)
    assert "AUTOMATIONS_SMTP_USERNAME" in result.reason


async def test_without_settings_it_says_which_to_set() -> None:
    result = await send(Mail())
    assert isinstance(result, Rejected)
    assert "AUTOMATIONS_SMTP_HOST and AUTOMATIONS_SMTP_FROM" in result.reason


# Outcomes


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "outcome_"),
    [
        ("421 4.3.2 Closing", RetryLater),
        ("450 4.2.1 Mailbox busy", RetryLater),
        ("451 4.3.0 Local error", RetryLater),
        ("452 4.2.2 Mailbox full", RetryLater),
        ("550 5.1.1 No such user", Rejected),
        ("552 5.3.4 Too big", Rejected),
        ("554 5.7.1 Spam", Rejected),
    ],
)
async def test_refusal_is_final_or_not_by_its_first_digit(
    smtp: SmtpServer, verb: str, answer: str, outcome_: type
) -> None:
    smtp.refusals[verb] = answer
    result = await send(mail(smtp))
    assert isinstance(result, outcome_)
    assert not isinstance(result, Sent)
    assert answer in result.reason
    assert not isinstance(result, RetryLater) or not result.unknown, "the server has said that it did not take it"


async def test_message_over_the_servers_size_is_final() -> None:
    async with SmtpServer(size=2000) as smtp:
        result = await send(mail(smtp), state_message="x" * 5000)
        assert isinstance(result, Rejected)
        assert "552" in result.reason


@pytest.mark.parametrize(("verb", "unknown"), [("RCPT", False), ("DATA", True)])
@pytest.mark.parametrize("how", ["drop_at", "hang_at"])
async def test_break_after_the_message_was_sent_is_unknown_and_before_it_is_not(
    smtp: SmtpServer, how: str, verb: str, unknown: bool
) -> None:
    setattr(smtp, how, verb)
    started_at = asyncio.get_running_loop().time()
    result = await send(mail(smtp, timeout_seconds=0.4))
    assert isinstance(result, RetryLater)
    assert result.unknown == unknown
    assert ("may have arrived" in result.reason) == unknown
    assert asyncio.get_running_loop().time() - started_at < 3


async def test_refused_connection_is_tried_again() -> None:
    with refusing_port() as port:
        result = await send(Mail(Mailserver("127.0.0.1", SENDER, port, tls="none")))
    assert isinstance(result, RetryLater)
    assert not result.unknown


async def test_dripping_server_is_given_up_after_the_time_limit() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"220-wait\r\n")
            await asyncio.sleep(0.05)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await send(Mail(Mailserver("127.0.0.1", SENDER, port, tls="none"), timeout_seconds=0.4))
    assert isinstance(result, RetryLater)
    assert not result.unknown
    server.close()


async def test_what_is_recorded_can_be_read_by_people(smtp: SmtpServer) -> None:
    action = EmailNotification(to_emails=[TO], subject="{flow_name}")
    used = tools(http, mail=mail(smtp))
    await outcome(action, delivery(target=TO), used)
    assert used.request["to"] == TO
    assert used.request["subject"] == "nightly-etl"
    assert "Some reference tasks failed" in used.request["body"]


def test_message_is_one_that_pythons_own_parser_reads() -> None:
    subject = Subject(EmailNotification(to_emails=[TO]), Differences(), "email")
    message = EmailNotification(to_emails=[TO])._message(delivery(target=subject.target), TO, SENDER)
    assert message_from_bytes(message.as_bytes(), policy=default).defects == []
