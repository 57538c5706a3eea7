"""How often a caller may ask: a bucket of tokens for each, in this process only."""

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from starlette.requests import HTTPConnection

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
    """One rate for all callers; `per_second` of 0 lets everybody ask as often as they like."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._clock = per_second, clock
        self._full = max(per_second * BURST_SECONDS, 1.0)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, connection: HTTPConnection, key_id: UUID | None, operations: int) -> None:
        """Count the operations; TooManyRequests where the bucket of the API key holds less, or of the address."""
        if self._per_second:
            self.take_from(str(key_id or (connection.client and connection.client.host)), operations)

    def take_from(self, caller: str, operations: int) -> None:
        """Count the operations of a caller."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._full, now))
        left = min(self._full, left + (now - since) * self._per_second)
        needed = min(float(operations), self._full)
        enough = left >= needed
        self._buckets[caller] = (left - needed if enough else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not enough:
            wait = -int(-(needed - left) // self._per_second)
            raise TooManyRequests(
                f"{self._per_second:g} operations a second are allowed; this caller sent more. "
                f"Try again in {wait} seconds.",
                wait,
            )
