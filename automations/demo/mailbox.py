"""Plays a mail server with one mailbox: just enough SMTP (RFC 5321), without TLS, for the loopback."""

import asyncio
import re
import time
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes
from email.policy import default

from automations.demo.gate import Gate
from automations.demo.rules import MAIL_FROM, MAIL_TO, Kind
from automations.demo.tally import Arrival

_ENVELOPE = {"MAIL": "FROM", "RCPT": "TO"}
_MESSAGE_ID = re.compile(r"<(?P<delivery_id>[0-9a-f-]{36})@example\.com>")
_TEXT = re.compile(r"(?P<message>.*)\nagent config (?P<subject_id>[0-9a-f-]{36}) \((?P<timestamp>\S+)\)\n.*", re.DOTALL)


class NotOurs(Exception):
    """A message that is not what it should be."""


class Mailbox:
    """Speaks SMTP. `on_refusal` hears why a message was not accepted."""

    def __init__(self, gate: Gate, *, on_arrival: Callable[[Arrival], None], on_refusal: Callable[[str], None]) -> None:
        self._gate, self._on_arrival, self._on_refusal = gate, on_arrival, on_refusal

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one client's messages until it says QUIT."""
        envelope: dict[str, str] = {}
        answer = "220 mail.example.com ESMTP"
        while not answer.startswith("221"):
            writer.write(f"{answer}\r\n".encode())
            line = (await reader.readuntil(b"\r\n")).decode().strip()
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    answer = "250 mail.example.com"
                case "MAIL" | "RCPT" as part:
                    envelope[part] = rest
                    answer = "250 OK"
                case "DATA" if envelope.keys() == _ENVELOPE.keys():
                    writer.write(b"354 Go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    answer = await self._take(envelope, content[:-3].replace(b"\r\n..", b"\r\n."))
                    envelope = {}
                case "QUIT":
                    answer = "221 Bye"
                case _:
                    answer = "503 Not now"
        writer.write(f"{answer}\r\n".encode())

    async def _take(self, envelope: dict[str, str], content: bytes) -> str:
        try:
            arrival = read_mail(envelope, content, time.time())
        except (NotOurs, ValueError) as error:
            self._on_refusal(str(error))
            return "550 Not for us"
        self._on_arrival(arrival)
        await self._gate.pass_through(Kind.EMAIL)
        return "250 OK"


def read_mail(envelope: dict[str, str], content: bytes, now: float) -> Arrival:
    """An e-mail about quiet agents; NotOurs where its envelope or its headers are not as they should be."""
    message = message_from_bytes(content, policy=default)
    for verb, address in (("MAIL", MAIL_FROM), ("RCPT", MAIL_TO)):
        if not re.match(rf"{_ENVELOPE[verb]}:<{re.escape(address)}>( |$)", envelope[verb], re.IGNORECASE):
            raise NotOurs(f"{verb} {envelope[verb]}")
    wanted = {"From": MAIL_FROM, "To": MAIL_TO, "Auto-Submitted": "auto-generated"}
    if {name: message[name] for name in wanted} != wanted or not (message["Date"] and message["Subject"]):
        raise NotOurs("the headers are wrong")
    numbered = _MESSAGE_ID.fullmatch(message["Message-ID"] or "")
    part = message.get_body(("plain",))
    told = _TEXT.fullmatch("\n".join(part.get_content().splitlines())) if part else None
    if numbered is None or told is None:
        raise NotOurs("the Message-ID or the text is wrong")
    return Arrival(
        kind=Kind.EMAIL,
        subject_id=told["subject_id"],
        state="Quiet",
        flow="agent config",
        run=told["subject_id"][:8],
        message=told["message"],
        happened_at=datetime.fromisoformat(told["timestamp"]).timestamp(),
        arrived_at=now,
        delivery_id=numbered["delivery_id"],
    )
