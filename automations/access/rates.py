"""How often a caller may do something: a bucket of tokens for each, in this process only."""

import time
from collections import OrderedDict
from collections.abc import Callable

from automations.errors import LimitExceeded

BURST_SECONDS = 10
"""What a caller has not used of its rate, it may use at once: of so many seconds."""
MOST_CALLERS = 10_000
"""Those that asked last are known; a bucket that is forgotten is full again."""


class TooManyRequests(LimitExceeded):
    """The caller is to wait; `retry_after_seconds` says how long, in whole seconds."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Rates:
    """One rate of `what` for all callers; `per_second` of 0 is no limit."""

    def __init__(self, per_second: float, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._what, self._clock = per_second, what, clock
        self._full = max(per_second * BURST_SECONDS, 1.0)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, count: int) -> None:
        """Count what a caller does; TooManyRequests where its bucket holds less."""
        if not self._per_second:
            return
        left, needed = self._left(caller), min(float(count), self._full)
        self._buckets[caller] = (left - needed if left >= needed else left, self._clock())
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        self._refuse_below(needed, left)

    def check(self, caller: str) -> None:
        """TooManyRequests where nothing is left to a caller; nothing is counted."""
        if self._per_second:
            self._refuse_below(1.0, self._left(caller))

    def _left(self, caller: str) -> float:
        now = self._clock()
        left, since = self._buckets.get(caller, (self._full, now))
        return min(self._full, left + (now - since) * self._per_second)

    def _refuse_below(self, needed: float, left: float) -> None:
        if left < needed:
            wait = -int(-(needed - left) // self._per_second)
            raise TooManyRequests(
                f"{self._per_second:g} {self._what} a second are allowed; this caller sent more. "
                f"Try again in {wait} seconds.",
                wait,
            )
