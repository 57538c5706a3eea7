"""How fast each kind of destination may be sent to: what its client declares, or what a setting says in its place."""

import math
from collections.abc import Iterable, Mapping, Sequence
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


def rates_of(settings: Sequence[tuple[str, float | None]] = ()) -> Mapping[str, Rate]:
    """Rates by action type; those without one are not limited. SettingsError for an action that does not exist."""
    _check_keys("DESTINATION_RATES", (key for key, _ in settings))
    per_second = {key: client.PER_SECOND for key, client in BY_KEY.items()} | dict(settings)
    return {
        BY_KEY[key].TYPE: Rate(value, max(BY_KEY[key].BURST, math.ceil(value / _CLAIMS_PER_SECOND)))
        for key, value in per_second.items()
        if value is not None
    }


def at_once_of(settings: Sequence[tuple[str, int]] = (), *, default: int) -> Mapping[str, int]:
    """How many deliveries are sent at once to one destination, by action type. SettingsError as for `rates_of`."""
    _check_keys("DESTINATION_CONCURRENCIES", (key for key, _ in settings))
    chosen = dict(settings)
    return {client.TYPE: min(default, chosen.get(key, client.AT_ONCE or default)) for key, client in BY_KEY.items()}


def _check_keys(setting: str, keys: Iterable[str]) -> None:
    if not set(keys) <= BY_KEY.keys():
        raise SettingsError(f"{PREFIX}{setting}: the actions are {', '.join(BY_KEY)}")
