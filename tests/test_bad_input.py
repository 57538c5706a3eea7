"""Whatever is sent, the answer is an answer: no 5xx, no internal error, no trace, no SQL."""

import json
from typing import Any

import hypothesis_graphql
import pytest
from graphql import print_ast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.api.schema import schema
from tests.harness import Automations

SDL = schema.as_str()
LEAKS = ("Traceback", "SELECT ", "INSERT INTO", 'relation "', 'column "', "asyncpg", "/automations/", "site-packages")

uuids = st.one_of(st.uuids().map(str), st.sampled_from(["", "x", "0" * 36, "{00000000-0000-0000-0000-000000000000}"]))
times = st.one_of(
    st.datetimes().map(lambda time: time.isoformat()),
    st.sampled_from(["", "now", "9999-12-31T23:59:59Z", "0001-01-01", "2019-01-01 12:00:00", "infinity"]),
)
texts = st.one_of(
    st.text(max_size=20), st.sampled_from(["\0", "'; DROP TABLE flow; --", "%", "\\", "{", "(", "\ud7ff"])
)
jsons = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)


def literal(value: Any) -> Any:
    """A value as a node of a document."""
    return hypothesis_graphql.nodes.String(json.dumps(value) if not isinstance(value, str) else value)


SCALARS = {
    **{name: uuids.map(literal) for name in ("UUID", "uuid")},
    **{name: times.map(literal) for name in ("DateTime", "timestamptz")},
    **{name: jsons.map(literal) for name in ("JSON", "jsonb")},
}
QUERIES = hypothesis_graphql.queries(SDL, custom_scalars=SCALARS, print_ast=print_ast)
MUTATIONS = hypothesis_graphql.mutations(SDL, custom_scalars=SCALARS, print_ast=print_ast)

generated = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


async def check(server: Automations, body: bytes | str, content_type: str = "application/json") -> Any:
    """Send it; what comes back must be an answer, and is returned."""
    response = await server.client.post(f"{server.url}/graphql", content=body, headers={"content-type": content_type})
    assert response.status_code < 500, response.text[:500]
    answer = response.json()
    for error in answer.get("errors", ()) if isinstance(answer, dict) else ():
        assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR", error
    assert not [leak for leak in LEAKS if leak in response.text], response.text[:1000]
    return answer


@given(document=QUERIES)
@generated
async def test_no_query_breaks_it(server: Automations, document: str) -> None:
    await check(server, json.dumps({"query": document}))


@given(document=MUTATIONS)
@generated
async def test_no_mutation_breaks_it(server: Automations, document: str) -> None:
    await check(server, json.dumps({"query": document}))


@given(variables=st.one_of(jsons, st.dictionaries(st.just("input"), jsons)))
@generated
async def test_no_variables_break_it(server: Automations, variables: Any) -> None:
    query = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
    await check(server, json.dumps({"query": query, "variables": variables}))


@given(body=st.one_of(st.binary(max_size=200), jsons.map(lambda value: json.dumps(value).encode())))
@generated
async def test_no_body_breaks_it(server: Automations, body: bytes) -> None:
    await check(server, body)


HOSTILE = {
    "a fragment that spreads itself": "{ ...a } fragment a on Query { ...a }",
    "deep nesting": "{ flow_run " + "{ flow { flow_runs " * 200 + "{ id }" + " } }" * 200 + " }",
    "deep lists": "{ flow_run(where: {labels: {_eq: " + "[" * 3000 + "]" * 3000 + "}}) { id } }",
    "deep filters": "{ flow_run(where: " + "{_not: " * 300 + "{}" + "}" * 300 + ") { id } }",
    "ten thousand aliases": "{ " + " ".join(f"a{number}: hello" for number in range(10_000)) + " }",
    "a list of a hundred thousand": "{ flow_run(where: {name: {_in: [" + '"x",' * 100_000 + "]}}) { id } }",
    "a number beyond 64 bits": "{ flow_run(where: {labels: {_eq: 1000000000000000000000000000000}}) { id } }",
    "a number beyond 32 bits": "{ flow_run(limit: 3000000000) { id } }",
    "a negative limit": "{ flow_run(limit: -1) { id } }",
    "a lone surrogate": '{ flow_run(where: {name: {_eq: "\\ud800"}}) { id } }',
    "a NUL character": '{ flow_run(where: {name: {_eq: "\\u0000"}}) { id } }',
    "an invalid pattern": '{ flow_run(where: {name: {_regex: "("}}) { id } }',
    "an unknown enum": "{ flow_run(order_by: {name: sideways}) { id } }",
    "an alias too long for PostgreSQL": "{ flow_run { " + "a" * 100 + ": id } }",
    "the wrong type": '{ flow_run(where: {id: {_eq: {a: "b"}}}) { id } }',
    "a directive that is not there": "{ hello @nothing }",
    "nothing": "",
    "only a comment": "# hello",
    "an unfinished document": "{ hello",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_document_is_refused_with_a_reason(server: Automations, name: str) -> None:
    answer = await check(server, json.dumps({"query": HOSTILE[name]}))
    if name == "a list of a hundred thousand":
        assert answer["data"] == {"flow_run": []}
        return
    [error, *_] = answer["errors"]
    assert error["message"]
    assert error["extensions"]["code"] in {"BAD_USER_INPUT", "LIMIT_EXCEEDED"}
