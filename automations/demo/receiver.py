"""Plays Slack and the receiver of signed webhooks: checks what comes, tells of it, and answers."""

import asyncio
import base64
import hmac
import html
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Self

import orjson

from automations.demo.rules import Kind
from automations.demo.tally import Arrival
from automations.demo.wire import Message, encode, read_message

_SLACK_TEXT = re.compile(
    r"(?P<flow>\S+) / (?P<run>\S+) (?P<state>\w+): (?P<message>.*)\n"
    r"\S+/flow-run/(?P<flow_run_id>[0-9a-f-]{36}) \((?P<timestamp>\S+)\)"
)


class _Refused(Exception):
    """It is not what it should be."""


class Receiver:
    """An HTTP server on the loopback. What it has read has arrived, whatever becomes of the answer."""

    def __init__(self, *, signing_key: bytes, on_arrival: Callable[[Arrival], None]) -> None:
        self.unanswered = 0
        self.refused = 0
        self._answering = asyncio.Event()
        self._answering.set()
        self._signing_key, self._on_arrival = signing_key, on_arrival
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        self.answer_again()
        await asyncio.gather(*self._connections)

    def stop_answering(self) -> None:
        """Read what comes and leave it unanswered."""
        self._answering.clear()

    def answer_again(self) -> None:
        """Answer everything, what has waited included."""
        self._answering.set()

    async def wait_for_unanswered(self, count: int) -> None:
        """Return once so many requests wait for their answer."""
        async with self._news:
            await self._news.wait_for(lambda: self.unanswered >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections[task] = writer
        try:
            with suppress(ConnectionError):
                while True:
                    request = await read_message(reader)
                    answer = self._take(request, time.time())
                    await self._wait_to_answer()
                    writer.write(answer)
        finally:
            del self._connections[task]
            writer.close()

    async def _wait_to_answer(self) -> None:
        self.unanswered += 1
        async with self._news:
            self._news.notify_all()
        await self._answering.wait()
        self.unanswered -= 1

    def _take(self, request: Message, now: float) -> bytes:
        is_slack = request.start.startswith("POST /slack/")
        try:
            arrival = _read_slack(request, now) if is_slack else self._read_webhook(request, now)
        except (_Refused, KeyError, ValueError) as error:
            self.refused += 1
            return encode("HTTP/1.1 400 Bad Request", repr(error).encode())
        self._on_arrival(arrival)
        return encode("HTTP/1.1 200 OK", b"ok" if is_slack else b"thanks")

    def _read_webhook(self, request: Message, now: float) -> Arrival:
        if not is_signed(request, self._signing_key):
            raise _Refused("wrong signature")
        event = orjson.loads(request.body)
        return Arrival(
            kind=Kind.WEBHOOK,
            flow_run_id=event["flow_run_id"],
            state=event["state"],
            flow=event["flow_name"],
            run=event["flow_run_name"],
            message=event["state_message"] or "",
            happened_at=datetime.fromisoformat(event["timestamp"]).timestamp(),
            arrived_at=now,
            delivery_id=request.headers["webhook-id"],
        )


def _read_slack(request: Message, now: float) -> Arrival:
    text = _SLACK_TEXT.fullmatch(html.unescape(orjson.loads(request.body)["text"]))
    if text is None:
        raise _Refused("invalid_payload")
    found = text.groupdict()
    happened_at = datetime.fromisoformat(found.pop("timestamp")).timestamp()
    return Arrival(kind=Kind.SLACK, happened_at=happened_at, arrived_at=now, **found)


def is_signed(request: Message, key: bytes) -> bool:
    """Whether the signature is right (https://www.standardwebhooks.com)."""
    signed = "{webhook-id}.{webhook-timestamp}.".format_map(request.headers).encode() + request.body
    right = f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
    return any(hmac.compare_digest(given, right) for given in request.headers["webhook-signature"].split())
