import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.delivery.retries import JITTER, LONGEST_ASKED_SECONDS, next_wait
from automations.settings import Settings

SCHEDULE = Settings().retry_seconds

schedules = st.lists(st.floats(0.001, 7 * 86_400), max_size=10)
spreads = st.floats(-1, 1)
asked = st.one_of(st.none(), st.floats(0, 1e12), st.just(math.inf))


def test_schedule_is_that_of_the_settings_without_jitter() -> None:
    waits = [next_wait(number, SCHEDULE, spread=0) for number in range(1, 9)]
    assert waits == [5, 30, 120, 600, 1800, 7200, 21600, None]


@given(schedules, st.integers(1, 20), asked, spreads)
def test_wait_ends_with_the_schedule(schedule: list[float], number: int, after: float | None, spread: float) -> None:
    wait = next_wait(number, schedule, after, spread=spread)
    assert (wait is None) == (number > len(schedule))


@given(schedules.filter(bool), asked, st.one_of(st.none(), spreads))
def test_wait_is_the_schedules_within_its_jitter_and_never_shorter_than_asked(
    schedule: list[float], after: float | None, spread: float | None
) -> None:
    for number, planned in enumerate(schedule, start=1):
        wait = next_wait(number, schedule, after, spread=spread)
        assert wait is not None
        assert wait >= planned * (1 - JITTER) * 0.999999
        assert wait <= max(planned * (1 + JITTER) * 1.000001, LONGEST_ASKED_SECONDS)
        assert wait >= min(after or 0, LONGEST_ASKED_SECONDS)


@given(spreads)
def test_receiver_can_ask_for_an_hour_at_most(spread: float) -> None:
    assert next_wait(1, [5], 86_400, spread=spread) == LONGEST_ASKED_SECONDS
    assert next_wait(1, [5], 40, spread=spread) == 40
    assert next_wait(1, [7200], 86_400, spread=0) == 7200, "asking cannot shorten what is planned"


def test_jitter_spreads_what_failed_together() -> None:
    waits = {next_wait(1, [100]) for _ in range(200)}
    assert len(waits) > 150
    assert min(wait or 0 for wait in waits) < 90
    assert max(wait or 0 for wait in waits) > 110


@pytest.mark.parametrize("number", [1, 2, 100])
def test_empty_schedule_never_tries_again(number: int) -> None:
    assert next_wait(number, ()) is None
