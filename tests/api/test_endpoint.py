"""GraphQL over HTTP, spoken to with plain requests."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from automations.api.media_types import answer_type
from automations.database import Connection, Database
from tests.harness import Automations

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
HELLO = {"query": "{ hello }"}


async def post(api: Automations, body: Any, path: str = "/graphql", **headers: str) -> tuple[int, Any]:
    """Status and parsed body of the answer to a JSON body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": JSON, **api.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = await api.client.post(f"{api.url}{path}", content=content, headers=given)
    return response.status_code, orjson.loads(response.content)


def error(answer: Any) -> tuple[str, str]:
    """The message and code of an answer's only error."""
    [found] = answer["errors"]
    return found["message"], found["extensions"]["code"]


@pytest.mark.parametrize("path", ["/", "/graphql", ""])
async def test_both_paths_answer(api: Automations, path: str) -> None:
    status, answer = await post(api, HELLO, path)
    assert (status, answer) == (200, {"data": {"hello": "👋"}})


@pytest.mark.parametrize(
    "variables", [{"name": "x"}, json.dumps({"name": "x"}), '{"name": "x", "unused": 1}', {"name": "x", "unused": 1}]
)
async def test_variables_are_an_object_or_json_in_a_string(api: Automations, variables: Any) -> None:
    await api.write("create_project", name="x")
    query = "query($name: String!) { project(where: {name: {_eq: $name}}) { name } }"
    status, answer = await post(api, {"query": query, "variables": variables})
    assert (status, answer) == (200, {"data": {"project": [{"name": "x"}]}})


@pytest.mark.parametrize("variables", ["null", None, "", "{}", {}])
async def test_no_variables_come_in_many_forms(api: Automations, variables: Any) -> None:
    assert (await post(api, {"query": "{ hello }", "variables": variables}))[1] == {"data": {"hello": "👋"}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": "{ hello }", "variables": "not json"}, '"variables" is a string that is not JSON.'),
        ({"query": "{ hello }", "variables": [1]}, '"variables" must be an object.'),
        ({"query": "{ hello }", "variables": "[1]"}, '"variables" must be an object.'),
        ({"query": "{ hello }", "variables": 5}, '"variables" must be an object.'),
        ({"query": "{ hello }", "operationName": 5}, '"operationName" must be a string.'),
        ({"query": ""}, 'An operation is an object with a "query".'),
        ({"query": " \n"}, 'An operation is an object with a "query".'),
        ({"query": None}, 'An operation is an object with a "query".'),
        ({"query": 5}, 'An operation is an object with a "query".'),
        ({}, 'An operation is an object with a "query".'),
        ("{ hello }", 'An operation is an object with a "query".'),
        (None, 'An operation is an object with a "query".'),
        ([HELLO, 5], 'An operation is an object with a "query".'),
        ([], "A batch has one operation at least."),
    ],
)
async def test_body_of_another_shape_is_refused(api: Automations, body: Any, message: str) -> None:
    status, answer = await post(api, body)
    assert status == 400
    assert error(answer) == (message, "BAD_USER_INPUT")


@pytest.mark.parametrize("body", [b"", b"{", b"query=x", b"\xff\xfe", b'{"query": "\\ud800"}', b"[" * 2000])
async def test_body_that_is_not_json_is_refused(api: Automations, body: bytes) -> None:
    status, answer = await post(api, body)
    message, code = error(answer)
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert message.startswith("The body is not JSON")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_other_content_types_are_refused(api: Automations, content_type: str) -> None:
    """A browser's form can post these to us from any page; it cannot post JSON."""
    status, answer = await post(api, HELLO, content_type=content_type)
    assert status == 415
    assert error(answer) == ("Send the request as application/json.", "BAD_USER_INPUT")


async def test_content_type_may_name_a_charset(api: Automations) -> None:
    assert (await post(api, HELLO, content_type="Application/JSON; charset=utf-8"))[0] == 200


async def test_larger_body_than_allowed_is_refused(api: Automations) -> None:
    status, answer = await post(api, {"query": "{ hello }", "padding": "x" * 5_000_001})
    assert status == 413
    assert error(answer) == ("The body is larger than 5000000 bytes.", "LIMIT_EXCEEDED")


