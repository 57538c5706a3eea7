"""Hostile input: whatever is sent, the answer is a clear error with a code, and never shows what is inside."""

import json
import re
from collections.abc import Callable
from typing import Any

import graphql
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, nodes, queries

from automations.api.schema import schema
from tests.harness import Automations

CODES = {
    "BAD_USER_INPUT",
    "NOT_FOUND",
    "CONFLICT",
    "FORBIDDEN",
    "LIMIT_EXCEEDED",
    "VERSION_LOCKING_ERROR",
}
INSIDE = re.compile(r'Traceback|File "|\bSELECT\b|\bINSERT\b|relation "|column "|asyncpg|psycopg|\$\d')

HOSTILE_TEXTS = [
    "",
    "\0",
    "' OR 1=1 --",
    '"; DROP TABLE flow_run; --',
    "{flow_name",
    "{{nonsense}}",
    "💥" * 100,
    "\u202e\ufeff",
    "x" * 5000,
    "%s%n",
    "../../etc/passwd",
    "null",
]
# Mostly right: one wrong value refuses a document before anything of it is tried.
NIL = "00000000-0000-0000-0000-000000000000"
UUIDS = [NIL] * 20 + ["not-a-uuid", "", "\0", f"urn:uuid:{NIL}"]
TIMES = ["2026-01-31T09:30:00Z"] * 20 + [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "infinity",
    "",
    "now",
]


def _strings(values: list[str]) -> st.SearchStrategy[graphql.ValueNode]:
    return st.sampled_from(values).map(nodes.String)


def _json_nodes() -> st.SearchStrategy[graphql.ValueNode]:
    documents = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(HOSTILE_TEXTS),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "name", "", "\0"]), inner),
        max_leaves=6,
    )
    states = st.sampled_from(["Failed", "Running", "Submitted", "nope", ""]).map(lambda name: {"type": name})
    in_strings = (documents | states).map(lambda value: nodes.String(json.dumps(value)))
    bare = st.sampled_from(["{type: Failed}", str(10**30), "1e999", "[[[[]]]]", "{a: {a: {a: null}}}", "-0.0"])
    return in_strings | bare.map(graphql.parse_value)


SCALARS = {
    **dict.fromkeys(("UUID", "uuid"), _strings(UUIDS)),
    **dict.fromkeys(("DateTime", "timestamptz"), _strings(TIMES)),
    **dict.fromkeys(("JSON", "jsonb"), _json_nodes()),
    "String": st.text(max_size=20).map(nodes.String) | _strings(HOSTILE_TEXTS),
}
SDL = schema.as_str()
explored = settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)


def _documents(
    kind: graphql.GraphQLObjectType | None, make: Callable[..., st.SearchStrategy[Any]], mode: Mode = Mode.POSITIVE
) -> Any:
    """Documents that use one root field, any of them: a wrong one next to it would keep it from being tried."""
    assert kind is not None
    each = [
        make(SDL, fields=[name], custom_scalars=SCALARS, mode=mode) for name, field in kind.fields.items() if field.args
    ]
    return st.sampled_from(each).flatmap(lambda documents: documents)


async def post(api: Automations, content: bytes) -> Any:
    """The parsed answer, once it has been seen to show nothing that it must not."""
    response = await api.client.post(
        f"{api.url}/graphql", content=content, headers={"content-type": "application/json", **api.headers}
    )
    assert response.status_code < 500, response.text
    answer = orjson.loads(response.content)
    for error in answer.get("errors", ()):
        assert error["extensions"]["code"] in CODES, error
        assert not INSIDE.search(error["message"]), error
        assert len(error["message"]) < 3000
    return answer


async def send(api: Automations, query: str, variables: Any = None) -> Any:
    return await post(api, json.dumps({"query": query, "variables": variables}).encode())


def refusal(answer: Any) -> tuple[str, str]:
    """The first error's message and code."""
    error = answer["errors"][0]
    return error["message"], error["extensions"]["code"]


@explored
@given(document=_documents(schema._schema.query_type, queries))
async def test_any_query_is_answered_or_refused(shared_server: Automations, document: str) -> None:
    await send(shared_server, document)


@explored
@given(document=_documents(schema._schema.mutation_type, mutations))
async def test_any_mutation_is_done_or_refused(shared_server: Automations, document: str) -> None:
    await send(shared_server, document)


