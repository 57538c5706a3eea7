"""How many WebSockets and event streams this process keeps open."""

from collections.abc import Callable

from automations.errors import LimitExceeded


class NoPlace(LimitExceeded):
    """There are as many as there may be."""


class Places:
    """Counts what is open."""

    def __init__(self, most: int) -> None:
        self._most, self._taken = most, 0

    def take(self) -> Callable[[], None]:
        """Take a place, and return what gives it back; NoPlace where none is left."""
        if self._taken >= self._most:
            raise NoPlace(f"{self._taken} WebSockets and event streams are open, and {self._most} may be; try later.")
        self._taken += 1
        return self._give_back

    def _give_back(self) -> None:
        self._taken -= 1
