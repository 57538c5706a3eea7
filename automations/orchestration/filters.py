"""Filters and adjustments of a schedule, as Prefect 1 serializes them: a function's name and its arguments.

There are those of `prefect.schedules` 1.4.1: its clients serialize no others. They look at a time in its clock's zone.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, get_type_hints

from automations.errors import InvalidInput
from automations.orchestration.clocks import read_moment

Filter = Callable[[datetime], bool]
Adjustment = Callable[[datetime], datetime]

_LONGEST_ADDED: Final = timedelta(days=36_525)


def read_filter(serialized: Any) -> Filter:
    """Whether a time counts; InvalidInput where there is no such filter."""
    made: Filter = _read(serialized, "prefect.schedules.filters.", _FILTERS)
    return made


def read_adjustment(serialized: Any) -> Adjustment:
    """The time that stands for a time; InvalidInput where there is no such adjustment."""
    made: Adjustment = _read(serialized, "prefect.schedules.adjustments.", _ADJUSTMENTS)
    return made


def _read(serialized: Any, module: str, known: Mapping[str, Callable[..., Any]]) -> Any:
    name = serialized.get("fn") if isinstance(serialized, dict) else None
    make = known.get(name.removeprefix(module)) if isinstance(name, str) else None
    if make is None:
        raise InvalidInput(f"A schedule names {str(name)[:100]!r}; there are {', '.join(map(module.__add__, known))}.")
    takes = {key: type_ for key, type_ in get_type_hints(make).items() if key != "return"}
    try:
        given = {key: _value(value) for key, value in (serialized.get("kwargs") or {}).items()}
    except (AttributeError, ValueError, OverflowError):
        given = None
    if given is None or {key: type(value) for key, value in given.items()} != takes:
        raise InvalidInput(f"A schedule names {name} with arguments that it does not take.")
    return make(**given)


def _value(value: Any) -> Any:
    """An argument: `//time:09:00:00` is a time, `//datetime:…` a moment, `//timedelta:60.0` a number of seconds."""
    kind, _, text = value.removeprefix("//").partition(":") if isinstance(value, str) else ("", "", "")
    match kind:
        case "datetime":
            return read_moment(text)
        case "time":
            return time.fromisoformat(text).replace(tzinfo=None)
        case "timedelta":
            return min(max(timedelta(seconds=float(text)), -_LONGEST_ADDED), _LONGEST_ADDED)
    return value


def _on_datetime(dt: datetime) -> Filter:
    return lambda moment: moment == dt


def _between_datetimes(start: datetime, end: datetime) -> Filter:
    return lambda moment: start <= moment <= end


def _on_date(month: int, day: int) -> Filter:
    return lambda moment: (moment.month, moment.day) == (month, day)


def _between_dates(start_month: int, start_day: int, end_month: int, end_day: int) -> Filter:
    start, end = (start_month, start_day), (end_month, end_day)
    if start_month <= end_month:
        return lambda moment: start <= (moment.month, moment.day) <= end
    return lambda moment: (moment.month, moment.day) >= start or (moment.month, moment.day) <= end


def _at_time(t: time) -> Filter:
    return lambda moment: moment.time() == t


def _between_times(start: time, end: time) -> Filter:
    if start <= end:
        return lambda moment: start <= moment.time() <= end
    return lambda moment: moment.time() >= start or moment.time() <= end


def _is_weekday() -> Filter:
    return lambda moment: moment.weekday() < 5


def _is_weekend() -> Filter:
    return lambda moment: moment.weekday() >= 5


def _is_day_of_week(day_of_week: int) -> Filter:
    return lambda moment: moment.weekday() == day_of_week


def _is_month_start() -> Filter:
    return lambda moment: moment.day == 1


def _is_month_end() -> Filter:
    return lambda moment: (moment + timedelta(days=1)).month != moment.month


def _add(interval: timedelta) -> Adjustment:
    return lambda moment: (moment.astimezone(UTC) + interval).astimezone(moment.tzinfo)


def _next_weekday() -> Adjustment:
    return lambda moment: moment + timedelta(days=(0, 0, 0, 0, 0, 2, 1)[moment.weekday()])


_FILTERS: Final[Mapping[str, Callable[..., Filter]]] = {
    "on_datetime": _on_datetime,
    "on_date": _on_date,
    "at_time": _at_time,
    "between_datetimes": _between_datetimes,
    "between_dates": _between_dates,
    "between_times": _between_times,
    "is_weekday": _is_weekday,
    "is_weekend": _is_weekend,
    "is_month_end": _is_month_end,
    "is_month_start": _is_month_start,
    "is_day_of_week": _is_day_of_week,
}
_ADJUSTMENTS: Final[Mapping[str, Callable[..., Adjustment]]] = {"add": _add, "next_weekday": _next_weekday}
