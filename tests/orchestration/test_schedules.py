"""The times that schedules name: clocks in their zones, filters, adjustments, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from automations.errors import InvalidInput
from automations.orchestration.schedules import Event, read_schedule

FILTERS, ADJUSTMENTS = "prefect.schedules.filters.", "prefect.schedules.adjustments."
NEW_YORK, BERLIN, SANTIAGO = "America/New_York", "Europe/Berlin", "America/Santiago"
HOUR, DAY = 3600 * 10**6, 86400 * 10**6


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cron(text: str, zone: str | None = None, **more: Any) -> dict[str, Any]:
    start = {"start_date": {"dt": "2020-01-01T00:00:00", "tz": zone}} if zone else {}
    return {"type": "CronClock", "cron": text, **start, **more}


def interval(microseconds: Any, start: str | None = None, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    return {
        "type": "IntervalClock", "interval": microseconds,
        "start_date": {"dt": start, "tz": zone} if start else None, **more,
    }  # fmt: skip


def call(module: str, name: str, /, **kwargs: Any) -> dict[str, Any]:
    return {"fn": module + name, "kwargs": kwargs}


def events(
    *clocks: dict[str, Any], now: str, count: int = 4, latest: datetime | None = None, **more: Any
) -> list[Event]:
    return read_schedule({"clocks": [*clocks], **more}).next(count, now=at(now), latest=latest)


def times(*clocks: dict[str, Any], now: str, count: int = 4, **more: Any) -> list[str]:
    """The next times, in UTC, without their seconds."""
    return [f"{event.start_time:%m-%d %H:%M}" for event in events(*clocks, now=now, count=count, **more)]


@pytest.mark.parametrize(
    ("clock", "now", "expected"),
    [
        # Without a zone it is UTC, and a time that is now has been.
        (cron("0 9 * * *"), "2026-06-01T09:00:00", ["06-02 09:00", "06-03 09:00"]),
        (cron("0 9 * * mon-fri"), "2026-06-05T08:59:59", ["06-05 09:00", "06-08 09:00"]),
        # Nine o'clock stays nine o'clock.
        (cron("0 9 * * *", BERLIN), "2026-03-28T00:00:00", ["03-28 08:00", "03-29 07:00"]),
        # An hour that does not come: when clocks go on. In Santiago it is midnight.
        (cron("30 2 * * *", NEW_YORK), "2026-03-08T00:00:00", ["03-08 07:00", "03-09 06:30"]),
        (cron("0 0 * * *", SANTIAGO), "2026-09-05T12:00:00", ["09-06 04:00", "09-07 03:00"]),
        # An hour that comes twice counts once, the first time.
        (cron("0 * * * *", NEW_YORK), "2026-11-01T04:30:00", ["11-01 05:00", "11-01 07:00"]),
        (cron("30 1 * * *", NEW_YORK), "2026-11-01T04:30:00", ["11-01 05:30", "11-02 06:30"]),
        (cron("30 1 * * *", NEW_YORK), "2026-11-01T05:45:00", ["11-02 06:30", "11-03 06:30"]),
        # The start itself is one of the times.
        (cron("0 9 * * *", start_date={"dt": "2026-07-01T09:00:00", "tz": "UTC"}), "2026-06-01T00:00:00",
         ["07-01 09:00", "07-02 09:00"]),
        # Day and weekday: either, or both.
        (cron("0 0 13 * fri"), "2026-06-08T00:00:00", ["06-12 00:00", "06-13 00:00"]),
        (cron("0 0 13 * fri", day_or=False), "2026-06-08T00:00:00", ["11-13 00:00", "08-13 00:00"]),
        (cron("0 0 30 2 *"), "2026-06-08T00:00:00", []),
        # Intervals are counted from their start, or from a new year's midnight.
        (interval(HOUR), "2026-06-01T09:30:00", ["06-01 10:00", "06-01 11:00"]),
        (interval(HOUR, "2026-06-01T09:15:00"), "2026-06-01T09:15:00", ["06-01 10:15", "06-01 11:15"]),
        (interval(DAY, "2026-07-01T09:00:00", BERLIN), "2026-06-01T00:00:00", ["07-01 07:00", "07-02 07:00"]),
        (interval(HOUR, "2026-07-01T09:00:00", "+05:30"), "2026-07-01T03:00:00", ["07-01 03:30", "07-01 04:30"]),
        # A day or more keeps the hour of the day; less keeps its distance.
        (interval(DAY, "2026-03-01T09:00:00", BERLIN), "2026-03-28T00:00:00", ["03-28 08:00", "03-29 07:00"]),
        (interval(DAY, "2026-03-01T02:30:00", NEW_YORK), "2026-03-08T00:00:00", ["03-08 07:30", "03-09 06:30"]),
        (interval(HOUR, "2026-01-01T00:00:00", NEW_YORK), "2026-11-01T04:30:00", ["11-01 05:00", "11-01 06:00"]),
        (interval(HOUR, "2026-01-01T00:00:00", NEW_YORK), "2026-03-08T06:30:00", ["03-08 07:00", "03-08 08:00"]),
        # The end is the last one.
        (interval(HOUR, end_date={"dt": "2026-06-01T10:00:00", "tz": "UTC"}), "2026-06-01T09:30:00", ["06-01 10:00"]),
        (cron("0 * * * *", end_date={"dt": "2026-06-01T12:00:00", "tz": BERLIN}), "2026-06-01T09:30:00",
         ["06-01 10:00"]),
        ({"type": "DatesClock", "dates": [{"dt": "2026-06-02T09:00:00", "tz": "Asia/Tokyo"}, "2026-06-01T09:00:00Z"]},
         "2026-01-01T00:00:00", ["06-01 09:00", "06-02 00:00"]),
        ({"type": "DatesClock", "dates": []}, "2026-01-01T00:00:00", []),
    ],
)  # fmt: skip
def test_clock_names_its_next_times(clock: dict[str, Any], now: str, expected: list[str]) -> None:
    assert times(clock, now=now, count=2) == expected


def test_clocks_take_turns_and_one_time_is_one_run() -> None:
    assert times(cron("0 9 * * *"), cron("0 6,9 * * *"), now="2026-06-01T00:00:00") == [
        "06-01 06:00", "06-01 09:00", "06-02 06:00", "06-02 09:00",
    ]  # fmt: skip


def test_one_time_is_a_run_for_each_clock_that_gives_parameters_or_labels() -> None:
    clocks = [cron("0 9 * * *", parameter_defaults={"n": 1}), cron("0 9 * * *", labels=["a", "b"]), cron("0 9 * * *")]
    found = events(*clocks, now="2026-06-01T00:00:00", count=1)
    assert [(event.parameters, event.labels) for event in found] == [({"n": 1}, None), ({}, ("a", "b")), ({}, None)]
    assert found[2].key == "auto-scheduled:2026-06-01T09:00:00+00:00"
    assert len({event.key for event in found}) == 3
    assert found == events(*clocks, now="2026-06-01T00:00:00", count=1)


def test_no_time_up_to_the_latest_one_is_named_again() -> None:
    found = events(cron("0 * * * *"), now="2026-06-01T00:30:00", count=2, latest=at("2026-06-01T03:00:00"))
    assert [event.start_time for event in found] == [at("2026-06-01T04:00:00"), at("2026-06-01T05:00:00")]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"filters": [call(FILTERS, "is_weekday")]}, ["05-29 06:00", "05-29 12:00"]),
        ({"filters": [call(FILTERS, "is_weekend")]}, ["05-30 00:00", "05-30 06:00"]),
        ({"not_filters": [call(FILTERS, "is_weekday")]}, ["05-30 00:00", "05-30 06:00"]),
        ({"filters": [call(FILTERS, "is_month_start")]}, ["06-01 00:00", "06-01 06:00"]),
        ({"filters": [call(FILTERS, "is_month_end")]}, ["05-31 00:00", "05-31 06:00"]),
        ({"filters": [call(FILTERS, "is_day_of_week", day_of_week=6)]}, ["05-31 00:00", "05-31 06:00"]),
        ({"filters": [call(FILTERS, "on_date", month=6, day=2)]}, ["06-02 00:00", "06-02 06:00"]),
        ({"filters": [call(FILTERS, "at_time", t="//time:06:00:00")]}, ["05-29 06:00", "05-30 06:00"]),
        ({"filters": [call(FILTERS, "between_times", start="//time:05:00:00", end="//time:07:00:00")]},
         ["05-29 06:00", "05-30 06:00"]),
        ({"filters": [call(FILTERS, "between_times", start="//time:23:00:00", end="//time:01:00:00")]},
         ["05-30 00:00", "05-31 00:00"]),
        ({"filters": [call(FILTERS, "between_dates", start_month=12, start_day=24, end_month=1, end_day=1)]},
         ["12-24 00:00", "12-24 06:00"]),
        ({"filters": [call(FILTERS, "between_dates", start_month=6, start_day=24, end_month=7, end_day=1)]},
         ["06-24 00:00", "06-24 06:00"]),
        ({"filters": [call(FILTERS, "on_datetime", dt="//datetime:2026-05-30T08:00:00+02:00")]}, ["05-30 06:00"]),
        ({"filters": [call(FILTERS, "between_datetimes", start="//datetime:2026-05-30T00:00:01+00:00",
                           end="//datetime:2026-05-30T06:00:00+00:00")]}, ["05-30 06:00"]),
        ({"or_filters": [call(FILTERS, "is_weekend"), call(FILTERS, "at_time", t="//time:18:00:00")]},
         ["05-29 18:00", "05-30 00:00"]),
        ({"filters": [call(FILTERS, "is_weekday"), call(FILTERS, "is_weekend")]}, []),
    ],
)  # fmt: skip
def test_filters_let_times_count(filters: dict[str, Any], expected: list[str]) -> None:
    assert times(cron("0 */6 * * *"), now="2026-05-29T00:00:00", count=2, **filters) == expected


def test_filters_look_at_the_time_in_its_zone() -> None:
    monday_in_tokyo = [call(FILTERS, "is_day_of_week", day_of_week=0)]
    assert times(cron("0 6 * * *", "Asia/Tokyo"), now="2026-05-29T00:00:00", count=1, filters=monday_in_tokyo) == [
        "05-31 21:00"
    ]


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        (call(ADJUSTMENTS, "add", interval="//timedelta:5400.0"), ["05-30 10:30", "05-31 10:30"]),
        (call(ADJUSTMENTS, "next_weekday"), ["06-01 09:00", "06-02 09:00"]),
    ],
)
def test_adjustments_move_times(adjustment: dict[str, Any], expected: list[str]) -> None:
    assert times(cron("0 9 * * *"), now="2026-05-30T00:00:00", count=2, adjustments=[adjustment]) == expected


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("daily", "with \"clocks\""),
        ({"clocks": {}}, "with \"clocks\""),
        ({"clocks": [{"type": "RRuleClock"}]}, "CronClock, IntervalClock, DatesClock; RRuleClock is not one of them"),
        ({"clocks": ["* * * * *"]}, "None is not one of them"),
        ({"clocks": [cron("every day")]}, "'every day' is not valid"),
        ({"clocks": [cron("0 0 * * *" * 1000)]}, "is not valid"),
        ({"clocks": [{"type": "CronClock"}]}, "is not valid"),
        ({"clocks": [cron("r 9 * * *")]}, "random times"),
        ({"clocks": [cron("0 9 R(2-9)/2 * *")]}, "random times"),
        ({"clocks": [interval(59 * 10**6)]}, "a minute or longer"),
        ({"clocks": [interval(10**21)]}, "number of microseconds"),
        ({"clocks": [interval("hour")]}, "number of microseconds"),
        ({"clocks": [interval(HOUR, "soon")]}, "'soon': it takes ISO 8601"),
        ({"clocks": [interval(HOUR, "0001-01-01T00:00:00", "Asia/Tokyo")]}, "from the year 1900 on"),
        ({"clocks": [interval(HOUR, "2026-01-01T00:00:00", "Mars/Olympus")]}, "'Mars/Olympus', which there is not"),
        ({"clocks": [interval(HOUR, "2026-01-01T00:00:00", "../etc/passwd")]}, "which there is not"),
        ({"clocks": [interval(HOUR, "2026-01-01T00:00:00", "America")]}, "which there is not"),
        ({"clocks": [interval(HOUR, "2026-01-01T00:00:00", "+99:00")]}, "which there is not"),
        ({"clocks": [interval(HOUR, "2026-01-01T00:00:00", 5)]}, "which there is not"),  # type: ignore[arg-type]
        ({"clocks": [interval(HOUR, parameter_defaults=[1])]}, "must be an object"),
        ({"clocks": [interval(HOUR, labels="a")]}, "must be a list of strings"),
        ({"clocks": [{"type": "DatesClock", "dates": "2026-01-01"}]}, "must be a list of times"),
        ({"clocks": [interval(HOUR)] * 101}, "100 clocks at most"),
        ({"clocks": [], "filters": "weekdays"}, "filters must be a list"),
        ({"clocks": [], "filters": [call("os.", "system")]}, "names 'os.system'; there are prefect.schedules.filters"),
        ({"clocks": [], "adjustments": [call(FILTERS, "is_weekday")]}, "there are prefect.schedules.adjustments.add"),
        ({"clocks": [], "filters": [call(FILTERS, "on_date", month=1)]}, "arguments that it does not take"),
        ({"clocks": [], "filters": [call(FILTERS, "at_time", t="noon")]}, "arguments that it does not take"),
        ({"clocks": [], "filters": [call(FILTERS, "at_time", t="//time:25:00")]}, "arguments that it does not take"),
        ({"clocks": [], "filters": [{"fn": FILTERS + "is_weekday", "kwargs": [1]}]}, "arguments that it does not take"),
    ],
)  # fmt: skip
def test_schedule_that_cannot_be_followed_is_refused(schedule: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_schedule(schedule)
    assert message in str(caught.value)
