"""Clocks as Prefect 1 serializes them, and the times that they name: `prefect.schedules.clocks` 1.4.1.

A clock's times are in its own zone, rise, and may never end. Where wall clocks are set back, an hour that comes twice
counts the first time; where they are set forward, a time that does not come counts when they go on.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from automations.errors import InvalidInput

SHORTEST_INTERVAL: Final = timedelta(minutes=1)
LONGEST_INTERVAL: Final = timedelta(days=36_525)
CRON_CHARACTERS: Final = 200
_DAY: Final = timedelta(days=1)
_NO_START: Final = datetime(2019, 1, 1, tzinfo=UTC)  # where intervals are counted from that have no start_date
_NO_END: Final = datetime(9000, 1, 1, tzinfo=UTC)
_YEARS: Final = range(1900, 9000)
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)")
_RANDOM: Final = re.compile(r"r(\(.*\))?(/.*)?", re.IGNORECASE)  # another time whenever one looks


@dataclass(frozen=True)
class Clock:
    """Times after one that is given (in UTC), and what the runs of these times get; `labels` None: the flow's own."""

    times: Callable[[datetime], Iterator[datetime]]
    parameters: Mapping[str, Any]
    labels: tuple[str, ...] | None


def read_clock(serialized: Any) -> Clock:
    """The clock; InvalidInput says what is wrong with it."""
    kind = serialized.get("type") if isinstance(serialized, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidInput(f"A clock must be of the type {', '.join(_READERS)}; {str(kind)[:50]} is not one of them.")
    parameters, labels = serialized.get("parameter_defaults") or {}, serialized.get("labels")
    if not isinstance(parameters, dict):
        raise InvalidInput("A clock's parameter_defaults must be an object.")
    if labels is not None and not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        raise InvalidInput("A clock's labels must be a list of strings.")
    return Clock(reader(serialized), parameters, None if labels is None else tuple(labels))


def read_moment(serialized: Any) -> datetime:
    """A time in its zone: {"dt": "2026-01-31T09:00:00", "tz": "Europe/Berlin"}, or ISO 8601, where no zone is UTC."""
    text, zone = (serialized.get("dt"), serialized.get("tz")) if isinstance(serialized, dict) else (serialized, None)
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.year not in _YEARS:
        raise InvalidInput(f"A schedule has the time {str(text)[:50]!r}: it takes ISO 8601, from the year 1900 on.")
    return moment if moment.tzinfo else moment.replace(tzinfo=_read_zone(zone or "UTC"))


def _read_zone(name: Any) -> tzinfo:
    try:
        offset = _OFFSET.fullmatch(name)
        if offset is None:
            return ZoneInfo(name)
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    except (KeyError, TypeError, ValueError, OSError):  # what ZoneInfo raises for a name, for a path and for a folder
        raise InvalidInput(f"A schedule names the time zone {str(name)[:50]!r}, which there is not.") from None


def _read_cron(serialized: dict[str, Any]) -> Callable[[datetime], Iterator[datetime]]:
    cron, day_or = serialized.get("cron"), serialized.get("day_or") is not False
    if not isinstance(cron, str) or len(cron) > CRON_CHARACTERS or not croniter.is_valid(cron):
        raise InvalidInput(f"The cron string {str(cron)[:CRON_CHARACTERS]!r} is not valid.")
    if any(_RANDOM.fullmatch(part) for part in re.split(r"[\s,]+", cron)):
        raise InvalidInput(f"The cron string {cron!r} names random times: a schedule's times must stay the same.")
    start, end = _limits(serialized)

    def times(after: datetime) -> Iterator[datetime]:
        if start is not None:  # itself may be one of the times
            after = max(after, start.astimezone(UTC) - timedelta(seconds=1))
        found = croniter(cron, after.astimezone(UTC if start is None else start.tzinfo), day_or=day_or)
        while True:
            try:
                time: datetime = found.get_next(datetime)
            except CroniterBadDateError:  # there is no such day any more
                return
            if time > end:
                return
            if time > after and not time.fold:
                yield time

    return times


def _read_interval(serialized: dict[str, Any]) -> Callable[[datetime], Iterator[datetime]]:
    microseconds = serialized.get("interval")
    try:
        interval = timedelta(microseconds=microseconds)  # type: ignore[arg-type]
    except (TypeError, OverflowError, ValueError):
        raise InvalidInput("A clock's interval must be a number of microseconds.") from None
    if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        raise InvalidInput("A clock's interval must be a minute or longer, and not longer than a hundred years.")
    start, end = _limits(serialized)
    first = start or _NO_START
    # A day or longer keeps the hour of the day, shorter ones keep their distance: "2 a.m. every day", "every hour".
    counted = first.replace(tzinfo=None) if interval >= _DAY else first.astimezone(UTC)

    def nth(number: int) -> datetime:
        time = counted + number * interval
        if interval >= _DAY:
            time = time.replace(tzinfo=first.tzinfo)
        return time.astimezone(UTC).astimezone(first.tzinfo)

    def times(after: datetime) -> Iterator[datetime]:
        number = max(0, (after - first) // interval - 1)  # zones differ in their hours by less than an interval
        while (time := nth(number)) <= end:
            if time > after:
                yield time
            number += 1

    return times


def _read_dates(serialized: dict[str, Any]) -> Callable[[datetime], Iterator[datetime]]:
    dates = serialized.get("dates")
    if not isinstance(dates, list):
        raise InvalidInput("A clock's dates must be a list of times.")
    moments = sorted(map(read_moment, dates), key=lambda moment: moment.astimezone(UTC))
    return lambda after: (moment for moment in moments if moment > after)


def _limits(serialized: dict[str, Any]) -> tuple[datetime | None, datetime]:
    """The first moment, in its zone, and the last one, in UTC."""
    start, end = serialized.get("start_date"), serialized.get("end_date")
    return (
        None if start is None else read_moment(start),
        _NO_END if end is None else read_moment(end).astimezone(UTC),
    )


_READERS: Final = {"CronClock": _read_cron, "IntervalClock": _read_interval, "DatesClock": _read_dates}
