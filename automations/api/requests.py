"""Operations as a request carries them: in a body of JSON, or one of them in a URL.

`variables` may be an object, or JSON in a string as Prefect 1 clients send it. An array of operations is a batch.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from automations.api.limits import refuse_above
from automations.errors import InvalidInput

_PARAMETERS = ("query", "operationName", "variables", "extensions")


def operation_in_url(parameters: Mapping[str, str]) -> dict[str, Any]:
    """What a GET asks for, in the form of a body."""
    body: dict[str, Any] = {name: parameters[name] for name in _PARAMETERS if name in parameters}
    if extensions := body.pop("extensions", None):
        body["extensions"] = _parsed(extensions, "extensions")
    return body


def read_operations(body: Any, *, most: int) -> list[dict[str, Any]]:
    """The operations of a body: one, or those of a batch."""
    if not isinstance(body, list):
        return [read_operation(body)]
    if not body:
        raise InvalidInput("A batch has one operation at least.")
    refuse_above(most, len(body), "A batch has {allowed} operations at most; this one has {found}.")
    return [read_operation(item) for item in body]


def read_operation(body: Any) -> dict[str, Any]:
    """`query`, `variables` and `operationName`, each of its type; `extensions` is looked at and left."""
    if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not body["query"].strip():
        raise InvalidInput('An operation is an object with a "query".')
    variables, name = body.get("variables"), body.get("operationName")
    if isinstance(variables, str):
        variables = _parsed(variables, "variables") if variables else None
    if variables is not None and not isinstance(variables, dict):
        raise InvalidInput('"variables" must be an object.')
    if name is not None and not isinstance(name, str):
        raise InvalidInput('"operationName" must be a string.')
    if not isinstance(body.get("extensions"), dict | None):
        raise InvalidInput('"extensions" must be an object.')
    return {"query": body["query"], "variables": variables, "operationName": name or None}


def _parsed(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidInput(f'"{name}" is a string that is not JSON.') from None
