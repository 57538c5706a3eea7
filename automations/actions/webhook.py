"""Any HTTP receiver: a JSON body, Prefect's event header, and Standard Webhooks signatures."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlsplit

import orjson

from automations.actions.answers import judge
from automations.actions.contract import (
    Action,
    Delivery,
    InvalidConfig,
    Rejected,
    Sent,
    Tools,
    json_template,
    plain,
    secret,
)
from automations.http import Refused, check_headers, check_url
from automations.messages import JSON, render, render_json

BODY_BYTES = 256_000
# Of each text of the event where whole ones would be too much.
TEXT_CHARACTERS = 8000
# Of a header that holds values of the event: a message of 100 kB is for the body.
HEADER_CHARACTERS = 2000
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every such secret, not one
# Set by this client: a receiver must be able to rely on them.
AUTOMATION, TEST = "x-automations-automation", "x-automations-test"
_OWN_HEADERS = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature", "x-prefect-event-id", AUTOMATION, TEST}
)
NAME_CHARACTERS = 200
_READABLE = " !#$&'()*+,/:;=?@[]"  # what else of a name is not ASCII, or could end a header, is percent-encoded
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Webhook(Action):
    """A POST of JSON to any URL."""

    KEY: ClassVar = "webhook"
    TYPE: ClassVar = "WebhookAction"

    url: str | None = plain("The URL, or use url_secret.", default=None)
    url_secret: str | None = secret("Name of the secret that holds the URL, where the URL itself is one.", default=None)
    payload: JSON = json_template("The body, with {attributes} in keys and strings; all of the event by default.")
    headers: JSON = json_template("Further headers: an object of strings, with {attributes}.")
    signing_secret: str | None = secret(
        "Name of the secret that signs (Standard Webhooks): whsec_ and base64 of 24 to 64 bytes.", default=None
    )

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_secret):
            raise InvalidConfig("webhook takes either url or url_secret.")
        try:
            if self.url:
                check_url(self.url)
            _check_headers(self.headers)
        except Refused as error:
            raise InvalidConfig(f"webhook: {error}") from None

    @classmethod
    def example(cls) -> Self:
        return cls(url="https://hooks.example.com/runs", payload={"run": "{flow_run_name}", "state": "{state}"})

    @property
    def destination(self) -> str:
        if not self.url:
            return f"webhook:secret:{self.url_secret}"
        parts = urlsplit(self.url)
        return f"webhook:{parts.scheme}://{(parts.hostname or '').lower()}:{parts.port or parts.scheme}"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        content = _body(self.payload, delivery.event)
        if len(content) > BODY_BYTES:
            content = _body(self.payload, _cut(delivery.event))
        headers = {
            "content-type": "application/json",
            AUTOMATION: quote(delivery.automation_name[:NAME_CHARACTERS], safe=_READABLE),
            **({TEST: "true"} if delivery.is_test else {}),
            **({"traceparent": tools.traceparent} if tools.traceparent else {}),
        }
        further = _headers(self.headers, delivery)  # may be credentials
        tools.request = {"body": orjson.loads(content), "headers": headers | dict.fromkeys(further, "(hidden)")}
        headers |= further
        if len(content) > BODY_BYTES:
            raise Rejected(f"The body has {len(content)} bytes; a webhook may have {BODY_BYTES}. Shorten the payload.")
        headers |= {"x-prefect-event-id": str(delivery.event["id"]), "webhook-id": str(delivery.id)}
        headers["webhook-timestamp"] = str(int(time.time()))
        if self.signing_secret:
            headers["webhook-signature"] = sign(
                tools.secret(self.signing_secret), headers["webhook-id"], headers["webhook-timestamp"], content
            )
        url = self.url or tools.secret(str(self.url_secret)).strip()
        answer = await tools.post(url, content=content, headers=headers)
        if answer.status_code == 410:  # RFC 9110, section 15.5.11; Standard Webhooks: disable the endpoint
            raise Rejected("The receiver answered 410: it is gone for good", answer, pauses=True)
        judge(answer, receiver="The receiver")
        return Sent(answer)


def sign(secret_value: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The webhook-signature header (https://www.standardwebhooks.com): one `v1,` signature for each key.

    Several keys, separated by spaces, are for the time of a rotation. Rejected where a key is malformed.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(text), signed, hashlib.sha256)).decode()
        for text in secret_value.split() or [""]
    )


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise Rejected("The signing secret must be whsec_ followed by base64 of 24 to 64 bytes")
    return key


def _body(payload: Any, event: Mapping[str, Any]) -> bytes:
    return orjson.dumps(dict(event) if payload is None else render_json(payload, event))


def _cut(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value[:TEXT_CHARACTERS] if isinstance(value, str) else value for name, value in event.items()}


def _headers(headers: Any, delivery: Delivery) -> dict[str, str]:
    """The headers with the event's values in them, which may hold line breaks and be long."""
    rendered = {}
    for name, template in (headers or {}).items():
        value = render(template, delivery.event)
        rendered[name.lower()] = value if value == template else _CONTROL.sub(" ", value)[:HEADER_CHARACTERS]
    return rendered


def _check_headers(headers: Any) -> None:
    if headers is None:
        return
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise InvalidConfig('webhook.headers must be an object of strings, such as {"X-Team": "data"}.')
    for name in headers:
        if name.lower() in _OWN_HEADERS:
            raise InvalidConfig(f"webhook.headers must not set {name}: it is set for every webhook.")
    check_headers(headers)
