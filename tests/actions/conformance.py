"""What every action client must hold to. A client is covered by standing in CLIENTS; where it differs from the table
of defaults below, it says so in DIFFERENCES, and nothing else here changes.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from automations.actions import CLIENTS
from automations.actions.contract import Action, Rejected, RetryLater, Sent, secret_names, values_of_kind
from automations.actions.pagerduty import PagerDutyNotification
from automations.actions.webhook import Webhook
from automations.events import EVENT_TYPES, EventType
from tests.canaries import CANARY
from tests.receivers import Behaviour, Received, drip, hang_up, never_answer, reply, reply_bytes, reset

SENT, REJECTED, RETRY, UNKNOWN = "sent", "rejected", "again", "again, although it may have arrived"

STATUSES: Mapping[int, str] = {
    **dict.fromkeys((200, 201, 202, 204), SENT),
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), REJECTED),
    **dict.fromkeys((400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 451), REJECTED),
    **dict.fromkeys((408, 425, 429), RETRY),
    **dict.fromkeys((500, 501, 502, 503, 504, 529, 599), UNKNOWN),
}

FAILURES: Mapping[str, tuple[Behaviour, str]] = {
    "resets after reading": (reset, UNKNOWN),
    "hangs up after reading": (hang_up, UNKNOWN),
    "never answers": (never_answer, UNKNOWN),
    "drips without an end": (drip(), UNKNOWN),
    "does not speak HTTP": (reply_bytes(b"SSH-2.0-OpenSSH_9.9\r\n"), UNKNOWN),
}

HOSTILE: Mapping[str, str] = {
    "mention": "<!channel> & <@U0123> @everyone",
    "line breaks": "etl\r\nX-Injected: yes\r\n\r\nGET /injected HTTP/1.1\r\n\r\n",
    "emoji": "🦄 👩‍👩‍👧‍👦 é",
    "right to left": "\u202etxet\u202c\u200f\u2066",
    "NUL": "a\0b",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\u2029\ufeff",
    "braces": "{state} {{x}} {unknown} {0} %s ${x}",
    "quotes": "\"'\\`\\u0000\\n</script>",
    "empty": "",
    "100 kB": "x" * 100_000,
    "100 kB of escapes": "<&>\n" * 25_000,
}

every_event = pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=lambda event_type: event_type.key)

_TEXTS = ("flow_name", "state_message", "state", "problem_message")


def texts_of(event_type: EventType, text: str) -> dict[str, Any]:
    """What people and programs may have written into such an event, all of it this text."""
    return {name: text for name in _TEXTS if name in event_type.attributes}


@dataclass(frozen=True)
class Differences:
    """Where a client differs from the defaults.

    `success` is what the receiver answers when all is well. `secrets` gives for a field that names a secret a value
    in the form it must have; a URL or a plain text by default. `variants` are further configs to test beside the
    example. `identity` reads from a request what must be the same on every try. A client that does not
    `speak_http` proves its outcomes in its own test.
    """

    success: Behaviour = field(default_factory=reply)
    statuses: Mapping[int, str] = field(default_factory=dict)
    oversized: str = SENT
    secrets: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[Action, ...] = ()
    identity: Callable[[Received], object] | None = None
    read_body: Callable[[bytes], object] = orjson.loads
    speaks_http: bool = True


SIGNING_SECRET = "whsec_" + base64.b64encode(f"{CANARY}-and-some-more".encode()).decode()

DIFFERENCES: Mapping[str, Differences] = {
    "slack_notification": Differences(
        statuses={408: REJECTED, 425: REJECTED, 201: REJECTED, 202: REJECTED, 204: REJECTED},
        oversized=REJECTED,
    ),
    "teams_webhook_notification": Differences(success=reply(202, b"")),
    "twilio_notification": Differences(
        success=reply(201, b'{"sid": "SM0123456789abcdef0123456789abcdef"}'),
        statuses=dict.fromkeys((200, 201, 202, 204, 408, 425), REJECTED),
        oversized=REJECTED,
        read_body=lambda body: parse_qs(body.decode("ascii"), strict_parsing=True),
    ),
    "pagerduty_notification": Differences(
        success=reply(202, b'{"status": "success", "message": "Event processed", "dedup_key": "x"}'),
        statuses=dict.fromkeys((200, 201, 204), REJECTED),
        oversized=REJECTED,
        variants=(PagerDutyNotification(routing_key="R" * 32, severity="CRITICAL", api_token_secret="UNUSED"),),
        identity=lambda received: orjson.loads(received.body)["dedup_key"],
    ),
    "email_notification": Differences(speaks_http=False),
    "webhook": Differences(
        secrets={"signing_secret": SIGNING_SECRET},
        variants=(
            Webhook(url="https://hooks.example.com/all"),
            Webhook(
                url_secret="HOOK",
                signing_secret="SIGNING",
                payload={"text": "{flow_name}: {state_message}", "{flow_run_name}": ["{message}", 1, None]},
                headers={"X-Flow": "{flow_name}", "X-Message": "{state_message}", "Authorization": "Bearer abc"},
            ),
        ),
        identity=lambda received: received.headers["webhook-id"],
    ),
    "cancel_flow_run": Differences(speaks_http=False),
    "pause_schedule": Differences(speaks_http=False),
    "create_flow_run": Differences(speaks_http=False),
}


@dataclass(frozen=True)
class Subject:
    """A client under test with one config of its."""

    action: Action
    differences: Differences
    name: str

    @property
    def secrets(self) -> dict[str, str]:
        """Values for all secrets that the config names: each holds the canary."""
        return {
            name: self.differences.secrets.get(field_name)
            or (f"https://hooks.example.com/{CANARY}/{CANARY}?sig={CANARY}" if "url" in field_name else CANARY)
            for field_name, name in values_of_kind(self.action, "secret")
        }

    @property
    def target(self) -> str | None:
        return self.action.targets[0]

    def expects(self, status: int) -> str:
        return {**STATUSES, **self.differences.statuses}[status]


def subjects(*, speaking_http: bool = False, with_secrets: bool = False, variants: bool = True) -> list[Subject]:
    """Every client with its example and its variants, or those of them that do something."""
    return [
        Subject(action, differences, f"{client.KEY}-{number}")
        for client in CLIENTS
        for differences in [DIFFERENCES.get(client.KEY, Differences())]
        for number, action in enumerate((client.example(), *differences.variants) if variants else (client.example(),))
        if (differences.speaks_http or not speaking_http) and (secret_names(action) or not with_secrets)
    ]


def judged(result: Sent | Rejected | RetryLater) -> str:
    """The outcome in the words of the tables above."""
    if isinstance(result, Sent):
        return SENT
    if isinstance(result, Rejected):
        return REJECTED
    return UNKNOWN if result.unknown else RETRY


def echo(status: int = 400) -> Behaviour:
    """Answer with everything that came, as debugging receivers and proxies do."""

    async def behave(received: Received, writer: Any) -> None:
        fields = "".join(f"{name}: {value}\n" for name, value in received.headers.items())
        told = f"{received.method} {received.path}\n{fields}\n".encode() + received.body
        await reply(status, told)(received, writer)

    return behave
