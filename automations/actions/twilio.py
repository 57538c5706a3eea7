"""Text messages by Twilio (https://www.twilio.com/docs/messaging/api/message-resource), one delivery a number.

Twilio knows no idempotency key. After an attempt of unknown outcome its list is asked whether the number got the very
text since the delivery was owed; the text itself carries no mark. See `TwilioNotification.run`.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import orjson
import phonenumbers

from automations.actions.answers import judge, retry_after
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
    require_text,
    secret,
    template,
)
from automations.actions.wording import one_line, printable
from automations.http import Answer
from automations.http.client import KEPT_BYTES
from automations.messages import render

BODY_CHARACTERS = 1600  # counted as UTF-16 does: an emoji has two
NAME_CHARACTERS = 80
MOST_NUMBERS = 50
PAGE = 50
REPEATED = "(Perhaps a repeat) "
QUEUE_IS_FULL = 21611  # https://www.twilio.com/docs/api/errors/21611
# Our clock and theirs may differ by so much.
SKEW = timedelta(minutes=2)


@dataclass(frozen=True)
class TwilioNotification(Action):
    """A text message to each of some phone numbers, by a Twilio messaging service."""

    KEY: ClassVar = "twilio_notification"
    TYPE: ClassVar = "TwilioNotificationAction"
    # https://www.twilio.com/docs/messaging/api/message-resource: a number sends about one segment a second, the service
    # queues what is more; an account is asked at this pace.
    PER_SECOND: ClassVar = 10.0
    BURST: ClassVar = 10

    account_sid: str = plain("The account's SID: AC and 32 characters.")
    auth_token_secret: str = secret("Name of the secret that holds the account's auth token.")
    messaging_service_sid: str = plain("The messaging service's SID: MG and 32 characters.")
    phone_numbers: list[str] = plain("Phone numbers, as people write them; they are stored in E.164 (+15555555555).")
    message: str | None = template("The message, with {attributes} of the event; the event's own by default.")

    def __post_init__(self) -> None:
        require_text(self, "account_sid", "auth_token_secret", "messaging_service_sid")
        for name, prefix in (("account_sid", "AC"), ("messaging_service_sid", "MG")):
            sid = getattr(self, name)
            if not sid.startswith(prefix) or not sid.isascii() or not sid.isalnum():
                raise InvalidConfig(f"{self.KEY}.{name} must be {prefix} followed by letters and digits.")
        if not 1 <= len(self.phone_numbers) <= MOST_NUMBERS:
            raise InvalidConfig(f"{self.KEY}.phone_numbers takes 1 to {MOST_NUMBERS} numbers.")

    @classmethod
    def canonical(cls, config: dict[str, Any], choices: Choices) -> dict[str, Any]:
        """Numbers in E.164: what a saved action means must not change with the operator's country."""
        numbers = config.get("phone_numbers")
        if not isinstance(numbers, list):
            return config
        return config | {
            "phone_numbers": list(dict.fromkeys(e164(number, choices.phone_country) for number in numbers))
        }

    @classmethod
    def example(cls) -> Self:
        return cls(
            account_sid="AC0123456789abcdef0123456789abcdef",
            auth_token_secret="TWILIO_TOKEN",  # noqa: S106
            messaging_service_sid="MG0123456789abcdef0123456789abcdef",
            phone_numbers=["+15555555555"],
            message="{flow_name}: {state_message}",
        )

    @property
    def destination(self) -> str:
        return f"twilio:{self.account_sid}"

    @property
    def targets(self) -> Sequence[str | None]:
        return tuple(self.phone_numbers)

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        """Send it; where it may have arrived before, only if Twilio does not have it.

        Where Twilio cannot tell, it is sent once more with a mark before it, and an unknown outcome of that is final.
        """
        number = require_target(self, delivery)
        token = tools.secret(self.auth_token_secret).strip()
        headers = {"authorization": "Basic " + base64.b64encode(f"{self.account_sid}:{token}".encode()).decode()}
        text = self._text(delivery)
        is_repeat = False
        if delivery.may_have_arrived:
            tools.request = {"asked": {"To": number}}
            found = await self._find(delivery, text, tools, headers)
            if found == FOUND:
                return Sent(note="Twilio has this message since an earlier attempt; it was not sent again")
            is_repeat = found == UNKNOWN
        try:
            return await self._send(delivery, self._text(delivery, REPEATED) if is_repeat else text, tools, headers)
        except RetryLater as error:
            if is_repeat and error.unknown:
                raise Rejected(
                    f"{error.reason}; it was sent twice at most and is not repeated again", error.answer
                ) from error
            raise

    async def _send(self, delivery: Delivery, text: str, tools: Tools, headers: Mapping[str, str]) -> Sent:
        form = {"To": delivery.target, "MessagingServiceSid": self.messaging_service_sid, "Body": text}
        tools.request = form
        answer = await tools.post(
            self._messages_url(tools.choices),
            content=urlencode(form).encode(),
            headers={**headers, "content-type": "application/x-www-form-urlencoded"},
        )
        _judge(answer)
        if answer.status_code != 201 or (len(answer.body) < KEPT_BYTES and not _object(answer).get("sid")):
            raise Rejected(f"Twilio answered {answer.status_code}, but not with a message that it made", answer)
        return Sent(answer)

    async def _find(self, delivery: Delivery, text: str, tools: Tools, headers: Mapping[str, str]) -> str:
        """Whether the number got this text since the delivery was owed: FOUND, MISSING or UNKNOWN."""
        since = delivery.created - SKEW
        query = urlencode({"To": delivery.target, "DateSent>": f"{since:%Y-%m-%d}", "PageSize": PAGE})
        answer = await tools.get(f"{self._messages_url(tools.choices)}?{query}", headers=headers)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise RetryLater(
                f"An earlier attempt may have arrived, and Twilio answered {answer.status_code} when asked",
                retry_after(answer),
                answer=answer,
            )
        listed = _object(answer) if answer.status_code == 200 else {}
        messages = listed.get("messages")
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            return UNKNOWN
        # A trial account puts words of Twilio's own before the text.
        if any(str(message.get("body")).endswith(text) and _is_since(message, since) for message in messages):
            return FOUND
        return UNKNOWN if listed.get("next_page_uri") else MISSING

    def _messages_url(self, choices: Choices) -> str:
        return f"{choices.twilio_url.rstrip('/')}/2010-04-01/Accounts/{self.account_sid}/Messages.json"

    def _text(self, delivery: Delivery, prefix: str = "") -> str:
        before = prefix + ("Test: " if delivery.is_test else "")
        after = f"\n— {one_line(delivery.automation_name, NAME_CHARACTERS)}"
        message = printable(render(self.message or "{message}", delivery.event)).strip() or "(The message is empty.)"
        return before + cut(message, BODY_CHARACTERS - units(before) - units(after)) + after


