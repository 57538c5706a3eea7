"""Scalars. Each exists in two spellings that behave alike: existing documents declare variables of both."""

from datetime import datetime
from typing import Any, NewType
from uuid import UUID

import orjson
from graphql import GraphQLError, StringValueNode, ValueNode, print_ast, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition, scalar

from automations.errors import InvalidInput
from automations.times import parse_time

Uuid = NewType("Uuid", str)
Uuid_ = NewType("Uuid_", str)
Timestamp = NewType("Timestamp", datetime)
Timestamptz = NewType("Timestamptz", datetime)
Json = NewType("Json", object)
Jsonb = NewType("Jsonb", object)


def _parse_uuid(value: Any) -> UUID:
    try:
        if isinstance(value, str) and len(value) <= 45:
            return UUID(value)
    except ValueError:
        pass
    raise GraphQLError(f"{_shown(value)} is not a UUID.")


def _parse_time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise GraphQLError(f"{_shown(value)} is not an ISO 8601 time in a string.")
    try:
        return parse_time(value)
    except InvalidInput as error:
        raise GraphQLError(str(error)) from None


def _parse_json(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except TypeError:
        raise GraphQLError("A JSON value must not have numbers of more than 64 bits.") from None
    return value


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    if isinstance(node, StringValueNode):
        try:
            return orjson.loads(node.value)
        except orjson.JSONDecodeError:
            return node.value
    return _parse_json(value_from_ast_untyped(node, variables))


def _parse_uuid_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> UUID:
    return _parse_uuid(node.value if isinstance(node, StringValueNode) else print_ast(node))


def _parse_time_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> datetime:
    return _parse_time(node.value if isinstance(node, StringValueNode) else None)


def _write_time(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _uuid(name: str) -> ScalarDefinition:
    return scalar(
        name=name,
        description="A UUID in a string.",
        serialize=str,
        parse_value=_parse_uuid,
        parse_literal=_parse_uuid_literal,
    )


def _time(name: str) -> ScalarDefinition:
    return scalar(
        name=name,
        description="An ISO 8601 time in a string; no zone means UTC. Answers carry an offset.",
        serialize=_write_time,
        parse_value=_parse_time,
        parse_literal=_parse_time_literal,
    )


def _json(name: str) -> ScalarDefinition:
    return scalar(
        name=name,
        description="Any JSON value. A string in a document is read as JSON where it is JSON.",
        serialize=lambda value: value,
        parse_value=_parse_json,
        parse_literal=_parse_json_literal,
    )


SCALARS: dict[object, ScalarDefinition] = {
    Uuid: _uuid("UUID"),
    Uuid_: _uuid("uuid"),
    Timestamp: _time("DateTime"),
    Timestamptz: _time("timestamptz"),
    Json: _json("JSON"),
    Jsonb: _json("jsonb"),
}
