"""What one process has under way, destination by destination: a slow one fills its own places and no others'."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from automations.delivery.claims import Claim

Queue = tuple[UUID, str]


class Destinations:
    """Claims that wait and claims being sent.

    A destination is sent `concurrency` deliveries at once, of some types of action fewer (`at_once`). Where it is left
    to this process alone a few more are claimed ahead, so that the next one starts the moment a place is free; `total`
    bounds what is sent at once overall. A destination may hold only so many places as a quarter of those still free
    (dynamic thresholds; Choudhury and Hahne, 1998): the slow ones leave some free, however many they are.
    """

    AHEAD = 7
    SHARERS = 4

    def __init__(self, *, concurrency: int, total: int, at_once: Mapping[str, int] | None = None) -> None:
        self.claims_each = concurrency * (1 + self.AHEAD)
        self.concurrency, self._total = concurrency, total
        self.at_once = at_once or {}
        self._waiting: dict[Queue, deque[Claim]] = {}
        self._sending: dict[Queue, int] = defaultdict(int)
        self._sending_total = 0
        self._held: dict[tuple[UUID, int], Claim] = {}
        self._doubted: dict[Queue, set[tuple[UUID, int]]] = {}
        self._filled: set[Queue] = set()
        self.lacks_room = False
        """Set where a claim left something behind, wherever that may be."""

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
        queues = {*self._waiting, *self._sending}
        return {queue: self._sending.get(queue, 0) + len(self._waiting.get(queue, ())) for queue in queues}

    def wants_more(self, queue: Queue) -> bool:
        """Whether a claim may find more now: the last one left some behind, and little of it waits any longer."""
        return (self.lacks_room or queue in self._filled) and len(self._waiting.get(queue, ())) <= self.concurrency

    def add(self, claims: Sequence[Claim], *, share: int, room: int, counts: Mapping[Queue, int]) -> bool:
        """Take over what a claim brought, and say whether another would find more by now.

        A destination was given what made up its `share`, or all that was due; `room` and `counts` are as the claim
        knew them.
        """
        self.lacks_room = len(claims) >= room
        brought = Counter(claim.queue for claim in claims)
        for claim in claims:
            self._held[claim.id, claim.number] = claim
            self._waiting.setdefault(claim.queue, deque()).append(claim)
        had = {queue: counts.get(queue, 0) + brought[queue] for queue in {*counts, *brought}}
        self._filled = {queue for queue, count in had.items() if count >= share}
        has = self.counts()
        return any(has.get(queue, 0) < had[queue] for queue in self._filled)

    def start(self) -> list[Claim]:
        """Claims that may be sent now; each must be ended with `end`."""
        started: list[Claim] = []
        for queue in [queue for queue in self._waiting if queue not in self._doubted]:
            waiting = self._waiting[queue]
            most = self.at_once.get(waiting[0].row["action_type"], self.concurrency)
            while waiting and self._sending.get(queue, 0) < min(most, self._places()):
                started.append(waiting.popleft())
                self._sending[queue] += 1
                self._sending_total += 1
            if not waiting:
                del self._waiting[queue]
        return started

    def end(self, claim: Claim, *, is_doubtful: bool = False) -> None:
        """A send has ended: its place is free. The lease is held until `forget`.

        What it says of its destination may be that nothing more is to be sent there: while that is `is_doubtful`, until
        `forget`, nothing is.
        """
        if is_doubtful:
            self._doubted.setdefault(claim.queue, set()).add((claim.id, claim.number))
        self._sending[claim.queue] -= 1
        self._sending_total -= 1
        if not self._sending[claim.queue]:
            del self._sending[claim.queue]

    def forget(self, claim: Claim) -> None:
        """The end is recorded: the lease is no longer ours."""
        self._held.pop((claim.id, claim.number), None)
        if doubts := self._doubted.get(claim.queue):
            doubts.discard((claim.id, claim.number))
            if not doubts:
                del self._doubted[claim.queue]

    def lose(self, lost: Collection[tuple[UUID, int]]) -> None:
        """These are others' by now: what of them has not begun is not sent here."""
        for queue in {self._held[key].queue for key in lost if key in self._held}:
            kept = deque(claim for claim in self._waiting.pop(queue, ()) if (claim.id, claim.number) not in lost)
            if kept:
                self._waiting[queue] = kept
        for key in lost:
            self._held.pop(key, None)

    def give_back(self, queue: Queue | None = None) -> list[Claim]:
        """Claims that were not begun, of one destination or of all; they are no longer held here."""
        queues = list(self._waiting) if queue is None else [queue]
        unspent = [claim for queue in queues for claim in self._waiting.pop(queue, ())]
        for claim in unspent:
            self.forget(claim)
        return unspent

    @property
    def places(self) -> int:
        """How many sends a destination may have under way if it is to claim only what starts at once; one at least."""
        return max(1, self._places())

    def _places(self) -> int:
        """How many places a destination may hold at the moment."""
        free = self._total - self._sending_total
        return min(self.concurrency, max(1, free // self.SHARERS)) if free else 0