FOUND, MISSING, UNKNOWN = "found", "missing", "unknown"


def e164(number: str, country: str) -> str:
    """A number as people write it in E.164; InvalidConfig where it cannot be one. `country` is for those without."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or parsed.extension or not phonenumbers.is_possible_number(parsed):
        raise InvalidConfig(
            f"{TwilioNotification.KEY}.phone_numbers: {number[:40]!r} is not a phone number; "
            "write it with its country, such as +1 555 555 5555."
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def units(text: str) -> int:
    """Length as UTF-16 counts it."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, most: int) -> str:
    """At most so many UTF-16 units, with an ellipsis where some were cut."""
    if units(text) <= most:
        return text
    kept = text[: most - 1]
    while units(kept) > most - 1:
        kept = kept[: len(kept) - max(1, (units(kept) - most + 1) // 2)]
    return f"{kept}…"


def _judge(answer: Answer) -> None:
    """As other answers are judged; a full queue is worth another try, whatever its status."""
    problem = _object(answer) if answer.status_code >= 400 else {}
    code = problem.get("code")
    receiver = "Twilio" if code is None else f"Twilio (code {code}, {one_line(str(problem.get('message')), 200)})"
    if code == QUEUE_IS_FULL:
        raise RetryLater(f"{receiver} answered {answer.status_code}", retry_after(answer), answer=answer)
    judge(answer, receiver=receiver, transient=frozenset({429}))


def _is_since(message: Mapping[str, Any], since: datetime) -> bool:
    try:
        return parsedate_to_datetime(str(message.get("date_created"))) >= since
    except (ValueError, TypeError):
        return False


def _object(answer: Answer) -> dict[str, Any]:
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
