"""What a benchmark reports: its figures, the floors of the same run, and how both stand to the goals."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A figure with the bound it should keep."""

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def shown(self) -> dict[str, Any]:
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        return {
            "what": self.what,
            "value": rounded(self.value),
            **{name: bound for name, bound in bounds.items() if bound is not None},
            "met": self.is_met,
        }


@dataclass(frozen=True)
class Outcome:
    """Of one benchmark. `figures` and `floors` are names → numbers, or nested so."""

    figures: dict[str, Any]
    goals: Sequence[Goal]
    floors: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "figures": rounded(self.figures),
            "floors": rounded(self.floors or {}),
            "goals": [goal.shown() for goal in self.goals],
        }


def rounded(value: Any) -> Any:
    """The same with every float cut to what can be measured."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, float):
        return round(value) if abs(value) >= 1000 else float(f"{value:.3g}")
    return value


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """The middle and the tail of times, in milliseconds."""
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "p50_ms": percentile(ordered, 50) * 1000,
        "p95_ms": percentile(ordered, 95) * 1000,
        "p99_ms": percentile(ordered, 99) * 1000,
        "max_ms": ordered[-1] * 1000,
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)]


def middle(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over the rounds."""
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}
