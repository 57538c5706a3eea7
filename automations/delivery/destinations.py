"""What one process has under way, destination by destination: a slow one fills its own places and no others'."""

from collections import defaultdict, deque
from collections.abc import Iterable
from uuid import UUID

from automations.delivery.claims import Claim

Queue = tuple[UUID, str]


class Destinations:
    """Claims that wait and claims being sent.

    A destination is sent `concurrency` deliveries at once and claims a few more ahead, so that the next one starts
    the moment a place is free; `total` bounds what is sent at once overall.
    """

    AHEAD = 7

    def __init__(self, *, concurrency: int, total: int) -> None:
        self.claims_each = concurrency * (1 + self.AHEAD)
        self._concurrency, self._total = concurrency, total
        self._waiting: dict[Queue, deque[Claim]] = defaultdict(deque)
        self._sending: dict[Queue, int] = defaultdict(int)
        self._sending_total = 0
        self._held: dict[UUID, Claim] = {}
        self._filled: set[Queue] = set()

    @property
    def held(self) -> list[Claim]:
        """Every claim whose lease is ours, sent at the moment or not."""
        return list(self._held.values())

    @property
    def room(self) -> int:
        """How many more may be claimed."""
        return self._total * (1 + self.AHEAD) - len(self._held)

    def counts(self) -> dict[Queue, int]:
        """Claims held, by destination."""
        return {queue: self._sending.get(queue, 0) + len(self._waiting.get(queue, ())) for queue in self._queues()}

    def wants_more(self, queue: Queue) -> bool:
        """Whether a claim may find more here: the last one left some behind, and little of it waits any longer."""
        return (self.room == 0 or queue in self._filled) and len(self._waiting.get(queue, ())) <= self._concurrency

    def add(self, claims: Iterable[Claim]) -> None:
        """Take over what a claim brought."""
        for claim in claims:
            self._held[claim.id] = claim
            self._waiting[claim.queue].append(claim)
        self._filled = {queue for queue, count in self.counts().items() if count >= self.claims_each}

    def start(self) -> list[Claim]:
        """Claims that may be sent now; each must be ended with `end`."""
        started: list[Claim] = []
        for queue in list(self._waiting):
            waiting = self._waiting[queue]
            while waiting and self._sending[queue] < self._concurrency and self._sending_total < self._total:
                started.append(waiting.popleft())
                self._sending[queue] += 1
                self._sending_total += 1
            if not waiting:
                del self._waiting[queue]
        return started

    def end(self, claim: Claim) -> None:
        """A send has ended: its place is free. The lease is held until `forget`."""
        self._sending[claim.queue] -= 1
        self._sending_total -= 1
        if not self._sending[claim.queue]:
            del self._sending[claim.queue]

    def forget(self, claim: Claim) -> None:
        """The end is recorded: the lease is no longer ours."""
        self._held.pop(claim.id, None)

    def give_back(self) -> list[Claim]:
        """Claims that were not begun; they are no longer held here."""
        unspent = [claim for waiting in self._waiting.values() for claim in waiting]
        self._waiting.clear()
        for claim in unspent:
            self.forget(claim)
        return unspent

    def _queues(self) -> set[Queue]:
        return {*self._waiting, *self._sending}
