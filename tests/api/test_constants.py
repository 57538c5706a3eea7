"""Answers that are the same for everybody are put together once; all others every time."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from automations.access.roles import Role
from automations.api.constants import CONSTANT
from automations.api.documents import Documents
from automations.api.execution import Operations
from automations.api.limits import Limits
from automations.api.schema import schema
from automations.tracing import NO_TRACER
from tests.api.test_endpoint import HELLO, post
from tests.harness import Automations

SCHEMA = schema._schema
DOCUMENTS = Documents(SCHEMA, Limits())
CALLER: Any = SimpleNamespace(
    caller=SimpleNamespace(role=Role.VIEWER),
    services=SimpleNamespace(is_attached=False, tracer=NO_TRACER),
    traceparent=None,
)


@pytest.mark.parametrize(
    ("query", "is_constant"),
    [
        ("{ hello }", True),
        ("query Q { a: hello __typename api { version } reference_data { state_info } }", True),
        ("{ __schema { types { name } } }", True),
        ('{ __type(name: "flow") { name } }', True),
        ("{ ...f ... on Query { hello } } fragment f on Query { __typename }", True),
        ("{ hello @skip(if: true) }", True),
        ("{ hello auth_info { name } }", False),
        ("{ ...f } fragment f on Query { hello secret_names }", False),
        ("{ ... { ... { flow { __typename } } } }", False),
        ("query($leave: Boolean!) { hello @skip(if: $leave) }", False),
        ("mutation { __typename }", False),
        ("subscription { __typename automation_changed { __typename } }", False),
    ],
)
def test_constant_is_what_asks_for_nothing_else_and_has_no_variables(query: str, is_constant: bool) -> None:
    document = DOCUMENTS.read(query)
    [operation] = document.operations.values() if not document.errors else [None]
    assert (operation is not None and operation.is_constant) is is_constant


def test_constant_fields_are_few_and_of_the_query() -> None:
    assert {"__schema", "__type", "__typename", "hello", "api", "reference_data"} == CONSTANT


async def test_constant_answer_is_put_together_once() -> None:
    operations = Operations(schema, Limits())
    query = '{ hello api { mode } reference_data { state_hierarchy } __type(name: "flow") { name } }'
    first, second = [await operations.execute(query, variables=None, name=None, context=CALLER) for _ in range(2)]
    assert first.data is second.data
    assert first.errors is None
    answer = orjson.loads(orjson.dumps(first.data))
    assert list(answer) == ["hello", "api", "reference_data", "__type"]
    assert answer["api"] == {"mode": "normal"}
    assert answer["__type"] == {"name": "flow"}


async def test_operations_of_one_document_are_kept_apart() -> None:
    operations = Operations(schema, Limits())
    query = "query A { a: hello } query B { b: hello }"
    answers = [
        orjson.dumps((await operations.execute(query, variables=None, name=name, context=CALLER)).data)
        for name in ("A", "B", "A")
    ]
    assert answers == ['{"a":"👋"}'.encode(), '{"b":"👋"}'.encode(), '{"a":"👋"}'.encode()]


async def test_kept_answer_fits_in_a_batch(api: Automations) -> None:
    expected = {"data": {"hello": "👋"}}
    assert await post(api, [HELLO, HELLO, {"query": "{ auth_info { role } }"}]) == (
        200,
        [expected, expected, {"data": {"auth_info": {"role": "admin"}}}],
    )
