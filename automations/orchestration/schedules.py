"""Schedules as Prefect 1 serializes them, and the runs that they want: `prefect.schedules.Schedule` 1.4.1."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import orjson

from automations.errors import InvalidInput
from automations.orchestration.clocks import Clock, read_clock
from automations.orchestration.filters import Adjustment, Filter, read_adjustment, read_filter

MOST_CLOCKS: Final = 100
MOST_TIMES_LOOKED_AT: Final = 10_000
"""Of times that filters refuse, one may look at many before there is one: then there is none, as for Prefect."""


@dataclass(frozen=True)
class Event:
    """A run that a schedule wants, at a time in UTC; `labels` None: the flow's own."""

    start_time: datetime
    parameters: Mapping[str, Any]
    labels: tuple[str, ...] | None

    @property
    def key(self) -> str:
        """The same time, parameters and labels are the same run; without the latter, the key is Prefect Server's."""
        key = f"auto-scheduled:{self.start_time.isoformat()}"
        if not self.parameters and self.labels is None:
            return key
        what = orjson.dumps([self.parameters, self.labels], option=orjson.OPT_SORT_KEYS)
        return f"{key}:{sha256(what).hexdigest()[:32]}"


@dataclass(frozen=True)
class Schedule:
    """A time counts where all `filters` say so, one of the `or_filters` if there are any, and no `not_filters`."""

    clocks: tuple[Clock, ...]
    filters: tuple[Filter, ...]
    or_filters: tuple[Filter, ...]
    not_filters: tuple[Filter, ...]
    adjustments: tuple[Adjustment, ...]

    def next(self, times: int, *, now: datetime, latest: datetime | None) -> list[Event]:
        """What is wanted at the next so many times after now and after the latest that is wanted already, all in UTC.

        What several clocks want at the last of these times is not cut off.
        """
        events: dict[str, Event] = {}
        found: set[datetime] = set()
        for time, clock in islice(self._times(now), MOST_TIMES_LOOKED_AT):
            if not self._counts(time):
                continue
            start_time = self._adjusted(time).astimezone(UTC)
            if start_time <= now or (latest is not None and start_time <= latest):
                continue
            if len(found) == times and start_time not in found:
                break
            found.add(start_time)
            event = Event(start_time, clock.parameters, clock.labels)
            events.setdefault(event.key, event)
        return list(events.values())

    def _times(self, after: datetime) -> Iterator[tuple[datetime, Clock]]:
        def of(clock: Clock) -> Iterator[tuple[datetime, Clock]]:
            return ((time, clock) for time in clock.times(after))

        return heapq.merge(*map(of, self.clocks), key=lambda found: found[0].astimezone(UTC))

    def _counts(self, time: datetime) -> bool:
        return (
            all(counts(time) for counts in self.filters)
            and (not self.or_filters or any(counts(time) for counts in self.or_filters))
            and not any(counts(time) for counts in self.not_filters)
        )

    def _adjusted(self, time: datetime) -> datetime:
        for adjust in self.adjustments:
            time = adjust(time)
        return time


def read_schedule(serialized: Any) -> Schedule:
    """The schedule; InvalidInput says what is wrong with it, or what of it there is not."""
    if not isinstance(serialized, dict) or not isinstance(serialized.get("clocks"), list):
        raise InvalidInput('A schedule must be an object with "clocks", as Prefect serializes it.')
    if len(serialized["clocks"]) > MOST_CLOCKS:
        raise InvalidInput(f"A schedule takes {MOST_CLOCKS} clocks at most.")
    return Schedule(
        clocks=tuple(map(read_clock, serialized["clocks"])),
        filters=tuple(map(read_filter, _list(serialized, "filters"))),
        or_filters=tuple(map(read_filter, _list(serialized, "or_filters"))),
        not_filters=tuple(map(read_filter, _list(serialized, "not_filters"))),
        adjustments=tuple(map(read_adjustment, _list(serialized, "adjustments"))),
    )


def _list(serialized: dict[str, Any], name: str) -> list[Any]:
    value = serialized.get(name) or []
    if not isinstance(value, list):
        raise InvalidInput(f"A schedule's {name} must be a list.")
    return value
