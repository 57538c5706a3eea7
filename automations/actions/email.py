"""E-mail by the operator's SMTP server, one delivery an address: the envelope and To name that address only."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import parseaddr
from typing import Any, ClassVar, Self

from automations.actions.contract import (
    Action,
    Choices,
    Delivery,
    InvalidConfig,
    Rejected,
    RetryLater,
    Sent,
    Tools,
    plain,
    require_target,
    template,
)
from automations.actions.wording import facts, headline, link, one_line, printable, sent_by, shorten
from automations.mail import Delayed, Undeliverable, read_address
from automations.messages import render

MOST_ADDRESSES = 50
SUBJECT_CHARACTERS = 200
BODY_CHARACTERS = 100_000

_PAGE = """\
<!doctype html>
<html><body style="font-family: sans-serif; line-height: 1.5; color: #1c1c1c">
<h2 style="font-size: 1.2em">{title}</h2>
<p style="white-space: pre-wrap">{text}</p>
<table cellpadding="4" style="border-collapse: collapse">{rows}</table>
{button}<p style="color: #666; font-size: 0.85em">{footnote}</p>
</body></html>
"""
_ROW = '<tr><th align="left" style="color: #666; font-weight: normal">{name}</th><td>{value}</td></tr>'
_BUTTON = '<p><a href="{url}">Open the run</a></p>\n'


@dataclass(frozen=True)
class EmailNotification(Action):
    """An e-mail to each of some addresses."""

    KEY: ClassVar = "email_notification"
    TYPE: ClassVar = "EmailNotificationAction"
    AT_ONCE: ClassVar = 4  # each takes a connection, and mail servers allow a client a few

    to_emails: list[str] = plain("Addresses, without names.")
    subject: str | None = template("The subject, with {attributes} of the event; what happened by default.")
    body: str | None = template("The text, with {attributes} of the event; the event's own message by default.")

    def __post_init__(self) -> None:
        if not isinstance(self.to_emails, list) or not 1 <= len(self.to_emails) <= MOST_ADDRESSES:
            raise InvalidConfig(f"{self.KEY}.to_emails takes 1 to {MOST_ADDRESSES} addresses.")
        try:
            for address in self.to_emails:
                read_address(address)
        except ValueError as error:
            raise InvalidConfig(f"{self.KEY}.to_emails: {error}; write it as name@example.com.") from None

    @classmethod
    def canonical(cls, config: dict[str, Any], _choices: Choices) -> dict[str, Any]:
        """Addresses without blanks around them."""
        addresses = config.get("to_emails")
        if not isinstance(addresses, list):
            return config
        return config | {"to_emails": [str(address).strip() for address in addresses]}

    @classmethod
    def example(cls) -> Self:
        return cls(to_emails=["data-team@example.com"], subject="{flow_name}: {state}", body="{state_message}")

    @property
    def destination(self) -> str:
        return "smtp"

    @property
    def targets(self) -> Sequence[str | None]:
        return tuple(dict.fromkeys(read_address(address) for address in self.to_emails))

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        recipient = require_target(self, delivery)
        try:
            message = self._message(delivery, recipient, tools.mail.sender)
            tools.request = {
                "to": recipient,
                "subject": str(message["Subject"]),
                "message_id": str(message["Message-ID"]),
                "body": _text_of(message),
            }
            answer = await tools.mail.send(
                message.as_bytes(), sender=_envelope_address(tools.mail.sender), recipient=recipient
            )
        except Undeliverable as error:
            raise Rejected(str(error)) from error
        except Delayed as error:
            raise RetryLater(str(error), unknown=error.is_unknown) from error
        return Sent(note=answer)

    def _message(self, delivery: Delivery, recipient: str, sender: str) -> EmailMessage:
        event = delivery.event
        subject = one_line(render(self.subject, event), SUBJECT_CHARACTERS) if self.subject else ""
        text = printable(render(self.body or "{message}", event)).strip() or "(The message is empty.)"
        text = shorten(text, BODY_CHARACTERS)
        footnote = sent_by(delivery.automation_name, is_test=delivery.is_test)
        title = headline(event)
        name, address = parseaddr(sender)
        # An address that is not ASCII needs headers in UTF-8 (RFC 6532); 7-bit bodies pass every server.
        policy = (SMTP if (recipient + address).isascii() else SMTPUTF8).clone(cte_type="7bit")
        message = EmailMessage(policy=policy)
        message["From"] = _header_address(_envelope_address(sender), name)
        message["To"] = _header_address(recipient)
        message["Subject"] = ("Test: " if delivery.is_test else "") + (subject or title)
        message["Date"] = delivery.created
        message["Message-ID"] = f"<{delivery.id}@{_envelope_address(sender).rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes, please
        message["X-Auto-Response-Suppress"] = "All"  # the same, for Exchange
        lines = [f"{name}: {value}" for name, value in facts(event)]
        url = link(event)
        message.set_content("\n".join([text, "", *lines, *([url] if url else []), "", "-- ", footnote, ""]))
        message.add_alternative(
            _PAGE.format(
                title=html.escape(title),
                text=html.escape(text),
                rows="".join(
                    _ROW.format(name=html.escape(name), value=html.escape(value)) for name, value in facts(event)
                ),
                button=_BUTTON.format(url=html.escape(url)) if url else "",
                footnote=html.escape(footnote),
            ),
            subtype="html",
        )
        return message


def _envelope_address(sender: str) -> str:
    return read_address(parseaddr(sender)[1])


def _header_address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


def _text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return "" if part is None else str(part.get_content())
