"""Fields of definitions as they come from outside, checked."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from automations.errors import InvalidInput

MOST_IDS = 1000
MOST_SECONDS = 366 * 24 * 3600


def ids_of(fields: Mapping[str, Any], name: str) -> tuple[UUID, ...]:
    """The ids of a field, each once; none where it is absent or null."""
    ids: Sequence[Any] = fields.get(name) or ()
    if len(ids) > MOST_IDS:
        raise InvalidInput(f"{name} takes {MOST_IDS} ids at most; {len(ids)} were given.")
    return tuple(dict.fromkeys(item if isinstance(item, UUID) else UUID(item) for item in ids))


def seconds_of(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A field of whole seconds, from 1 second to a year."""
    return _whole_number(fields, name, default, most=MOST_SECONDS)


def count_of(fields: Mapping[str, Any], name: str, default: int) -> int:
    """A field that counts something, from 1."""
    return _whole_number(fields, name, default, most=MOST_IDS)


def _whole_number(fields: Mapping[str, Any], name: str, default: int | None, *, most: int) -> int:
    value = fields.get(name)
    if value is None:
        value = default
    if not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{name} must be a whole number from 1 to {most}.")
    return value


def refuse_unknown(field: str, asked: Sequence[UUID], known: Sequence[UUID]) -> None:
    """InvalidInput that names ids which do not exist."""
    unknown = set(asked) - set(known)
    if unknown:
        listed = ", ".join(sorted(str(item) for item in unknown)[:5])
        raise InvalidInput(f"{field} has ids that do not exist: {listed}.")
