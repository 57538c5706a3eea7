"""The GraphQL API of an existing backend, over its own tables: the mutations of Prefect Server that we send."""

import asyncio
from asyncio import StreamWriter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson
from graphql import GraphQLError, build_schema, parse, validate
from graphql.execution.values import get_variable_values

from tests.attached.theirs import Theirs
from tests.providers.strict import StrictProvider, only_fields
from tests.receivers import Behaviour, Received, hang_up, reply

SCHEMA = build_schema("""
scalar UUID
scalar JSON
type Query { hello: String }
type Mutation {
  cancel_flow_run(input: cancel_flow_run_input!): cancel_flow_run_payload
  set_schedule_inactive(input: set_schedule_inactive_input!): success_payload
  create_flow_run(input: create_flow_run_input!): flow_run_id_payload
}
input cancel_flow_run_input { flow_run_id: UUID! }
input set_schedule_inactive_input { flow_id: UUID! }
input create_flow_run_input {
  flow_id: UUID, version_group_id: String, parameters: JSON, context: JSON, labels: [String!], idempotency_key: String,
  flow_run_name: String
}
type cancel_flow_run_payload { state: String }
type success_payload { success: Boolean }
type flow_run_id_payload { id: UUID }
""")
KEY = "prefect-key-0123456789"
FINISHED = {"Success", "Failed", "Cancelled"}


class PrefectServer(StrictProvider):
    """Carries mutations out. `done` has those that it did: name and input. With `asks_for_key`, it wants KEY.

    `answers_lost`: how many of the next answers get lost after the work is done.
    """

    def __init__(self, theirs: Theirs, *, asks_for_key: bool = False) -> None:
        super().__init__()
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.answers_lost = 0
        self._theirs, self._asks_for_key = theirs, asks_for_key
        self._turn = asyncio.Lock()  # one connection carries everything out

    def problems(self, received: Received) -> Iterator[str]:
        if (received.method, received.path) != ("POST", "/"):
            yield f"{received.method} {received.path}"
        if received.headers.get("content-type") != "application/json":
            yield "content type"
        if ("authorization" in received.headers) != self._asks_for_key:
            yield "a key where none is needed, or none where one is"
        if self._asks_for_key and received.headers["authorization"] != f"Bearer {KEY}":
            yield "another key"
        body = orjson.loads(received.body)
        yield from only_fields(body, {"query"}, {"variables"}, where="body")
        document = parse(body["query"])
        yield from (error.message for error in validate(SCHEMA, document))
        operation: Any = document.definitions[0]
        if operation.operation.value == "mutation":
            if self._asks_for_key and received.headers.get("x-prefect-tenant-id") != str(self._theirs.tenant_id):
                yield "another tenant"
            values = get_variable_values(SCHEMA, operation.variable_definitions, body["variables"])
            if isinstance(values, list):
                yield from (error.message for error in values)

    def refuse(self, problem: str) -> Behaviour:
        return _answer({"errors": [{"message": problem, "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}, 400)

    def accept(self, received: Received) -> Behaviour:
        body = orjson.loads(received.body)
        if body["query"] == "{ hello }":
            return _answer({"data": {"hello": "👋"}})
        [selected] = parse(body["query"]).definitions[0].selection_set.selections  # type: ignore[attr-defined]
        name, input_ = selected.name.value, body["variables"]["input"]

        async def behave(received: Received, writer: StreamWriter) -> None:
            async with self._turn:
                try:
                    payload = await getattr(self, f"_{name}")(input_)
                except GraphQLError as error:
                    answer = {"data": {name: None}, "errors": [{"message": error.message, "path": [name]}]}
                else:
                    self.done.append((name, input_))
                    answer = {"data": {name: payload}}
            if self.answers_lost:
                self.answers_lost -= 1
                await hang_up(received, writer)
            else:
                await _answer(answer)(received, writer)

        return behave

    async def _cancel_flow_run(self, input_: dict[str, Any]) -> dict[str, Any]:
        run = UUID(input_["flow_run_id"])
        state = await self._theirs.value("SELECT state FROM flow_run WHERE id = $1", run)
        if state is None:
            raise GraphQLError("Invalid flow run ID")
        if state not in FINISHED:
            state = "Cancelling" if state == "Running" else "Cancelled"
            await self._theirs.enter(run, state, "Flow run is cancelled")
        return {"state": state}

    async def _set_schedule_inactive(self, input_: dict[str, Any]) -> dict[str, Any]:
        done = await self._theirs.value(
            "UPDATE flow SET is_schedule_active = false WHERE id = $1 RETURNING true", UUID(input_["flow_id"])
        )
        return {"success": bool(done)}

    async def _create_flow_run(self, input_: dict[str, Any]) -> dict[str, Any]:
        flow, key = UUID(input_["flow_id"]), input_.get("idempotency_key")
        existing = await self._theirs.value(
            "SELECT id FROM flow_run WHERE flow_id = $1 AND idempotency_key = $2", flow, key
        )
        if existing is not None:
            return {"id": str(existing)}
        if (input_.get("parameters") or {}).get("refuse"):
            raise GraphQLError("Required parameters were not supplied: {'x'}")
        return {"id": str(await self._theirs.run(flow, input_.get("flow_run_name") or "made", key=key))}


def _answer(answer: dict[str, Any], status: int = 200) -> Behaviour:
    return reply(status, orjson.dumps(answer), {"Content-Type": "application/json"})
