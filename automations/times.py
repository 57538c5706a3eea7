"""Times as clients write them."""

from datetime import UTC, datetime

from automations.errors import InvalidInput


def parse_time(text: str) -> datetime:
    """An ISO 8601 time; a space may stand for the T, and no zone means UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:50]!r} is not an ISO 8601 time, such as 2026-01-31T09:30:00Z.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
