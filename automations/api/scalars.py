"""Scalars. Each exists in two spellings that behave alike: existing documents declare variables of both.

In Python a UUID and a DateTime are what they are; the other spellings and JSON have names of their own here.
"""

from datetime import datetime
from math import isfinite
from typing import Any, NewType
from uuid import UUID

import orjson
from graphql import GraphQLError, StringValueNode, Undefined, ValueNode, print_ast, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition, scalar

from automations.errors import InvalidInput
from automations.times import parse_time

Uuid_ = NewType("Uuid_", UUID)
Timestamptz = NewType("Timestamptz", datetime)
Json = NewType("Json", object)
Jsonb = NewType("Jsonb", object)

_SHOWN_CHARACTERS = 60
_LONGEST_UUID = len("urn:uuid:{00000000-0000-0000-0000-000000000000}")


def _parse_uuid(value: Any) -> UUID:
    try:
        if isinstance(value, str) and len(value) <= _LONGEST_UUID:
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
    """The value, if it can be written as JSON again: of a literal that is not certain."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        raise GraphQLError(f"The JSON value cannot be used: {error}.") from None
    return value


def _parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    if isinstance(node, StringValueNode):
        try:
            return _parse_json(orjson.loads(node.value))
        except orjson.JSONDecodeError:
            return node.value
    return _parse_json(_plain(value_from_ast_untyped(node, variables)))


def _plain(value: Any) -> Any:
    """What an object or list literal says: a variable that was not given is absent, in a list it is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not Undefined}
    if isinstance(value, list):
        return [None if item is Undefined else _plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        raise GraphQLError("The JSON value cannot be used: a number is out of range.")
    return value


def _parse_uuid_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> UUID:
    return _parse_uuid(node.value if isinstance(node, StringValueNode) else print_ast(node))


def _parse_time_literal(node: ValueNode, _variables: dict[str, Any] | None = None) -> datetime:
    return _parse_time(node.value if isinstance(node, StringValueNode) else print_ast(node))


def _write_time(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "An object" if isinstance(value, dict) else "A list"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}…"


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
    UUID: _uuid("UUID"),
    Uuid_: _uuid("uuid"),
    datetime: _time("DateTime"),
    Timestamptz: _time("timestamptz"),
    Json: _json("JSON"),
    Jsonb: _json("jsonb"),
}
