"""The model of what is under way: no database, no network, no clock."""

from collections import defaultdict
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from automations.delivery.claims import Claim
from automations.delivery.destinations import Destinations, Queue

TENANT, OTHER_TENANT = uuid4(), uuid4()


def add(destinations: Destinations, given: list[Claim], *, share: int) -> bool:
    """What a claim brings while nothing else happens."""
    return destinations.add(given, share=share, room=destinations.room, counts=destinations.counts())


class Row(dict[str, str]):
    """What a claim is made of; the same only as itself."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def claims(destination: str, count: int, tenant_id: UUID = TENANT, action_type: str = "WebhookAction") -> list[Claim]:
    return [Claim(tenant_id, uuid4(), 1, destination, cast("Any", Row(action_type=action_type))) for _ in range(count)]


def test_destination_is_sent_its_share_and_no_more() -> None:
    destinations = Destinations(concurrency=10, total=100)
    add(destinations, claims("a", 40), share=80)
    assert len(destinations.start()) == 10
    assert destinations.start() == []


def test_kind_that_takes_few_at_once_is_sent_few() -> None:
    mails = claims("mail", 10, action_type="EmailAction")
    destinations = Destinations(concurrency=10, total=100, at_once={"EmailAction": 2})
    add(destinations, mails, share=80)
    add(destinations, claims("hook", 20), share=80)
    started = destinations.start()
    assert sum(claim in mails for claim in started) == 2
    assert len(started) == 12
    destinations.end(started[0])
    assert destinations.start() == [mails[2]]


def test_place_that_is_free_goes_to_the_next_in_order() -> None:
    destinations = Destinations(concurrency=2, total=100)
    given = claims("a", 5)
    add(destinations, given, share=16)
    first, second = destinations.start()
    destinations.end(first)
    [third] = destinations.start()
    assert [first, second, third] == given[:3]


@pytest.mark.parametrize("slow", [1, 5, 10, 15, 18])
@pytest.mark.parametrize("at_once", [True, False])
def test_slow_destinations_leave_a_place_for_a_healthy_one(slow: int, at_once: bool) -> None:
    destinations = Destinations(concurrency=10, total=100)
    for number in range(slow):
        add(destinations, claims(f"slow {number}", 80), share=80)
        if not at_once:
            destinations.start()
    destinations.start()
    healthy = claims("healthy", 1)
    add(destinations, healthy, share=80)
    assert destinations.start() == healthy


def test_free_places_are_given_to_those_who_have_fewest() -> None:
    destinations = Destinations(concurrency=10, total=20)
    add(destinations, claims("a", 80), share=80)
    started = destinations.start()
    add(destinations, claims("b", 80), share=80)
    for _ in range(60):
        started += destinations.start()
        destinations.end(started.pop(0))
    sending = [claim.destination for claim in started]
    assert abs(sending.count("a") - sending.count("b")) <= 1


@pytest.mark.parametrize(("total", "concurrency"), [(1, 1), (1, 10), (3, 10), (10, 1)])
def test_smallest_limits_still_send(total: int, concurrency: int) -> None:
    destinations = Destinations(concurrency=concurrency, total=total)
    waiting = claims("a", 5) + claims("b", 5)
    add(destinations, waiting, share=8)
    sent = 0
    while started := destinations.start():
        assert len(started) <= total
        for claim in started:
            destinations.end(claim)
            destinations.forget(claim)
        sent += len(started)
    assert sent == 10
    assert destinations.held == []


def test_tenants_do_not_share_a_destination_of_the_same_name() -> None:
    destinations = Destinations(concurrency=2, total=100)
    add(destinations, claims("a", 5), share=16)
    add(destinations, claims("a", 5, OTHER_TENANT), share=16)
    assert [claim.tenant_id for claim in destinations.start()] == [TENANT, TENANT, OTHER_TENANT, OTHER_TENANT]


def test_end_that_came_too_late_does_not_drop_the_next_attempts_lease() -> None:
    destinations = Destinations(concurrency=2, total=100)
    [first] = claims("a", 1)
    again = Claim(first.tenant_id, first.id, 2, "a", first.row)
    add(destinations, [first], share=16)
    destinations.start()
    add(destinations, [again], share=16)
    destinations.end(first)
    destinations.forget(first)
    assert destinations.held == [again]


def test_nothing_more_is_sent_to_one_that_failed_until_that_is_recorded() -> None:
    destinations = Destinations(concurrency=1, total=100)
    add(destinations, claims("a", 3) + claims("b", 2), share=16)
    failed, sent = destinations.start()
    destinations.end(failed, is_doubtful=True)
    destinations.end(sent)
    assert [claim.destination for claim in destinations.start()] == ["b"]
    destinations.forget(failed)
    assert [claim.destination for claim in destinations.start()] == ["a"]


def test_claims_of_one_destination_are_given_back_alone() -> None:
    destinations = Destinations(concurrency=1, total=100)
    given = claims("a", 3)
    add(destinations, given + claims("b", 3), share=16)
    destinations.start()
    assert destinations.give_back((TENANT, "a")) == given[1:]
    assert destinations.give_back((TENANT, "a")) == []
    assert destinations.counts() == {(TENANT, "a"): 1, (TENANT, "b"): 3}


def test_more_is_asked_for_where_the_last_claim_left_some_behind() -> None:
    destinations = Destinations(concurrency=2, total=100)
    add(destinations, claims("a", 16) + claims("b", 3), share=16)
    assert not destinations.wants_more((TENANT, "a")), "there is enough waiting"
    for _ in range(7):
        for claim in destinations.start():
            destinations.end(claim)
    assert destinations.wants_more((TENANT, "a"))
    assert not destinations.wants_more((TENANT, "b")), "all of it was claimed"


def test_end_in_the_middle_of_a_claim_is_a_reason_to_claim_again() -> None:
    destinations = Destinations(concurrency=2, total=100)
    add(destinations, claims("a", 2), share=16)
    [sent, _] = destinations.start()
    counts = destinations.counts()
    destinations.end(sent)
    assert destinations.add([], share=2, room=800, counts=counts), "it was passed over, and has a place by now"
    assert not destinations.add([], share=2, room=800, counts=destinations.counts())


def test_more_is_asked_for_anywhere_after_room_ran_out() -> None:
    destinations = Destinations(concurrency=1, total=1)
    given = claims("a", destinations.room)
    add(destinations, given, share=8)
    assert destinations.room == 0
    [sent] = destinations.start()
    destinations.end(sent)
    destinations.forget(sent)
    assert destinations.wants_more((TENANT, "somewhere else"))


class Model(RuleBasedStateMachine):
    """Any order of claims, starts and ends keeps the limits, the order in a destination, and every claim."""

    @initialize(concurrency=st.integers(1, 5), total=st.integers(1, 12))
    def begin(self, concurrency: int, total: int) -> None:
        self.concurrency, self.total = concurrency, total
        self.destinations = Destinations(concurrency=concurrency, total=total)
        self.waiting: dict[Queue, list[Claim]] = defaultdict(list)
        self.sending: list[Claim] = []
        self.ended: list[Claim] = []
        self.lost: set[Claim] = set()

    @rule(destination=st.sampled_from("abcdefgh"), count=st.integers(0, 12))
    def add(self, destination: str, count: int) -> None:
        given = claims(destination, min(count, self.destinations.room))
        add(self.destinations, given, share=8)
        for claim in given:
            self.waiting[claim.queue].append(claim)

    @rule()
    def start(self) -> None:
        for claim in self.destinations.start():
            assert self.waiting[claim.queue].pop(0) is claim
            self.sending.append(claim)
        free = self.total - len(self.sending)
        for queue, waiting in self.waiting.items():
            if waiting and not any(claim.queue == queue for claim in self.sending):
                assert free == 0, "who has nothing under way gets a place while there is one"

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.sending:
            claim = self.sending.pop(data.draw(st.integers(0, len(self.sending) - 1)))
            self.destinations.end(claim)
            self.ended.append(claim)

    @rule()
    def forget(self) -> None:
        while self.ended:
            self.destinations.forget(self.ended.pop())

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        held = self.destinations.held
        lost = {claim for claim in held if data.draw(st.booleans())}
        self.destinations.lose({(claim.id, claim.number) for claim in lost})
        for queue, waiting in self.waiting.items():
            self.waiting[queue] = [claim for claim in waiting if claim not in lost]
        self.lost |= lost

    @rule()
    def give_back(self) -> None:
        assert set(self.destinations.give_back()) == {claim for queue in self.waiting.values() for claim in queue}
        self.waiting.clear()

    @invariant()
    def keeps_its_limits(self) -> None:
        if not hasattr(self, "destinations"):
            return
        counts = self.destinations.counts()
        assert len(self.sending) <= self.total
        for queue, count in counts.items():
            under_way = [claim for claim in self.sending if claim.queue == queue]
            assert len(under_way) <= self.concurrency
            assert count == len(under_way) + len(self.waiting[queue])
        waiting = [claim for queue in self.waiting.values() for claim in queue]
        assert set(self.destinations.held) == {*waiting, *self.sending, *self.ended} - self.lost
        assert self.destinations.room >= 0


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