@explored
@given(
    document=_documents(schema._schema.query_type, queries, Mode.NEGATIVE)
    | _documents(schema._schema.mutation_type, mutations, Mode.NEGATIVE)
)
async def test_any_document_against_the_schema_is_refused(shared_server: Automations, document: str) -> None:
    assert (await send(shared_server, document))["errors"]


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("{ a " * 5000 + "}" * 5000, "nested too deeply", "BAD_USER_INPUT"),
        (
            "{ flow_run(where: " + "{_not: " * 5000 + "{}" + "}" * 5000 + ") { id } }",
            "nested too deeply",
            "BAD_USER_INPUT",
        ),
        (
            "{ flow_run(where: " + "{_and: [" * 90 + "{version: {_eq: 1}}" + "]}" * 90 + ") { id } }",
            None,
            None,
        ),
        ("query($a: " + "[" * 500 + "Int" + "]" * 500 + ") { hello }", "nested too deeply", "BAD_USER_INPUT"),
        ("{ " + " ".join(f"a{n}: hello" for n in range(501)) + " }", "may have 500 root fields", "LIMIT_EXCEEDED"),
        ("{ " + " ".join(f"a{n}: hello" for n in range(10_000)) + " }", "may have 20000 tokens", "LIMIT_EXCEEDED"),
        ("{ " + "hello " * 501 + " }", "may have 500 root fields; this one has 501", "LIMIT_EXCEEDED"),
        (
            "mutation { "
            + " ".join(f'a{n}: delete_secret(input: {{name: "x"}}) {{ success }}' for n in range(501))
            + " }",
            "may have 500 root fields",
            "LIMIT_EXCEEDED",
        ),
        (
            "{ flow_run { " + " ".join(f"a{n}: id" for n in range(1001)) + " } }",
            "may have 1000 aliases; this one has 1001",
            "LIMIT_EXCEEDED",
        ),
        (
            "{ flow_run_aggregate { aggregate { min { " + " ".join(f"a{n}: name" for n in range(200)) + " } } } }",
            "asks for too much",
            "LIMIT_EXCEEDED",
        ),
        ("{ flow_run { " + "id " * 10_000 + " } }", "asks for the same fields too often", "LIMIT_EXCEEDED"),
        ("{ hello " + "@skip(if: false) " * 201 + "}", "may have 200 directives; this one has 201", "LIMIT_EXCEEDED"),
        (
            "fragment a on flow_run { ...b } fragment b on flow_run { ...a } { flow_run { ...a } }",
            "spread",
            "BAD_USER_INPUT",
        ),
        ("{ flow_run { ...missing } }", "Unknown fragment", "BAD_USER_INPUT"),
        ("{ hello @skip }", "Argument '@skip(if:)' of type 'Boolean!' is required", "BAD_USER_INPUT"),
        ("{ hello @nonsense }", "Unknown directive", "BAD_USER_INPUT"),
        ("{ flow_run(limit: 1e400) { id } }", "Int cannot represent", "BAD_USER_INPUT"),
        ("{ flow_run(limit: " + "9" * 10_000 + ") { id } }", "Expected value of type 'Int'.", "BAD_USER_INPUT"),
        ('{ flow_run(where: {id: {_eq: "' + "9" * 100_000 + '"}}) { id } }', "is not a UUID", "BAD_USER_INPUT"),
        ('{ flow_run(where: {name: {_regex: "' + "(" * 10_000 + '"}}) { id } }', None, "BAD_USER_INPUT"),
        ('{ flow_run(where: {name: {_similar: "[a"}}) { id } }', "invalid regular expression", "BAD_USER_INPUT"),
        ('{ flow_run(where: {name: {_eq: "\\u{D800}"}}) { id } }', "Syntax Error", "BAD_USER_INPUT"),
        ('{ flow_run(where: {name: {_eq: "\\uD83D"}}) { id } }', "Syntax Error", "BAD_USER_INPUT"),
        ("{ hello }\0", "Syntax Error", "BAD_USER_INPUT"),
        ("\ufeff{ hello }", None, None),
        ("# " + "x" * 1_000_000 + "\n{ hello }", "may have 200000 characters; this one has 1000012", "LIMIT_EXCEEDED"),
        ("mutation { create_project(input: null) { id } }", "not to be None", "BAD_USER_INPUT"),
        (
            '{ __type(name: "flow_run") { ' + "fields { type { " * 50 + "name" + " } }" * 50 + " } }",
            "may be 32 fields deep; this one is 102",
            "LIMIT_EXCEEDED",
        ),
        (
            '{ __type(name: "flow_run") { ' + "fields { type { " * 10 + "name" + " } }" * 10 + " } }",
            None,
            "BAD_USER_INPUT",
        ),
    ],
)
async def test_hostile_document_is_refused_clearly(
    shared_server: Automations, query: str, message: str | None, code: str | None
) -> None:
    answer = await send(shared_server, query)
    if code is None:
        assert "errors" not in answer
        return
    found, found_code = refusal(answer)
    assert found_code == code
    assert message is None or message in found


