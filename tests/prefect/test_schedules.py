"""Our schedules name the times that those of the client name."""

from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import orjson

from automations.orchestration.schedules import read_schedule
from tests.orchestration.test_schedules import ADJUSTMENTS, BERLIN, DAY, FILTERS, HOUR, NEW_YORK, call, cron, interval
from tests.prefect.client import Prefect

# Between changes of the clocks: on these days the client's own code does not do what its documentation says, or never
# comes to an end.
NOW = "2026-06-05T08:31:00+00:00"

CLOCKS: list[dict[str, Any]] = [
    *(
        cron(text, zone)
        for text, zone in product(
            ("0 9 * * mon-fri", "*/7 * * * *", "15 3 1 * *", "30 */5 * * *", "0 12 l * *", "0 9 * * 1#2", "@daily"),
            (None, BERLIN, "Asia/Kolkata"),
        )
    ),
    cron("0 0 13 * fri", NEW_YORK, day_or=True),
    cron("0 0 13 * fri", NEW_YORK, day_or=False),
    interval(HOUR),
    interval(7 * HOUR // 60, "2026-06-05T08:00:00"),
    interval(DAY, "2026-05-01T09:17:00", NEW_YORK),
    interval(7 * DAY, "2026-07-01T09:17:00", BERLIN, end_date={"dt": "2026-07-20T00:00:00", "tz": BERLIN}),
    {"type": "DatesClock", "dates": [{"dt": f"2026-06-0{day}T09:00:00", "tz": BERLIN} for day in (4, 5, 6)]},
]
PARTS: list[dict[str, Any]] = [
    {"filters": [call(FILTERS, "is_weekend")]},
    {"not_filters": [call(FILTERS, "is_weekday")], "adjustments": [call(ADJUSTMENTS, "next_weekday")]},
    {"or_filters": [call(FILTERS, "is_month_end"), call(FILTERS, "at_time", t="//time:06:00:00")]},
    {"filters": [call(FILTERS, "between_times", start="//time:22:00:00", end="//time:02:00:00")]},
    {"adjustments": [call(ADJUSTMENTS, "add", interval="//timedelta:108000.0")]},
]


async def test_times_are_those_of_the_client(python: Path, tmp_path: Path) -> None:
    schedules = [{"clocks": [clock]} for clock in CLOCKS]
    schedules += [{"clocks": [cron("0 * * * *", BERLIN), cron("0 4 * * *", BERLIN)], **part} for part in PARTS]
    client = Prefect(python, "http://127.0.0.1:9", tmp_path)
    theirs = await client.script("times", NOW, orjson.dumps(schedules).decode())
    for schedule, expected in zip(schedules, theirs, strict=True):
        found = read_schedule(schedule).next(6, now=datetime.fromisoformat(NOW), latest=None)
        times = [event.start_time.isoformat() for event in found]
        assert times[: len(set(expected))] == list(dict.fromkeys(expected)), schedule
