"""The 61 rules by which graphql-http 1.23.1 audits servers, each as a test under its id and name.

They follow https://github.com/graphql/graphql-http and its reading of the GraphQL-over-HTTP draft. Where Node is there,
it runs the real ones, too.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.harness import Automations
from tests.node import run_node

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
TYPENAME = "{ __typename }"
TYPE = "query Type($name: String!) { __type(name: $name) { name } }"
NAME = {"name": "sometype"}
COERCION = {"query": "query CoerceFailure($id: ID!){ __typename }", "variables": {"id": None}}

Check = Callable[[httpx.Response], bool]


def status(*allowed: int) -> Check:
    """The status is one of these."""
    return lambda response: response.status_code in allowed


def between(least: int, most: int) -> Check:
    """The status lies between these."""
    return lambda response: least <= response.status_code <= most


def typed(name: str) -> Check:
    """The answer is of this media type."""
    return lambda response: name in response.headers["content-type"]


def in_utf8(response: httpx.Response) -> bool:
    """The answer can be read as UTF-8."""
    return bool(response.content.decode("utf-8"))


def without(key: str) -> Check:
    """The answer is JSON that has no such key."""
    return lambda response: key not in response.json()


NO_ERRORS, NO_DATA = without("errors"), without("data")
CLIENT_ERROR, ANY_ERROR = between(400, 499), between(400, 599)


@dataclass(frozen=True)
class Audit:
    """One rule: what is sent, and what has to hold of the answer."""

    id: str
    name: str
    checks: tuple[Check, ...]
    body: Any = None
    accept: str | None = None
    content_type: str | None = JSON
    parameters: dict[str, str] = field(default_factory=dict)

    async def answer(self, api: Automations) -> httpx.Response:
        headers = {**api.headers, "accept": self.accept or "*/*"}
        if self.parameters:
            return await api.client.get(f"{api.url}/graphql", params=self.parameters, headers=headers)
        if self.content_type:
            headers["content-type"] = self.content_type
        content = self.body if isinstance(self.body, str | None) else json.dumps(self.body)
        return await api.client.post(f"{api.url}/graphql", content=content, headers=headers)


def by_post(id_: str, name: str, body: Any, *checks: Check, accept: str | None = None) -> Audit:
    """A rule about a POST of JSON."""
    return Audit(id_, name, checks, body, accept)


def by_get(id_: str, name: str, *checks: Check, accept: str | None = None, **parameters: str) -> Audit:
    """A rule about a GET."""
    return Audit(id_, name, checks, accept=accept, parameters=parameters)


def for_each(prefix: str, name: str, parameter: str, values: list[tuple[str, Any]]) -> list[Audit]:
    """A rule about a parameter of a wrong type, for each such type."""
    return [
        by_post(
            f"{prefix}{index}",
            name.format(kind=kind, parameter=parameter),
            {"query": TYPENAME} | {parameter: value},
            status(400),
            accept=None if parameter == "query" else GRAPHQL_JSON,
        )
        for index, (kind, value) in enumerate(values)
    ]


def nulls(index: int, parameter: str) -> list[Audit]:
    """The rules about a parameter that is null."""
    body = {"query": TYPENAME, parameter: None}
    return [
        by_post(
            f"94B{index}",
            f"SHOULD allow null {{{parameter}}} parameter when accepting {GRAPHQL_JSON}",
            body,
            status(200),
            NO_ERRORS,
            accept=GRAPHQL_JSON,
        ),
        by_post(
            f"022{index}",
            f"MUST allow null {{{parameter}}} parameter when accepting {JSON}",
            body,
            status(200),
            NO_ERRORS,
            accept=JSON,
        ),
    ]


def allowed(ids: tuple[str, str], what: str, body: Any) -> list[Audit]:
    """The rules about a parameter of the right type, one a media type."""
    return [
        by_post(
            ids[0], f"SHOULD allow {what} parameter when accepting {GRAPHQL_JSON}", body, status(200),
            accept=GRAPHQL_JSON,
        ),
        by_post(
            ids[1], f"MUST allow {what} parameter when accepting {JSON}", body, status(200), NO_ERRORS, accept=JSON
        ),
    ]  # fmt: skip


def failing(ids: tuple[str, str, str], what: str, query: str) -> list[Audit]:
    """The rules about a document that cannot be run, where the newer media type is accepted."""
    body, tail = {"query": query}, f"on document {what} failure when accepting {GRAPHQL_JSON}"
    return [
        by_post(ids[0], f"SHOULD use 4xx or 5xx status codes {tail}", body, ANY_ERROR, accept=GRAPHQL_JSON),
        by_post(ids[1], f"SHOULD use 400 status code {tail}", body, status(400), accept=GRAPHQL_JSON),
        by_post(ids[2], f"SHOULD not contain the data entry {tail}", body, NO_DATA, accept=GRAPHQL_JSON),
    ]


NO_STRINGS = [("object", {"obj": "ect"}), ("number", 0), ("boolean", False), ("array", ["array"])]
NO_OBJECTS = [("string", "string"), *NO_STRINGS[1:]]
WRONG = "MAY use 400 status code on {kind} {{{parameter}}} parameter"
BROKEN = '{ "not a JSON'
UNKNOWN_FIELD = "{ 8f31403dfe404bccbb0e835f2629c6a7 }"
MISSPELT = {"qeury": TYPENAME}
BODY = {"query": TYPENAME}

AUDITS = [
    by_post(
        "22EB", f"SHOULD accept {GRAPHQL_JSON} and match the content-type", BODY, status(200), typed(GRAPHQL_JSON),
        accept=GRAPHQL_JSON,
    ),
    by_post("4655", f"MUST accept {JSON} and match the content-type", BODY, status(200), typed(JSON), accept=JSON),
    by_post(
        "47DE", f"SHOULD accept */* and use {JSON} for the content-type", BODY, status(200), typed(JSON), accept="*/*"
    ),
    by_get(
        "80D8", f"SHOULD assume {JSON} content-type when accept is missing", status(200), typed(JSON), query=TYPENAME
    ),
    by_post("82A3", "MUST use utf-8 encoding when responding", BODY, status(200), in_utf8),
    Audit("BF61", "MUST accept utf-8 encoded request", (status(200),), BODY, content_type=f"{JSON}; charset=utf-8"),
    by_post("78D5", "MUST assume utf-8 in request if encoding is unspecified", BODY, status(200)),
    by_post("2C94", "MUST accept POST requests", BODY, status(200)),
    by_get(
        "5A70", "MAY accept application/x-www-form-urlencoded formatted GET requests", status(200), query=TYPENAME
    ),
    by_get(
        "9C48", "MAY NOT allow executing mutations on GET requests", CLIENT_ERROR, accept=GRAPHQL_JSON,
        query="mutation { __typename }",
    ),
    Audit(
        "9ABE", "SHOULD respond with 4xx status code if content-type is not supplied on POST requests",
        (CLIENT_ERROR,), BODY, content_type=None,
    ),
    by_post("03D4", f"MUST accept {JSON} POST requests", BODY, status(200)),
    by_post("A5BF", "MAY use 400 status code when request body is missing on POST", None, status(400)),
    by_post(
        "423L", "MAY use 400 status code on missing {query} parameter", {"notquery": TYPENAME}, status(400),
        accept=GRAPHQL_JSON,
    ),
    *for_each("LKJ", WRONG, "query", NO_STRINGS),
    *allowed(("34A2", "13EE"), "string {query}", BODY),
    *for_each("6C0", WRONG, "operationName", NO_STRINGS),
    *allowed(
        ("8161", "B8B3"), "string {operationName}", {"operationName": "Query", "query": "query Query { __typename }"}
    ),
    *nulls(0, "variables"),
    *nulls(1, "operationName"),
    *nulls(2, "extensions"),
    *for_each("476", WRONG, "variables", NO_OBJECTS),
    *allowed(("2EA1", "28B9"), "map {variables}", {"query": TYPE, "variables": NAME}),
    by_get(
        "D6D5", f"MAY allow URL-encoded JSON string {{variables}} parameter in GETs when accepting {GRAPHQL_JSON}",
        status(200), accept=GRAPHQL_JSON, query=TYPE, variables=json.dumps(NAME),
    ),
    by_get(
        "6A70", f"MAY allow URL-encoded JSON string {{variables}} parameter in GETs when accepting {JSON}",
        status(200), NO_ERRORS, accept=JSON, query=TYPE, variables=json.dumps(NAME),
    ),
    *for_each("58B", WRONG, "extensions", NO_OBJECTS),
    *allowed(("428F", "1B7A"), "map {extensions}", {"query": TYPENAME, "extensions": {"some": "value"}}),
    by_post(
        "B6DC", f"MAY use 2xx, 4xx, or 5xx status codes on JSON parsing failure when accepting {JSON}", BROKEN,
        between(200, 599), accept=JSON,
    ),
    by_post(
        "BCF8", f"SHOULD use 400 status code on JSON parsing failure when accepting {JSON}", BROKEN, status(400),
        accept=JSON,
    ),
    by_post(
        "B7N8", f"SHOULD use 400 status code on JSON parsing failure when accepting {GRAPHQL_JSON}", BROKEN,
        status(400), accept=GRAPHQL_JSON,
    ),
    by_post("8764", "MAY use 4xx or 5xx status codes if parameters are invalid", MISSPELT, ANY_ERROR),
    by_post("3E3A", "MAY use 400 status code if parameters are invalid", MISSPELT, status(400)),
    by_post(
        "572B", f"SHOULD use 200 status code on document parsing failure when accepting {JSON}", {"query": "{"},
        status(200), accept=JSON,
    ),
    by_post(
        "FDE2", f"SHOULD use 200 status code on document validation failure when accepting {JSON}",
        {"query": UNKNOWN_FIELD}, status(200), accept=JSON,
    ),
    by_post(
        "7B9B", f"SHOULD use a status code of 200 on variable coercion failure when accepting {JSON}", COERCION,
        status(200), accept=JSON,
    ),
    *failing(("865D", "556A", "D586"), "parsing", "{"),
    *failing(("51FE", "74FF", "5E5B"), "validation", UNKNOWN_FIELD),
    by_post(
        "86EE", f"SHOULD use a status code of 400 on variable coercion failure when accepting {GRAPHQL_JSON}",
        COERCION, status(400), accept=GRAPHQL_JSON,
    ),
]  # fmt: skip


def test_there_are_61_audits_with_an_id_of_their_own() -> None:
    assert len({audit.id for audit in AUDITS}) == len(AUDITS) == 61


@pytest.mark.parametrize("audit", AUDITS, ids=lambda audit: f"{audit.id} {audit.name}")
async def test_audit_holds(shared_server: Automations, audit: Audit) -> None:
    response = await audit.answer(shared_server)
    for check in audit.checks:
        assert check(response), (response.status_code, response.text)


async def test_real_audits_hold_and_are_those_above(shared_server: Automations) -> None:
    results = await run_node("audit.cjs", f"{shared_server.url}/graphql")
    assert [result for result in results if result["status"] != "ok"] == []
    assert {result["id"]: result["name"] for result in results} == {audit.id: audit.name for audit in AUDITS}
