"""OWASP's list for GraphQL, a test for each line, against a server that asks for keys.

https://cheatsheetseries.owasp.org/cheatsheets/GraphQL_Cheat_Sheet.html. What a line is about is tested closely
elsewhere (SECURITY.md names the places); here it is tried as somebody would who has a key, or none.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from automations.api.schema import schema
from automations.settings import Settings
from tests.api.test_endpoint import error, post
from tests.harness import Automations, GraphQLError, running
from tests.receivers import Receiver

NIL = "00000000-0000-0000-0000-000000000000"
INJECTIONS = ("' OR '1'='1", "'; DROP TABLE flow_run; --", "$(touch /tmp/x)", "`id`", "{{7*7}}", "\r\nX-Evil: 1")


async def code_of(api: Automations, query: str, **variables: Any) -> str:
    """The code with which an operation is refused."""
    with pytest.raises(GraphQLError) as caught:
        await api.execute(query, **variables)
    return str(caught.value.code)


async def strangers_code(api: Automations, query: str) -> str:
    """The code with which it is refused to somebody without a key."""
    return await code_of(Automations(api.url, api.client), query)


async def with_role(admin: Automations, role: str) -> Automations:
    made = await admin.write("create_api_key", "key", name=role, role=role)
    return admin.with_key(made["key"])


@pytest.fixture
async def strict(database_url: str, tmp_path: Path) -> AsyncIterator[Automations]:
    """A server with small limits, without introspection and playground."""
    limits = {"max_query_depth": 4, "max_cost": 1000, "max_rows": 50, "max_batch_operations": 2, "max_aliases": 5}
    async with running(database_url, tmp_path, **limits, introspection=False, requests_per_second=1) as api:
        yield api


class TestInputValidation:
    """Validate all incoming data to only allow valid values; reject the rest gracefully; injection."""

    @pytest.mark.parametrize(
        "query",
        [
            '{ flow_run_by_pk(id: "1 OR 1=1") { id } }',
            '{ flow_run(where: {created: {_gt: "yesterday"}}) { id } }',
            "{ flow_run(order_by: {created: sideways}) { id } }",
            "{ flow_run(limit: -1) { id } }",
            "{ flow_run(where: {nonsense: {_eq: 1}}) { id } }",
            "mutation { create_automation(input: {name: 5, event: {}, actions: []}) { id } }",
        ],
    )
    async def test_types_enums_and_inputs_let_only_valid_values_in(self, guarded: Automations, query: str) -> None:
        assert await code_of(guarded, query) == "BAD_USER_INPUT"

    @pytest.mark.parametrize("text", INJECTIONS)
    async def test_text_is_never_a_part_of_a_statement(self, guarded: Automations, text: str) -> None:
        await guarded.write("create_project", name=f"before{text}")
        query = "query($t: String!) { project(where: {name: {_eq: $t}}) { name } }"
        assert (await guarded.execute(query, t=text))["project"] == []
        assert (await guarded.execute(query, t=f"before{text}"))["project"] == [{"name": f"before{text}"}]

    async def test_names_are_never_a_part_of_a_statement(self, guarded: Automations) -> None:
        data = await guarded.execute('{ injected: project(where: {_or: [{name: {_like: "%"}}]}) { x_: name } }')
        assert data == {"injected": []}
        assert await code_of(guarded, "{ project(order_by: {name_: desc}) { name } }") == "BAD_USER_INPUT"

    @pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
    async def test_headers_of_webhooks_hold_no_line_break(self, guarded: Automations, value: str) -> None:
        config = {"webhook": {"url": "https://example.com", "headers": {"X-Given": value}}}
        with pytest.raises(GraphQLError) as caught:
            await guarded.write("create_action", config=config)
        assert caught.value.code == "BAD_USER_INPUT"

    @pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:127.0.0.1]", "0x7f000001", "10.0.0.1", "localhost"])
    async def test_server_is_not_made_to_call_its_own_network(
        self, database_url: str, tmp_path: Path, host: str
    ) -> None:
        async with running(database_url, tmp_path, host="0.0.0.0", auth="off") as api, Receiver() as receiver:
            port = receiver.url.rstrip("/").rpartition(":")[2]
            with suppress(GraphQLError):  # a host that is not even a URL's
                config = {"webhook": {"url": f"http://{host}:{port}/"}}
                assert (await api.write("test_action", "success", config=config))["success"] is False
            assert receiver.requests == []


class TestDenialOfService:
    """Depth, amount, pages, time, cost, rate."""

    async def test_depth_is_limited(self, strict: Automations) -> None:
        assert await code_of(strict, "{ flow { flow_runs { flow { flow_runs { id } } } } }") == "LIMIT_EXCEEDED"

    async def test_circle_of_fragments_is_refused(self, guarded: Automations) -> None:
        query = "{ flow { ...a } } fragment a on flow { flow_runs { ...b } } fragment b on flow_run { flow { ...a } }"
        assert await code_of(guarded, query) == "BAD_USER_INPUT"

    async def test_amount_is_limited(self, guarded: Automations) -> None:
        for query in ("{ flow_run(limit: 99999999) { id } }", "{ flow { flow_runs(limit: 99999999) { id } } }"):
            assert await code_of(guarded, query) == "LIMIT_EXCEEDED"

    async def test_list_has_pages(self, strict: Automations) -> None:
        await strict.execute(
            "mutation($a: create_project_input!) {"
            + " ".join(f'p{n}: create_project(input: {{name: "{n}"}}) {{ id }}' for n in range(5))
            + " create_project(input: $a) { id } }",
            a={"name": "last"},
        )
        rows = (await strict.execute("{ project(limit: 2, offset: 4, order_by: {name: asc}) { name } }"))["project"]
        assert [row["name"] for row in rows] == ["4", "last"]

    async def test_statement_that_takes_long_is_stopped(
        self, guarded: Automations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("automations.api.reads.LONGEST_READ_SECONDS", 0.001)
        slow = "(a?){30}" * 8 + "$"
        await guarded.write("create_project", name="a" * 200)
        query = "query($slow: String!) { project(where: {name: {_regex: $slow}}) { id } }"
        assert await code_of(guarded, query, slow=slow) == "LIMIT_EXCEEDED"

    async def test_cost_is_limited(self, strict: Automations) -> None:
        query = "{ flow(limit: 50) { flow_runs(limit: 50) { id } } }"
        assert await code_of(strict, query) == "LIMIT_EXCEEDED"

    async def test_rate_is_limited_and_says_when_to_come_back(self, strict: Automations) -> None:
        answers = [await strict.client.post(f"{strict.url}/graphql", json={"query": "{ hello }"}) for _ in range(11)]
        assert [answer.status_code for answer in answers[:10]] == [200] * 10
        assert answers[10].status_code == 429
        assert int(answers[10].headers["retry-after"]) >= 1

    async def test_body_is_limited(self, guarded: Automations) -> None:
        status, answer = await post(guarded, b'{"query": "' + b" " * Settings().max_body_bytes + b'"}')
        assert (status, error(answer)[1]) == (413, "LIMIT_EXCEEDED")

    async def test_fields_and_aliases_and_directives_are_limited(self, guarded: Automations) -> None:
        for query in (
            "{ " + " ".join(f"a{n}: hello" for n in range(1001)) + " }",
            "{ flow { " + " ".join(f"a{n}: id" for n in range(1001)) + " } }",
            "{ hello " + "@skip(if: false)" * 201 + " }",
            "{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(11)) + " }",
        ):
            assert await code_of(guarded, query) == "LIMIT_EXCEEDED"


class TestAccessControl:
    """Who may see and change what: by role, by tenant, at every edge and node."""

    async def test_nothing_is_answered_without_a_key(self, guarded: Automations) -> None:
        for query in ("{ hello }", "{ __typename }", "{ flow { id } }", "{ __schema { queryType { name } } }"):
            assert await strangers_code(guarded, query) == "UNAUTHENTICATED"

    async def test_id_of_another_tenants_row_opens_nothing(
        self, guarded: Automations, guarded_server: Automations
    ) -> None:
        theirs = await guarded_server.write("create_project", name=f"theirs {guarded.headers['Authorization'][-8:]}")
        action = await guarded_server.write("create_action", config={"webhook": {"url": "https://example.com"}})
        query = "query($id: uuid!) { project_by_pk(id: $id) { id } action_by_pk(id: $id) { id } }"
        for row in (theirs, action):
            data = await guarded.execute(query, id=row["id"])
            assert data == {"project_by_pk": None, "action_by_pk": None}
        with pytest.raises(GraphQLError) as caught:
            await guarded.write("delete_action", "success", action_id=action["id"])
        assert caught.value.code == "NOT_FOUND"

    async def test_tenant_cannot_be_smuggled_in_by_a_header(self, guarded: Automations) -> None:
        assert await code_of(guarded.as_tenant(NIL), "{ hello }") == "UNAUTHENTICATED"

    async def test_tenant_cannot_be_smuggled_in_by_a_filter(
        self, guarded: Automations, guarded_server: Automations
    ) -> None:
        await guarded_server.write("create_project", name=f"hidden {guarded.headers['Authorization'][-8:]}")
        query = '{ project(where: {_or: [{_not: {id: {_is_null: true}}}, {name: {_ilike: "%"}}]}) { id } }'
        assert (await guarded.execute(query))["project"] == []

    async def test_there_is_no_field_that_opens_any_node(self) -> None:
        assert not [name for name in schema.introspect()["__schema"]["types"] if name["name"] in {"Node", "node"}]
        assert "node(" not in schema.as_str().partition("type Query")[2].partition("\n}")[0]

    async def test_role_counts_at_every_edge(self, guarded: Automations) -> None:
        agent = await with_role(guarded, "agent")
        for query in ("{ automation { id } }", "{ flow { flow_runs { firings { id } } } }", "{ audit_event { id } }"):
            assert await code_of(agent, query) in {"FORBIDDEN", "BAD_USER_INPUT"}

    async def test_mutation_needs_its_role(self, guarded: Automations) -> None:
        viewer = await with_role(guarded, "viewer")
        query = "mutation($i: create_project_input!) { create_project(input: $i) { id } }"
        assert await code_of(viewer, query, i={"name": "x"}) == "FORBIDDEN"
        assert (await guarded.execute("{ project { id } }"))["project"] == []

    async def test_role_does_not_make_a_stronger_key(self, guarded: Automations) -> None:
        editor = await with_role(guarded, "editor")
        query = "mutation($i: create_api_key_input!) { create_api_key(input: $i) { key } }"
        assert await code_of(editor, query, i={"name": "mine", "role": "admin"}) == "FORBIDDEN"

    async def test_viewer_sees_no_credential(self, guarded: Automations) -> None:
        viewer = await with_role(guarded, "viewer")
        url = "https://hooks.example.com/for-nobody-else"
        await guarded.write("create_action", config={"webhook": {"url": url}})
        assert "for-nobody-else" not in str(await viewer.execute("{ action { action_config } }"))


class TestBatching:
    """Many operations, or many objects, in one request."""

    async def test_operations_of_a_batch_are_limited(self, strict: Automations) -> None:
        status, answer = await post(strict, [{"query": "{ hello }"}] * 3)
        assert (status, error(answer)[1]) == (413, "LIMIT_EXCEEDED")

    async def test_each_operation_of_a_batch_counts_for_the_rate(self, strict: Automations) -> None:
        statuses = [(await post(strict, [{"query": "{ hello }"}] * 2))[0] for _ in range(6)]
        assert statuses == [200] * 5 + [429]

    async def test_objects_of_one_operation_are_limited(self, strict: Automations) -> None:
        query = "{ " + " ".join(f'a{n}: flow_by_pk(id: "{NIL}") {{ id }}' for n in range(6)) + " }"
        assert await code_of(strict, query) == "LIMIT_EXCEEDED"

    async def test_keys_cannot_be_guessed_in_a_batch(self, guarded: Automations) -> None:
        """There is one key a request: as many guesses as requests, and those are limited by address."""
        wrong = guarded.with_key(f"automations_{'0' * 16}_{'0' * 64}")
        status, answer = await post(wrong, [{"query": "{ hello }"}] * 25)
        assert status == 200
        assert error(answer)[1] == "UNAUTHENTICATED"


class TestConfiguration:
    """Errors that say too much, introspection, the playground, other pages."""

    async def test_error_has_no_trace_and_no_statement(self, guarded: Automations) -> None:
        for query in ('{ flow_run(where: {name: {_regex: "("}}) { id } }', "{ nonsense }", "{", "mutation { hello }"):
            _, answer = await post(guarded, {"query": query})
            [found] = answer["errors"]
            assert found.keys() <= {"message", "locations", "path", "extensions"}
            assert found["extensions"].keys() == {"code"}
            assert not any(word in found["message"] for word in ("Traceback", "SELECT", "asyncpg", "File"))

    async def test_introspection_can_be_switched_off_and_then_nothing_is_suggested(self, strict: Automations) -> None:
        assert await code_of(strict, "{ __schema { queryType { name } } }") == "BAD_USER_INPUT"
        for query in ("{ helo }", "{ flow { nme } }", "{ flow(order_by: {nme: asc}) { id } }", "{ flow { ...x } }"):
            _, answer = await post(strict, {"query": query})
            assert "Did you mean" not in error(answer)[0]

    async def test_playground_can_be_switched_off(self, strict: Automations) -> None:
        assert (await strict.client.get(f"{strict.url}/playground")).status_code == 404

    async def test_page_elsewhere_cannot_send(self, guarded: Automations) -> None:
        """What a form or a link of another page can send without being asked whether it may."""
        url = f"{guarded.url}/graphql"
        body = b'{"query": "mutation { create_project(input: {name: \\"x\\"}) { id } }"}'
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await guarded.client.post(
                url, content=body, headers={**guarded.headers, "content-type": content_type}
            )
            assert answer.status_code == 415
        got = await guarded.client.get(
            url,
            params={"query": 'mutation { create_project(input: {name: "x"}) { id } }'},
            headers=guarded.headers,
        )
        assert got.status_code == 405
        assert (await guarded.execute("{ project { id } }"))["project"] == []
