"""Keys of a mapping in a file, checked: unknown ones, missing ones, and values of the wrong kind are problems."""

import re
from collections.abc import Collection

from automations.files.problems import Problems, suggestion
from automations.files.source import Value

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))


def mapping(value: Value, what: str, known: Collection[str], problems: Problems) -> dict[str, Value]:
    """The keys of a mapping that are known and not null; the others are problems."""
    if not isinstance(value.value, dict):
        problems.add(value.place, f"{what} must be a mapping with the keys {', '.join(known)}.")
        return {}
    for key, item in value.value.items():
        if key not in known:
            hint = suggestion(key, known) or f" Its keys are {', '.join(known)}."
            problems.add(item.place, f"{what} has no key {key!r}.{hint}")
    return {key: item for key, item in value.value.items() if key in known and item.value is not None}


def one_key(value: Value, what: str, known: Collection[str], problems: Problems) -> tuple[str, Value] | None:
    """The only key of a mapping, and what is under it."""
    if isinstance(value.value, dict) and len(value.value) == 1:
        [(key, inner)] = value.value.items()
        if key in known:
            return key, inner
        problems.add(
            value.place, f"{what} {key!r} does not exist.{suggestion(key, known)} There are {', '.join(known)}."
        )
    else:
        problems.add(value.place, f"{what} takes exactly one key of {', '.join(known)}.")
    return None


def text(value: Value, what: str, problems: Problems) -> str | None:
    """A text."""
    if isinstance(value.value, str):
        return value.value
    hint = ": write it in quotes" if isinstance(value.value, int | float) else ""
    problems.add(value.place, f"{what} must be a text{hint}.")
    return None


def texts(value: Value, what: str, problems: Problems) -> list[str]:
    """A list of texts; a single one is a list of one."""
    items = value.value if isinstance(value.value, list) else [value]
    read = [text(item, f"Each of {what}" if item is not value else what, problems) for item in items]
    return [item for item in read if item is not None]


def count(value: Value, what: str, problems: Problems) -> int | None:
    """A whole number."""
    if isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    problems.add(value.place, f"{what} must be a whole number.")
    return None


def switch(value: Value, what: str, problems: Problems) -> bool | None:
    """True or false."""
    if isinstance(value.value, bool):
        return value.value
    problems.add(value.place, f"{what} must be true or false.")
    return None


def duration(value: Value, what: str, problems: Problems) -> int | None:
    """Seconds, of a number of them or a text such as 1h30m."""
    if isinstance(value.value, int) and not isinstance(value.value, bool):
        return value.value
    match = _DURATION.fullmatch(value.value) if isinstance(value.value, str) and value.value else None
    if match is None:
        problems.add(value.place, f"{what} must be a duration such as 90s, 10m or 1h30m.")
        return None
    return sum(int(number or 0) * seconds for number, seconds in zip(match.groups(), _UNITS.values(), strict=True))


def duration_text(seconds: int) -> str:
    """Seconds as files have them, in the largest unit that gives a whole number."""
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"
