"""When a delivery is tried again (pure)."""

import random
from collections.abc import Sequence

JITTER = 0.2
LONGEST_ASKED_SECONDS = 3600.0


def next_wait(
    number: int, schedule: Sequence[float], after: float | None = None, *, spread: float | None = None
) -> float | None:
    """Seconds to wait after attempt `number` (from 1), or None when the schedule is used up.

    `schedule` holds the wait after each attempt. `after` is what the receiver asked for (Retry-After): it can only
    lengthen the wait, to an hour at most. `spread` in [-1, 1] sets the jitter of 20 %; random by default.
    """
    if number > len(schedule):
        return None
    spread = random.uniform(-1, 1) if spread is None else spread  # noqa: S311 - no secret is made of it
    wait = schedule[number - 1] * (1 + JITTER * spread)
    return wait if after is None else max(wait, min(after, LONGEST_ASKED_SECONDS))