def _nested(levels: int, inner: Any = None) -> Any:
    for _ in range(levels):
        inner = {"_and": [inner or {}]}
    return inner


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"where": _nested(100)}, None),
        ({"where": _nested(200)}, "BAD_USER_INPUT"),
        ({"where": _nested(450)}, "BAD_USER_INPUT"),
        ({"where": {"id": {"_in": [NIL] * 100_000}}}, None),
        ({"where": {"_or": [{"version": {"_eq": 1}}] * 15_000}}, "LIMIT_EXCEEDED"),
        ({"where": {"_or": [{"flow": {"version": {"_eq": 1}}}] * 300}}, None),
        ({"where": {"name": {"_eq": "\0"}}}, "BAD_USER_INPUT"),
        ({"where": {"version": {"_eq": 10**30}}}, "BAD_USER_INPUT"),
        ({"where": {"version": {"_eq": 2**31}}}, "BAD_USER_INPUT"),
        ({"where": {"version": {"_eq": 1.5}}}, "BAD_USER_INPUT"),
        ({"where": {"version": {"_eq": True}}}, "BAD_USER_INPUT"),
        ({"where": {"parameters": {"_eq": 10**30}}}, None),
        ({"where": {"parameters": {"_contains": {"\0": 1}}}}, "BAD_USER_INPUT"),
        ({"where": {"parameters": {"_has_key": "\0"}}}, "BAD_USER_INPUT"),
        ({"where": {"id": {"_eq": [[[NIL]]]}}}, "BAD_USER_INPUT"),
        ({"where": {"id": {"_eq": {"a": NIL}}}}, "BAD_USER_INPUT"),
        ({"where": {"__proto__": 1, "constructor": 2}}, "BAD_USER_INPUT"),
        ({"where": "flow_run"}, "BAD_USER_INPUT"),
        ({"where": [{}]}, "BAD_USER_INPUT"),
        ({"where": {"created": {"_gt": "2026-02-30T00:00:00Z"}}}, "BAD_USER_INPUT"),
        ({"where": {"created": {"_gt": 5}}}, "BAD_USER_INPUT"),
        ({"unknown" * 1000: "x"}, None),
    ],
)
async def test_hostile_variables_are_refused_clearly(
    shared_server: Automations, variables: dict[str, Any], code: str | None
) -> None:
    query = "query($where: flow_run_bool_exp) { flow_run(where: $where) { id } }"
    answer = await send(shared_server, query, variables)
    if code is None:
        assert "errors" not in answer
    else:
        assert refusal(answer)[1] == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "\\ud800"}',
        b'{"query": "{ hello }", "variables": "\\ud800"}',
        b'{"query": "{ hello }", "variables": {"a": "\\udc00\\ud800"}}',
        b'{"query": "{ hello }", "variables": "{\\"a\\": 1e999}"}',
        b'{"query": "{ hello }", "variables": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"query": "{ hello }", "variables": NaN}',
        b'{"query": "\xff"}',
        b'{"query": ["{ hello }"]}',
        b'{"query": "{ hello }", "operationName": {}}',
        b"[" * 26 + b"]" * 26,
        b"5",
        b'"{ hello }"',
        b"\0",
    ],
)
async def test_hostile_body_is_refused_clearly(shared_server: Automations, body: bytes) -> None:
    assert refusal(await post(shared_server, body))[1] == "BAD_USER_INPUT"


@pytest.mark.parametrize("levels", [60, 240, 300, 800])
async def test_deeply_nested_json_is_kept_or_refused(api: Automations, levels: int) -> None:
    flow = await api.flow()
    document: Any = "x"
    for _ in range(levels):
        document = [document]
    query = """mutation($flow: UUID!, $json: JSON) {
        create_flow_run(input: {flow_id: $flow, context: $json}) { id } }"""
    answer = await send(api, query, {"flow": flow, "json": document})
    if levels < 250:
        [run] = (await api.execute("{ flow_run { context } }"))["flow_run"]
        assert run["context"] == document
    else:
        assert refusal(answer)[1] == "BAD_USER_INPUT"


async def test_slow_regular_expression_is_stopped(api: Automations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automations.api.reads.LONGEST_READ_SECONDS", 0.3)
    await api.write("create_project", name="a" * 1001)
    query = "query($regex: String) { project(where: {name: {_regex: $regex}}) { id } }"
    answer = await send(api, query, {"regex": r"^(a+)(a+)(a+)\1\2\3$"})
    assert refusal(answer) == ("The query asks for too much at once; ask for fewer fields or rows.", "LIMIT_EXCEEDED")