async def test_batch_is_answered_in_order_and_one_failure_stays_alone(api: Automations) -> None:
    batch = [
        {"query": 'mutation { create_project(input: {name: "one"}) { id } }'},
        {"query": "{ nonsense }"},
        {"query": "query A { hello } query B { project { name } }", "operationName": "B"},
        {"query": "query($n: Int!) { project(limit: $n) { name } }", "variables": '{"n": 0}'},
    ]
    status, answers = await post(api, batch)
    assert status == 200
    assert answers[0]["data"]["create_project"]["id"]
    assert error(answers[1])[1] == "BAD_USER_INPUT"
    assert answers[2:] == [{"data": {"project": [{"name": "one"}]}}, {"data": {"project": []}}]


async def test_batch_has_25_operations_at_most(api: Automations) -> None:
    assert len((await post(api, [HELLO] * 25))[1]) == 25
    status, answer = await post(api, [HELLO] * 26)
    assert status == 413
    assert error(answer) == ("A batch has 25 operations at most; this one has 26.", "LIMIT_EXCEEDED")


async def test_operation_name_picks_the_operation(api: Automations) -> None:
    document = "query A { a: hello } query B { b: hello }"
    assert (await post(api, {"query": document, "operationName": "B"}))[1] == {"data": {"b": "👋"}}
    assert error((await post(api, {"query": document}))[1]) == (
        "Name the operation to run in operationName.",
        "BAD_USER_INPUT",
    )
    assert error((await post(api, {"query": document, "operationName": "C"}))[1]) == (
        "There is no operation 'C'.",
        "BAD_USER_INPUT",
    )
    assert (await post(api, {"query": "{ hello }", "operationName": ""}))[1] == {"data": {"hello": "👋"}}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{", "Syntax Error: Expected Name, found <EOF>."),
        ("{ nonsense }", "Cannot query field 'nonsense' on type 'Query'."),
        ("{ helo }", "Cannot query field 'helo' on type 'Query'. Did you mean 'hello'?"),
        ("query($a: Nope) { hello(a: $a) }", None),
        ("subscription { hello }", None),
        ("fragment F on flow_run { id }", "Fragment 'F' is never used."),
        ("{ flow_run_by_pk { id } }", None),
    ],
)
async def test_wrong_document_is_an_error_with_a_code(api: Automations, query: str, message: str | None) -> None:
    status, answer = await post(api, {"query": query})
    assert (status, "data" in answer) == (200, False)
    assert {found["extensions"]["code"] for found in answer["errors"]} == {"BAD_USER_INPUT"}
    if message is not None:
        assert error(answer)[0] == message


async def test_both_media_types_are_spoken(api: Automations) -> None:
    """The older type says 200 whatever happens; with the newer one a request that was not executed is a 400."""
    for accept, not_executed in (
        (JSON, 200),
        ("*/*", 200),
        (GRAPHQL_JSON, 400),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", 400),
    ):
        for query, status in (("{ hello }", 200), ("{ nonsense }", not_executed), ("{", not_executed)):
            response = await api.client.post(
                f"{api.url}/graphql", json={"query": query}, headers={"accept": accept, **api.headers}
            )
            assert response.status_code == status
            assert response.headers["content-type"] == (GRAPHQL_JSON if GRAPHQL_JSON in accept else JSON)


