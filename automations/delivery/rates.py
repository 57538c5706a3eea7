"""How fast each kind of destination may be sent to: what its client declares, or what a setting says in its place."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from automations.actions import BY_KEY
from automations.settings import PREFIX, SettingsError

# A rate that is higher than this many claims a second needs several deliveries a claim.
_CLAIMS_PER_SECOND = 20


@dataclass(frozen=True)
class Rate:
    """So many attempts a second in the long run, and `burst` at once after a rest (GCRA, ITU-T I.371)."""

    per_second: float
    burst: int


@dataclass(frozen=True)
class Circuit:
    """After so many transient failures in a row nothing is sent for `seconds`, then one at a time until one arrives.

    Each of these that fails doubles the wait, to `most_seconds`.
    """

    failures: int = 5
    seconds: float = 30.0
    most_seconds: float = 600.0


def rates_of(settings: Iterable[tuple[str, float | None]] = ()) -> Mapping[str, Rate]:
    """Rates by action type; those without one are not limited. SettingsError for an action that does not exist."""
    per_second = {key: client.PER_SECOND for key, client in BY_KEY.items()}
    for key, value in settings:
        if key not in per_second:
            raise SettingsError(f"{PREFIX}DESTINATION_RATES: the actions are {', '.join(BY_KEY)}")
        per_second[key] = value
    return {
        BY_KEY[key].TYPE: Rate(value, max(BY_KEY[key].BURST, math.ceil(value / _CLAIMS_PER_SECOND)))
        for key, value in per_second.items()
        if value is not None
    }
