"""Limits of documents and of their cost: each is refused with what was found and what is allowed, before it runs."""

from pathlib import Path
from typing import Any

import graphql
import pytest

from automations.access.rates import BURST_SECONDS, Rates, TooManyRequests
from automations.api.documents import Documents
from automations.api.limits import Limits
from automations.api.schema import schema
from tests.api.test_endpoint import error, post
from tests.harness import Automations, running

SCHEMA = schema._schema


def refused(query: str, variables: dict[str, Any] | None = None, **limits: Any) -> str:
    """What the document is refused with, or an empty text."""
    documents = Documents(SCHEMA, Limits(**limits))
    document = documents.read(query)
    if document.errors:
        return document.errors[0].message
    try:
        documents.refuse_costly(document.operation(None), variables)
    except graphql.GraphQLError as problem:
        return problem.message
    return ""


@pytest.mark.parametrize(
    ("query", "limits", "message"),
    [
        ("{ hello }", {"characters": 8}, "A document may have 8 characters; this one has 9."),
        ("{ a: hello }", {"tokens": 4}, "A document may have 4 tokens; this one has more."),
        ("{ a: hello b: hello }", {"root_fields": 1}, "An operation may have 1 root fields; this one has 2."),
        ("{ ...f } fragment f on Query { a: hello b: hello }", {"root_fields": 1}, "1 root fields; this one has 2."),
        ("{ ... { a: hello } b: hello }", {"root_fields": 1}, "1 root fields; this one has 2."),
        ("{ flow { project { id } } }", {"depth": 2}, "An operation may be 2 fields deep; this one is 3."),
        ("{ flow { ...f } } fragment f on flow { project { id } }", {"depth": 2}, "2 fields deep; this one is 3."),
        ("{ a: hello b: hello }", {"aliases": 1}, "An operation may have 1 aliases; this one has 2."),
        (
            "{ a: flow { ...f } b: flow { ...f } } fragment f on flow { x: id y: id }",
            {"aliases": 5},
            "An operation may have 5 aliases; this one has 6.",
        ),
        ("query @skip(if: false) { hello }", {"directives": 0}, "An operation may have 0 directives; this one has 1."),
        ("query($a: Int @x) { hello @y ... @z { hello } }", {"directives": 2}, "2 directives; this one has 3."),
        ("{ __schema { types { name } } }", {"introspection": False}, "Introspection is switched off here."),
        ('{ hello __type(name: "x") { name } }', {"introspection": False}, "Introspection is switched off here."),
        (
            "{ " + " ".join(f"a{n}: __schema {{ ...s }}" for n in range(11)) + " }"
            " fragment s on __Schema { __typename }", {},
            "An operation may ask for __schema and __type 10 times; this one does 11 times.",
        ),
        ("query A { ...s } query B { ...s } fragment s on Query { "
         + " ".join(f'a{n}: __type(name: "flow") {{ name }}' for n in range(11)) + " }", {}, "this one does 11 times."),
    ],
)  # fmt: skip
def test_document_beyond_a_limit_is_refused(query: str, limits: dict[str, Any], message: str) -> None:
    assert message in refused(query, **limits)


def test_document_at_its_limits_is_read() -> None:
    query = "{ a: hello b: hello @skip(if: false) }"
    assert refused(query, characters=len(query), root_fields=2, depth=1, aliases=2, directives=1, cost=2) == ""
    assert refused("{ __typename }", introspection=False) == ""


