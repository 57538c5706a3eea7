"""How HTTP answers are judged: which are final, which are worth another try, and how long a receiver asks to wait."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from automations.actions.contract import Rejected, RetryLater
from automations.http import Answer

# Their answers say that nothing was processed, or that it might work in a moment (RFC 9110, sections 15.5.9, 15.6).
TRANSIENT_4XX = frozenset({408, 425, 429})


def judge(answer: Answer, *, receiver: str, transient: frozenset[int] = TRANSIENT_4XX) -> None:
    """Return for a 2xx; raise RetryLater for a transient status or a 5xx, and Rejected for any other."""
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status in transient:
        raise RetryLater(f"{receiver} answered {status}", retry_after(answer), answer=answer)
    if status >= 500:
        raise RetryLater(f"{receiver} answered {status}", retry_after(answer), unknown=True, answer=answer)
    redirected = " (redirects are not followed)" if 300 <= status < 400 else ""
    raise Rejected(f"{receiver} answered {status}{redirected}", answer)


def retry_after(answer: Answer) -> float | None:
    """Seconds of a Retry-After header, in either of its forms (RFC 9110, section 10.2.3); None where unreadable."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
