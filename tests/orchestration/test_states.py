"""The names of states and their groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.errors import InvalidInput
from automations.orchestration.states import FINISHED, STATE_GROUPS, STATES, canonical_states


@given(st.lists(st.sampled_from(STATES)))
def test_names_are_the_same_in_any_case(names: list[str]) -> None:
    for change in (str.upper, str.lower, str.swapcase, str.title):
        assert canonical_states(map(change, names)) == list(dict.fromkeys(names))


def test_both_spellings_that_clients_use_are_one_state() -> None:
    assert canonical_states(["TimedOut", "Timedout", "TriggerFailed", "Triggerfailed"]) == ["TimedOut", "TriggerFailed"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("Fail", "Failed"), ("succes", "Success"), ("canceled", "Cancelled"), ("TIMEOUT", "TimedOut")]
)
def test_unknown_name_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InvalidInput, match=f"There is no state {name!r}: did you mean .*{nearest}"):
        canonical_states(["Running", name])


@given(st.text())
def test_any_other_text_is_refused_with_all_names(text: str) -> None:
    if text.lower() not in {name.lower() for name in STATES}:
        with pytest.raises(InvalidInput, match="The states are " + ", ".join(STATES)):
            canonical_states([text])


def test_groups_are_made_of_states_and_each_is_wider() -> None:
    for states in STATE_GROUPS.values():
        assert set(states) <= set(STATES)
        assert len(set(states)) == len(states)
    assert set(STATE_GROUPS["SUCCESS"]) | set(STATE_GROUPS["FAILED"]) < set(STATE_GROUPS["FINISHED"])
    assert set(STATE_GROUPS["FINISHED"]) < set(FINISHED) < set(STATE_GROUPS["ALL"]) == set(STATES)