def test_each_operation_is_measured_by_itself() -> None:
    documents = Documents(SCHEMA, Limits(aliases=1))
    assert not documents.read("query A { a: hello } query B { b: hello }").errors


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{ hello }", None, 1),
        ("{ flow { id } }", None, 100),
        ("{ flow(limit: 10) { id name } }", None, 20),
        ("{ flow(limit: 0) { id } }", None, 0),
        ("{ flow(limit: 999999999) { id } }", None, 1000),
        ("{ flow(limit: -5) { id } }", None, 0),
        ("{ flow(limit: null) { id } }", None, 100),
        ("{ flow(limit: 10) { id flow_runs(limit: 50) { id state } } }", None, 10 * (1 + 50 * 2)),
        ("{ flow(limit: 10) { project { id name } } }", None, 20),
        ("{ flow(limit: 10) { ...f ...f } } fragment f on flow { flow_runs(limit: 5) { id } }", None, 50),
        ("{ flow(limit: 10) { ... on flow { id } ... { name } } }", None, 20),
        ("{ flow_aggregate(limit: 10) { aggregate { count } nodes { id } } }", None, 20),
        ('{ flow_by_pk(id: "00000000-0000-0000-0000-000000000000") { id flow_runs(limit: 7) { id } } }', None, 8),
        ("query($n: Int) { flow(limit: $n) { id } }", {"n": 3}, 3),
        ("query($n: Int) { flow(limit: $n) { id } }", {}, 100),
        ("query($n: Int = 4) { flow(limit: $n) { id } }", None, 4),
        ("query($n: Int = 4) { flow(limit: $n) { id } }", {"n": 9}, 9),
        ("query($n: Int) { flow(limit: $n) { id } }", {"n": "nonsense"}, 100),
        ("subscription { flow_run_changed { id states(limit: 3) { id } } }", None, 4),
        ("mutation { create_automation(input: {}) { automation { deliveries(limit: 3) { id } } } }", None, None),
    ],
)
def test_cost_is_rows_times_fields(query: str, variables: dict[str, Any] | None, cost: int | None) -> None:
    if cost is None:  # refused for another reason
        assert "may ask for" not in refused(query, variables)
        return
    assert refused(query, variables, cost=cost) == ""
    if cost:
        problem = f"An operation may ask for {cost - 1} values; this one asks for {cost}."
        assert problem in refused(query, variables, cost=cost - 1)


def test_document_that_doubles_its_cost_costs_no_time() -> None:
    fragments = "".join(
        f"fragment f{n} on flow {{ a: project {{ {inner} }} b: project {{ {inner} }} }} "
        for n, inner in enumerate(f"flows {{ ...f{number} }}" for number in range(1, 9))
    )
    query = f"{{ flow {{ ...f0 }} }} {fragments} fragment f8 on flow {{ id }}"
    assert f"this one asks for {100 * 200**8}" in refused(query)


async def test_refused_mutation_is_not_done(server: Automations) -> None:
    query = """mutation { create_project(input: {name: "x"}) { id }
        update_automation(input: {automation_id: "00000000-0000-0000-0000-000000000000"}) { automation {
            deliveries(limit: 1000) { attempts(limit: 1000) { delivery { attempts(limit: 1000) { id } } } } } } }"""
    status, answer = await post(server, {"query": query})
    assert (status, "data" in answer) == (200, False)
    assert error(answer)[1] == "LIMIT_EXCEEDED"
    assert (await server.execute("{ project { id } }"))["project"] == []


async def test_settings_reach_the_server(database_url: str, tmp_path: Path) -> None:
    given = {"max_batch_operations": 1, "max_query_depth": 1, "introspection": False, "requests_per_second": 0.5}
    async with running(database_url, tmp_path, **given) as api:
        assert (await post(api, [{"query": "{ hello }"}] * 2))[0] == 413
        for query, code in (
            ("{ hello }", None),
            ("{ flow { id } }", "LIMIT_EXCEEDED"),
            ("{ __schema { queryType { name } } }", "BAD_USER_INPUT"),
            ("{ hello }", None),
            ("{ hello }", None),
        ):
            status, answer = await post(api, {"query": query})
            assert status == 200
            assert (error(answer)[1] if "errors" in answer else None) == code
        response = await api.client.post(f"{api.url}/graphql", json={"query": "{ hello }"})
        assert (response.status_code, error(response.json())[1]) == (429, "LIMIT_EXCEEDED")
        assert response.headers["retry-after"] in {"1", "2"}


def test_bucket_empties_and_fills() -> None:
    now = [100.0]
    rates = Rates(2, "operations", clock=lambda: now[0])
    for _ in range(2 * BURST_SECONDS):
        rates.check("a")
        rates.take("a", 1)
    with pytest.raises(TooManyRequests):
        rates.check("a")
    with pytest.raises(TooManyRequests) as caught:
        rates.take("a", 1)
    assert caught.value.retry_after_seconds == 1
    assert "2 operations a second are allowed" in str(caught.value)
    rates.take("b", 1)  # has a bucket of its own
    now[0] += 0.5
    rates.take("a", 1)
    with pytest.raises(TooManyRequests):
        rates.take("a", 1)
    now[0] += 1000  # no more than full
    rates.take("a", 2 * BURST_SECONDS)
    with pytest.raises(TooManyRequests) as caught:
        rates.take("a", 10)
    assert caught.value.retry_after_seconds == 5


def test_buckets_of_callers_long_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automations.access.rates.MOST_CALLERS", 2)
    rates = Rates(1, "operations", clock=lambda: 0.0)
    for caller in "abac":
        rates.take(caller, 1)
    assert list(rates._buckets) == ["a", "c"]
