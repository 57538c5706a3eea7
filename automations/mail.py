"""Hands messages to the operator's SMTP server: the one module that knows aiosmtplib, as `http` is for HTTP.

The server's address comes from the operator's settings, so that it may be a private one. No text holds the password.
"""

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import aiosmtplib
import certifi
import idna

QUIT_SECONDS: Final = 1.0
_ANSWER_CHARACTERS: Final = 500
# A local part as people have them: a dot-atom (RFC 5322, section 3.2.3), or any letters (RFC 6531, section 3.3).
_LOCAL: Final = re.compile(r"[\w!#$%&'*+\-/=?^`{|}~]+(\.[\w!#$%&'*+\-/=?^`{|}~]+)*")
_LOCAL_BYTES: Final = 64  # RFC 5321, section 4.5.3.1.1
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


class Undeliverable(Exception):
    """Sending it again cannot help; the text says why, for people."""


class Delayed(Exception):
    """It may work later. `is_unknown`: the message was on its way, and may have arrived."""

    def __init__(self, reason: str, *, is_unknown: bool = False) -> None:
        super().__init__(reason)
        self.is_unknown = is_unknown


@dataclass(frozen=True)
class Mailserver:
    """Where mail is handed in. `sender` is an address, with a name before it in the form `Name <address>` or not."""

    host: str
    sender: str
    port: int = 587
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str = "starttls"  # or tls (from the first byte on) or none


def read_address(text: str) -> str:
    """An address as it goes into the envelope, its domain in ASCII (IDNA 2008); ValueError for what is none."""
    local, _, domain = text.strip().rpartition("@")
    if not _LOCAL.fullmatch(local) or len(local.encode()) > _LOCAL_BYTES:
        raise ValueError(f"{text[:100]!r} is not an e-mail address")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise ValueError(f"{text[:100]!r} is not an e-mail address") from None


class Mail:
    """Sends messages, each over a connection of its own."""

    def __init__(
        self,
        server: Mailserver | None = None,
        *,
        timeout_seconds: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._server, self._timeout_seconds, self._given_context = server, timeout_seconds, ssl_context

    @property
    def sender(self) -> str:
        """What the From header is to say; Undeliverable where no server is set."""
        return self._configured.sender

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:
        """Hand in one message for one recipient and return what the server answered.

        `sender` and `recipient` are addresses of the envelope. Raise Undeliverable or Delayed.
        """
        server = self._configured
        limit = self._timeout_seconds
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=socket.gethostname(),
            timeout=limit,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=None if server.tls == "none" else self._ssl_context,
        )
        is_sending = False
        try:
            async with asyncio.timeout(limit):
                await client.connect()
                if server.username is not None:
                    await client.login(server.username, server.password or "")
                await _envelope(client, sender, recipient)
                is_sending = True
                answer = await client.data(message)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=QUIT_SECONDS)
        except aiosmtplib.SMTPAuthenticationError as error:
            if _is_transient(error.code):
                raise Delayed(f"The mail server cannot check the password now ({error.code})") from None
            raise Undeliverable(
                f"The mail server refused the user name or the password ({error.code}); "
                "check AUTOMATIONS_SMTP_USERNAME and AUTOMATIONS_SMTP_PASSWORD"
            ) from None
        except aiosmtplib.SMTPResponseException as error:
            reason = f"The mail server answered {error.code} {_line(error.message, server)}".rstrip()
            if 500 <= error.code < 600:
                raise Undeliverable(reason) from None
            raise Delayed(reason, is_unknown=is_sending and not _is_transient(error.code)) from None
        except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, OSError) as error:
            raise _broken_off(error, server, limit, is_sending=is_sending) from None
        except aiosmtplib.SMTPException as error:
            raise Undeliverable(
                f"The mail server does not offer what the settings ask for: {_line(error.message, server)}; "
                "check AUTOMATIONS_SMTP_TLS and AUTOMATIONS_SMTP_USERNAME"
            ) from None
        finally:
            client.close()
        return f"{answer.code} {_line(answer.message, server)}".rstrip()

    @property
    def _configured(self) -> Mailserver:
        if self._server is None:
            raise Undeliverable(
                "There is no mail server. Set AUTOMATIONS_SMTP_HOST and AUTOMATIONS_SMTP_FROM, then send this again"
            )
        return self._server

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        if self._given_context is not None:
            return self._given_context
        context = ssl.create_default_context(cafile=certifi.where())
        context.load_default_certs()  # an organisation's own authorities are in the system's store
        return context


async def _envelope(client: aiosmtplib.SMTP, sender: str, recipient: str) -> None:
    if client.is_ehlo_or_helo_needed:
        await client.ehlo()
    options, encoding = [], "ascii"
    if not (sender + recipient).isascii():
        if not client.supports_extension("smtputf8"):
            raise Undeliverable("The mail server takes ASCII addresses only (it has no SMTPUTF8)")
        options, encoding = ["SMTPUTF8", "BODY=8BITMIME"], "utf-8"
    await client.mail(sender, options=options, encoding=encoding)
    await client.rcpt(recipient, encoding=encoding)


def _broken_off(error: Exception, server: Mailserver, limit: float, *, is_sending: bool) -> Delayed:
    place = f"{server.host}:{server.port}"
    if is_sending:
        return Delayed(f"{place} broke off while it was taking the message; it may have arrived", is_unknown=True)
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", None) or cause.reason or "the handshake failed"
        return Delayed(f"No TLS with {place}: {reason}")
    if isinstance(cause, TimeoutError):
        return Delayed(f"{place} did not answer within {limit:g} seconds")
    return Delayed(f"No connection to {place}, or it broke off before the message was sent")


def _is_transient(code: int) -> bool:
    return 400 <= code < 500


def _line(text: str, server: Mailserver) -> str:
    """What the server said, in a line; some repeat what they were told."""
    if server.password:
        text = text.replace(server.password, "[password]")
    return _CONTROL.sub(" ", text)[:_ANSWER_CHARACTERS]