async def test_failed_field_leaves_the_others_their_data(api: Automations) -> None:
    query = """mutation { good: create_project(input: {name: "x"}) { id }
        bad: create_project(input: {name: "x"}) { id } }"""
    status, answer = await post(api, {"query": query}, accept=GRAPHQL_JSON)
    assert status == 200
    assert answer["data"]["good"]["id"]
    assert answer["data"]["bad"] is None
    assert answer["errors"] == [
        {
            "message": "Uniqueness violation.",
            "locations": [{"line": 2, "column": 9}],
            "path": ["bad"],
            "extensions": {"code": "CONFLICT"},
        }
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_answered(api: Automations, method: str) -> None:
    response = await api.client.request(
        method, f"{api.url}/graphql", params={"query": "{ hello }"}, headers=api.headers
    )
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def get(
    api: Automations, headers: Mapping[str, str] = MappingProxyType({}), /, **parameters: str
) -> httpx.Response:
    """The answer to a GET."""
    return await api.client.get(f"{api.url}/graphql", params=parameters, headers={**api.headers, **headers})


async def test_get_carries_all_in_the_url(api: Automations) -> None:
    await api.write("create_project", name="x")
    response = await get(
        api,
        query="query A { hello } query B($name: String) { project(where: {name: {_eq: $name}}) { name } }",
        variables='{"name": "x"}',
        operationName="B",
        extensions='{"a": 1}',
    )
    assert (response.status_code, response.json()) == (200, {"data": {"project": [{"name": "x"}]}})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, 'An operation is an object with a "query".'),
        ({"query": ""}, 'An operation is an object with a "query".'),
        ({"query": "{ hello }", "variables": "["}, '"variables" is a string that is not JSON.'),
        ({"query": "{ hello }", "variables": "[]"}, '"variables" must be an object.'),
        ({"query": "{ hello }", "extensions": "["}, '"extensions" is a string that is not JSON.'),
        ({"query": "{ hello }", "extensions": "[]"}, '"extensions" must be an object.'),
    ],
)
async def test_wrong_url_is_refused(api: Automations, parameters: dict[str, str], message: str) -> None:
    response = await get(api, **parameters)
    assert (response.status_code, error(response.json())) == (400, (message, "BAD_USER_INPUT"))


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_get_does_not_write(api: Automations, accept: str) -> None:
    query = 'mutation { create_project(input: {name: "made by GET"}) { id } }'
    response = await get(api, {"accept": accept}, query=query)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert error(response.json()) == ("A GET may only read: send the operation by POST.", "BAD_USER_INPUT")
    assert (await api.execute("{ project { name } }"))["project"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "accept": GRAPHQL_JSON}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({}, 200),
    ],
)
async def test_page_elsewhere_cannot_get(api: Automations, headers: dict[str, str], status: int) -> None:
    response = await get(api, headers, query="{ hello }")
    assert response.status_code == status
    if status == 403:
        assert "AUTOMATIONS_ALLOWED_ORIGINS" in error(response.json())[0]


async def test_answer_that_the_client_does_not_take_is_refused(api: Automations) -> None:
    for accept, expected in (("text/html", 406), ("application/xml;q=0.9", 406), ("text/html, */*;q=0.1", 200)):
        assert (await post(api, HELLO, accept=accept))[0] == expected


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON};q=1, {GRAPHQL_JSON};q=0.5", JSON),
        (f"{GRAPHQL_JSON};charset=utf-8, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, {JSON}", JSON),
        (f"{GRAPHQL_JSON};q=nonsense", None),
        ("Text/Event-Stream", "text/event-stream"),
        ("image/png", None),
    ],
)
def test_media_type_is_the_one_that_is_liked_most(accept: str, type_: str | None) -> None:
    assert answer_type(accept) == type_


async def test_only_utf8_is_read(api: Automations) -> None:
    assert (await post(api, HELLO, content_type='application/json; charset="UTF-8"'))[0] == 200
    assert (await post(api, HELLO, content_type="application/json; charset=utf-16"))[0] == 415


