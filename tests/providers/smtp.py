"""A real SMTP server (aiosmtpd) on the loopback, with AUTH, STARTTLS and TLS, that keeps messages or refuses them."""

import asyncio
import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.canaries import CANARY

USER, PASSWORD = "automations", f"{CANARY}-and-passwords"


@dataclass(frozen=True)
class Mailed:
    """A message that was taken, as it came, and its envelope."""

    sender: str
    recipients: list[str]
    content: bytes
    is_encrypted: bool
    user: object

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=SMTPUTF8)


class SmtpServer:
    """Listens while it is entered. `refusals` gives an answer for a verb: MAIL, RCPT, DATA (after the message), AUTH.

    `drop_at` breaks the connection off at RCPT or after the message was read.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        tls: Literal["starttls", "tls", "none"] = "none",
        with_login: bool = False,
        with_utf8: bool = True,
        size: int = 33_554_432,
    ) -> None:
        self.mailed: list[Mailed] = []
        self.refusals: dict[str, str] = {}
        self.drop_at: str | None = None
        self.hang_at: str | None = None
        self.port = 0
        self._context, self._tls, self._with_login, self._size = context, tls, with_login, size
        self._with_utf8 = with_utf8
        self._protocols: list[SMTP] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, "127.0.0.1", 0, ssl=self._context if self._tls == "tls" else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for protocol in self._protocols:
            transport = cast("asyncio.Transport | None", protocol.transport)
            if transport is not None and not transport.is_closing():
                transport.abort()
            if (handler := protocol._handler_coroutine) is not None:
                handler.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await handler
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a password may come in the clear: here, that is what is tried
            protocol = self._new_protocol()
        self._protocols.append(protocol)
        return protocol

    def _new_protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            data_size_limit=self._size,
            enable_SMTPUTF8=self._with_utf8,
            tls_context=self._context if self._tls == "starttls" else None,
            require_starttls=self._tls == "starttls",
            authenticator=self._authenticate if self._with_login else None,
            auth_required=self._with_login,
            auth_require_tls=False,
        )

    def _authenticate(self, *args: Any) -> AuthResult:
        data = args[-1]
        if refusal := self.refusals.get("AUTH"):
            return AuthResult(success=False, handled=False, message=refusal)
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=is_right, handled=False, auth_data=USER)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._spoil(server, "RCPT")
        if refusal := self.refusals.get("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await self._spoil(server, "DATA")
        if refusal := self.refusals.get("DATA"):
            return refusal
        assert isinstance(envelope.content, bytes)
        self.mailed.append(
            Mailed(
                sender=str(envelope.mail_from),
                recipients=list(envelope.rcpt_tos),
                content=envelope.content,
                is_encrypted=session.ssl is not None or self._tls == "tls",
                user=session.auth_data,
            )
        )
        return "250 2.0.0 Queued as 4711"

    async def _spoil(self, server: SMTP, verb: str) -> None:
        if self.hang_at == verb:
            await asyncio.Event().wait()
        if self.drop_at == verb:
            cast("asyncio.Transport", server.transport).abort()
            await asyncio.sleep(0)
