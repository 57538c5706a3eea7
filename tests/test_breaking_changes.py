"""The check of what a changed schema breaks."""

import pytest

from tests.breaking_changes import breaking_changes

RELEASED = "type Query { run(id: ID!): Run } type Run { id: ID! state: String }"


@pytest.mark.parametrize(
    ("present", "problem"),
    [
        ("type Query { run(id: ID!): Run } type Run { id: ID! }", "Run.state was removed"),
        ("type Query { run(id: ID!, at: Int!): Run } type Run { id: ID! state: String }", "Query.run(at:) was added"),
        ("type Query { run(id: ID!): Run } type Run { id: ID! state: Int }", "Run.state changed type"),
    ],
)
def test_what_breaks_clients_is_told(present: str, problem: str) -> None:
    [told] = breaking_changes(RELEASED, present)
    assert problem in told


def test_what_is_new_breaks_nobody() -> None:
    assert breaking_changes(RELEASED, f"{RELEASED} extend type Run {{ name: String }}") == []
