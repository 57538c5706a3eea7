"""What Slack, Twilio and the receiver of signed webhooks make of a request: they check it, and answer."""

import base64
import hmac
import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

import orjson

from automations.demo.rules import MESSAGING_SERVICE, PHONE_NUMBER, TWILIO_ACCOUNT, Kind
from automations.demo.tally import Arrival
from automations.demo.wire import Message, encode

_SLACK_TEXT = re.compile(
    r"(?P<flow>\S+) / (?P<run>\S+) (?P<state>\w+): (?P<message>.*)\n"
    r"\S+/flow-run/(?P<subject_id>[0-9a-f-]{36}) \((?P<timestamp>\S+)\)"
)
_SMS_TEXT = re.compile(
    r"(?P<flow>\S+) / (?P<run>\S+) (?P<message>.*)\n"
    r"\S+/flow-run/(?P<subject_id>[0-9a-f-]{36}) \((?P<timestamp>\S+)\)\n— .+"
)
_TWILIO_PATH = f"/2010-04-01/Accounts/{TWILIO_ACCOUNT}/Messages.json"


class Refused(Exception):
    """It is not what it should be."""


class Providers:
    """Those who are told over HTTP. `take` raises Refused, KeyError or ValueError for what they would not accept."""

    def __init__(self, *, signing_key: bytes, twilio_token: str) -> None:
        self._signing_key, self._twilio_token = signing_key, twilio_token
        self._texts: list[dict[str, str]] = []

    def take(self, request: Message, now: float) -> tuple[Arrival | None, bytes]:
        """What has arrived by this request, None where it only asks, and the answer."""
        method, target, _ = request.start.split(" ")
        if method == "POST" and target.startswith("/slack/"):
            return read_slack(request, now), encode("HTTP/1.1 200 OK", b"ok")
        if method == "POST" and target == "/runs":
            return read_webhook(request, self._signing_key, now), encode("HTTP/1.1 200 OK", b"thanks")
        if urlsplit(target).path != _TWILIO_PATH:
            raise Refused(f"nobody is at {target}")
        if not is_authorized(request, TWILIO_ACCOUNT, self._twilio_token):
            raise Refused("wrong account or token")
        if method == "GET":
            return None, self._list(dict(parse_qsl(urlsplit(target).query, strict_parsing=True)))
        return self._text(request, now)

    def _text(self, request: Message, now: float) -> tuple[Arrival, bytes]:
        form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        if form.keys() != {"To", "MessagingServiceSid", "Body"}:
            raise Refused(f"the fields are {sorted(form)}")
        if (form["To"], form["MessagingServiceSid"]) != (PHONE_NUMBER, MESSAGING_SERVICE):
            raise Refused("wrong number or messaging service")
        arrival = read_sms(form["Body"], now)
        made = {
            "sid": f"SM{len(self._texts):032x}",
            "to": form["To"],
            "body": form["Body"],
            "date_created": format_datetime(datetime.fromtimestamp(now, UTC)),
        }
        self._texts.append(made)
        return arrival, encode("HTTP/1.1 201 Created", orjson.dumps(made))

    def _list(self, query: Mapping[str, str]) -> bytes:
        """Every message, newest first: what Twilio tells a client that does not know whether its own arrived."""
        if query.keys() != {"To", "DateSent>", "PageSize"} or query["To"] != PHONE_NUMBER:
            raise Refused(f"asked for {dict(query)}")
        page = {"messages": self._texts[::-1], "next_page_uri": None}
        return encode("HTTP/1.1 200 OK", orjson.dumps(page))


def read_slack(request: Message, now: float) -> Arrival:
    """A message with the demo's text."""
    found = _groups(_SLACK_TEXT, html.unescape(orjson.loads(request.body)["text"]))
    happened_at = datetime.fromisoformat(found.pop("timestamp")).timestamp()
    return Arrival(kind=Kind.SLACK, happened_at=happened_at, arrived_at=now, **found)


def read_sms(text: str, now: float) -> Arrival:
    """A text message about a late run: its time is the one by which the run should have finished."""
    found = _groups(_SMS_TEXT, text)
    happened_at = datetime.fromisoformat(found.pop("timestamp")).timestamp()
    return Arrival(kind=Kind.SMS, state="Late", happened_at=happened_at, arrived_at=now, **found)


def read_webhook(request: Message, signing_key: bytes, now: float) -> Arrival:
    """An event that is signed with the key."""
    if not is_signed(request, signing_key):
        raise Refused("wrong signature")
    event = orjson.loads(request.body)
    return Arrival(
        kind=Kind.WEBHOOK,
        subject_id=event["flow_run_id"],
        state=event["state"],
        flow=event["flow_name"],
        run=event["flow_run_name"],
        message=event["state_message"] or "",
        happened_at=datetime.fromisoformat(event["timestamp"]).timestamp(),
        arrived_at=now,
        delivery_id=request.headers["webhook-id"],
    )


def is_signed(request: Message, key: bytes) -> bool:
    """Whether the signature is right (https://www.standardwebhooks.com)."""
    signed = "{webhook-id}.{webhook-timestamp}.".format_map(request.headers).encode() + request.body
    right = f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
    return any(hmac.compare_digest(given, right) for given in request.headers["webhook-signature"].split())


def is_authorized(request: Message, user: str, password: str) -> bool:
    """Whether the request names this user with this password (RFC 7617)."""
    right = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    return hmac.compare_digest(request.headers["authorization"], right)


def _groups(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise Refused(f"not the text that was asked for: {text!r}")
    return found.groupdict()