async def test_long_answer_is_packed_for_those_who_take_it(api: Automations) -> None:
    for number in range(12):
        await api.write("create_project", name=f"p{number}", description="x" * 1000)
    for encoding, packed in (("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False)):
        headers = {**api.headers, "accept-encoding": encoding}
        body = {"query": "{ project { name description } }"}
        response = await api.client.post(f"{api.url}/graphql", json=body, headers=headers)
        assert (response.headers.get("content-encoding") == "gzip") is packed
        assert (int(response.headers["content-length"]) < 2000) is packed
        assert response.headers["vary"] == "Accept, Accept-Encoding"
        assert len(response.json()["data"]["project"]) == 12
    short = await api.client.post(f"{api.url}/graphql", json=HELLO, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in short.headers


@pytest.mark.parametrize("given", ["4bf92f3577b34da6", "req_1.2:3/a=@b+c-d", "x" * 128])
async def test_request_id_comes_back(api: Automations, given: str) -> None:
    response = await api.client.post(f"{api.url}/graphql", json=HELLO, headers={"x-request-id": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", 'a"b', "é"])
async def test_request_id_that_cannot_be_used_is_replaced(api: Automations, given: str | None) -> None:
    headers = [] if given is None else [(b"x-request-id", given.encode())]
    response = await api.client.post(f"{api.url}/graphql", json=HELLO, headers=headers)
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
async def test_foreign_host_is_refused(api: Automations, host: str) -> None:
    response = await api.client.post(f"{api.url}/graphql", json=HELLO, headers={"host": host})
    assert response.status_code in {400, 421}


async def test_tenant_header_picks_the_tenant(shared_server: Automations) -> None:
    made = await shared_server.write("create_tenant", name=f"picked {uuid4().hex}")
    status, answer = await post(shared_server, {"query": "{ tenant { id } }"}, x_prefect_tenant_id=made["id"].upper())
    assert (status, answer) == (200, {"data": {"tenant": [{"id": made["id"]}]}})


async def test_unknown_tenant_is_refused(shared_server: Automations) -> None:
    unknown = str(uuid4())
    for _ in range(2):  # the second time as well: what is remembered are the tenants there are
        for accept, refused in ((JSON, 200), (GRAPHQL_JSON, 401)):
            status, answer = await post(shared_server, HELLO, x_prefect_tenant_id=unknown, accept=accept)
            assert status == refused
            assert error(answer) == (f"There is no tenant {unknown}.", "UNAUTHENTICATED")


@pytest.mark.parametrize("header", ["X-PREFECT-TENANT-ID", "X-PREFECT-AGENT-ID"])
async def test_header_that_is_no_uuid_is_refused(api: Automations, header: str) -> None:
    status, answer = await post(api, HELLO, **{header: "nonsense"})
    assert status == 400
    assert error(answer) == (f"The header {header} is not a UUID.", "BAD_USER_INPUT")


async def test_refused_input_is_not_repeated_in_the_answer(api: Automations) -> None:
    """What was refused may hold a secret."""
    query = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
    for wrong in (
        {"value": "hunter2"},
        {"value": "hunter2", "name": "X", "extra": 1},
        {"value": "hunter2", "nam": "X"},
        "hunter2",
        {"value": "hunter2", "name": None},
    ):
        _, answer = await post(api, {"query": query, "variables": {"input": wrong}})
        assert "hunter2" not in orjson.dumps(answer).decode()
        assert all(found["extensions"]["code"] == "BAD_USER_INPUT" for found in answer["errors"])
    for literal in ('{value: "hunter2"}', '{value: "hunter2", name: 5, extra: 1}', '"hunter2"'):
        _, answer = await post(api, {"query": f"mutation {{ set_secret(input: {literal}) {{ success }} }}"})
        assert "hunter2" not in orjson.dumps(answer).decode()


async def test_coercion_error_says_where_and_what_is_expected(api: Automations) -> None:
    query = "mutation($input: create_automation_input!) { create_automation(input: $input) { id } }"
    _, answer = await post(api, {"query": query, "variables": {"input": {"name": 5, "actions": [{"nope": {}}]}}})
    messages = [found["message"] for found in answer["errors"]]
    assert (
        messages
        == [
            "Variable '$input' has invalid value at .name: String cannot represent a non string value: 5.",
            "Variable '$input' has invalid value: "
            "Expected value of type 'create_automation_input' to include required field 'event'.",
            "Variable '$input' has invalid value at .actions[0]: "
            "Expected value of type 'automation_action_input' not to include unknown field 'nope'.",
        ]
        or len(messages) == 3
    )
    assert all(found["extensions"]["code"] == "BAD_USER_INPUT" for found in answer["errors"])


async def test_literal_json_takes_variables_inside(api: Automations) -> None:
    flow = await api.flow()
    query = """mutation($flow: UUID!, $text: String, $list: [String!], $missing: String, $id: UUID!) {
        create_flow_run(input: {flow_id: $flow, labels: $list, context: "[1, {\\"a\\": null}]",
            parameters: {text: $text, list: [$text, $missing, 1.5], missing: $missing, id: $id, kind: BARE, no: false}})
        { id } }"""
    made = await api.execute(query, flow=flow, text="x", list=["l"], id=flow)
    [run] = (await api.execute("{ flow_run { id parameters labels context } }"))["flow_run"]
    assert run == {
        "id": made["create_flow_run"]["id"],
        "parameters": {"text": "x", "list": ["x", None, 1.5], "id": flow, "kind": "BARE", "no": False},
        "labels": ["l"],
        "context": [1, {"a": None}],
    }


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        (str(10**30), "Integer exceeds 64-bit range"),
        ("[1e999]", "a number is out of range"),
        ("[" * 150 + "]" * 150, None),
        (json.dumps("[" * 400 + "]" * 400), "Recursion limit reached"),
    ],
)
async def test_json_that_cannot_be_kept_is_refused(api: Automations, literal: str, message: str | None) -> None:
    flow = await api.flow()
    query = f'mutation {{ create_flow_run(input: {{flow_id: "{flow}", context: {literal}}}) {{ id }} }}'
    _, answer = await post(api, {"query": query})
    if message is None:
        assert answer["data"]["create_flow_run"]["id"]
        return
    found, code = error(answer)
    assert code == "BAD_USER_INPUT"
    assert message in found


async def test_concurrent_operations_keep_their_variables_apart(api: Automations) -> None:
    for number in range(10):
        await api.write("create_project", name=f"p{number}")
    query = "query($name: String!) { project(where: {name: {_eq: $name}}) { name } }"
    answers = await asyncio.gather(*(api.execute(query, name=f"p{number % 10}") for number in range(60)))
    assert [answer["project"][0]["name"] for answer in answers] == [f"p{number % 10}" for number in range(60)]


async def test_lost_database_is_an_error_and_not_a_trace(
    shared_server: Automations, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def lost(_: Database) -> AsyncIterator[Connection]:
        raise ConnectionRefusedError("10.0.0.5:5432")
        yield

    monkeypatch.setattr(Database, "connection", lost)
    monkeypatch.setattr(Database, "reading", lost)
    refusal = ("The database cannot be reached just now; try again.", "INTERNAL_SERVER_ERROR")
    status, answer = await post(shared_server, {"query": "{ a: flow_run { id } }"})
    assert (status, error(answer)) == (503, refusal)
    status, [first, second] = await post(
        shared_server, [{"query": "{ a: flow_run { id } }"}, {"query": HELLO["query"]}]
    )
    assert (status, error(first), second["data"]) == (200, refusal, {"hello": "👋"})
    status, answer = await post(shared_server, HELLO, x_prefect_tenant_id=str(uuid4()))
    assert (status, error(answer)) == (503, refusal)


async def test_bug_is_an_error_with_an_id_and_not_a_trace(
    shared_server: Automations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("SELECT secret FROM inside")

    monkeypatch.setattr("automations.api.reads._selected", broken)
    status, answer = await post(shared_server, {"query": "{ flow_run { id } }"})
    message, code = error(answer)
    assert (status, code) == (200, "INTERNAL_SERVER_ERROR")
    assert re.fullmatch(r"Internal error [0-9a-f]{12}; the server's log has more\.", message)


async def test_introspection_shows_the_schema(api: Automations) -> None:
    answer = await api.execute(
        """{ __schema { queryType { name } mutationType { name } }
             __type(name: "create_automation_input") { inputFields { name defaultValue } } }"""
    )
    assert answer["__schema"] == {"queryType": {"name": "Query"}, "mutationType": {"name": "Mutation"}}
    defaults = {field["name"]: field["defaultValue"] for field in answer["__type"]["inputFields"]}
    assert {name: value for name, value in defaults.items() if value is not None} == {"enabled": "true"}
