"""What is owed, what arrived, and how long it took. An arrival is told by what it is about."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from automations.demo.rules import Kind, owed


class Phase(StrEnum):
    """When something happened and arrived, seen from the kill."""

    BEFORE = "before the kill"
    ACROSS = "across it"
    AFTER = "after it"


@dataclass(frozen=True)
class Arrival:
    """A message, a webhook or a cancellation that took effect. Times are seconds since 1970."""

    kind: Kind
    subject_id: str  # the flow run or the agent config that it is about
    state: str
    flow: str
    run: str
    message: str
    happened_at: float  # when the run entered the state or should have finished, or when the agents were found quiet
    arrived_at: float
    delivery_id: str | None = None  # where the receiver is told

    @property
    def seconds(self) -> float:
        return self.arrived_at - self.happened_at


_Key = tuple[str, str]  # subject_id, state: what the demo watches enters each state once


@dataclass
class Tally:
    """The demo's own books."""

    state_changes: int = 0
    _outage_at: float = math.inf
    _ready_again_at: float = math.inf
    _owed: dict[Kind, set[_Key]] = field(default_factory=lambda: defaultdict(set))
    _arrived: dict[Kind, dict[_Key, Arrival]] = field(default_factory=lambda: defaultdict(dict))
    _repeats: Counter[Kind] = field(default_factory=Counter)
    _other_ids: int = 0

    def begin_outage(self, at: float) -> None:
        """What arrives later comes across the kill."""
        self._outage_at = at

    def end_outage(self, at: float) -> None:
        """What happens later is after the kill."""
        self._ready_again_at = at

    def accept(self, flow: str, flow_run_id: str, state: str) -> None:
        """The server has accepted a state."""
        self.state_changes += 1
        for kind in owed(flow, state):
            self.owe(kind, flow_run_id, state)

    def owe(self, kind: Kind, subject_id: str, state: str) -> None:
        """This is to arrive."""
        self._owed[kind].add((subject_id, state))

    def arrive(self, arrival: Arrival) -> bool:
        """Enter an arrival; true for the first about this, false for a repeat."""
        first = self._arrived[arrival.kind].setdefault((arrival.subject_id, arrival.state), arrival)
        if first is arrival:
            return True
        self._repeats[arrival.kind] += 1
        self._other_ids += first.delivery_id != arrival.delivery_id
        return False

    def owed(self, kind: Kind) -> int:
        return len(self._owed[kind])

    def arrived(self, kind: Kind) -> int:
        return len(self._owed[kind] & self._arrived[kind].keys())

    def lost(self, kind: Kind) -> int:
        """Owed and not there (yet)."""
        return self.owed(kind) - self.arrived(kind)

    def repeats(self, kind: Kind) -> int:
        return self._repeats[kind]

    @property
    def waiting(self) -> int:
        """Everything owed and not there yet."""
        return sum(self.lost(kind) for kind in Kind)

    @property
    def surprises(self) -> int:
        """What nobody was owed, and repeats that came under another id."""
        return self._other_ids + sum(len(self._arrived[kind].keys() - self._owed[kind]) for kind in Kind)

    def seconds(self, kind: Kind, phase: Phase | None = None) -> list[float]:
        """How long each first arrival took."""
        arrivals = self._arrived[kind].values()
        return [arrival.seconds for arrival in arrivals if phase in {None, self._phase(arrival)}]

    def _phase(self, arrival: Arrival) -> Phase:
        if arrival.arrived_at < self._outage_at:
            return Phase.BEFORE
        return Phase.AFTER if arrival.happened_at >= self._ready_again_at else Phase.ACROSS


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed (nearest rank); `values` must not be empty."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
