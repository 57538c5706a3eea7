"""GraphQL over HTTP: reads requests, runs them over the schema, writes answers.

A body is JSON with `query`, `operationName` and `variables` (an object, or JSON in a string as Prefect 1 clients send
it), or an array of such objects, answered in order.
"""

from typing import Any
from uuid import UUID

import orjson
from graphql import ExecutionResult, GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from automations.access.callers import Callers
from automations.api.context import RequestContext, Services
from automations.api.execution import Operations, error_answers, is_forbidden, is_unavailable
from automations.api.schema import schema
from automations.database import is_connection_lost
from automations.errors import InvalidInput, LimitExceeded, RequestError, Unauthenticated

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
MOST_OPERATIONS = 25

_OPERATIONS = Operations(schema)


class _WrongMediaType(InvalidInput):
    """The body is not in the one form that is read."""


class GraphQLEndpoint:
    """POST /graphql, and POST / for the Prefect 1 client."""

    def __init__(self, services: Services, callers: Callers, *, max_body_bytes: int) -> None:
        self._services, self._callers, self._max_body_bytes = services, callers, max_body_bytes

    async def __call__(self, request: Request) -> Response:
        media_type = GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("accept", "") else JSON
        try:
            context = await self._context(request)  # first: a stranger's body is not read
            body = await self._read(request)
            operations = _operations(body)
        except ClientDisconnect:
            return Response(status_code=499)
        except RequestError as error:
            return _refuse(_status(error, media_type), error, media_type)
        except Exception as error:
            if not is_connection_lost(error):
                raise
            return _refuse(503, error, media_type)
        results = [await self._execute(operation, context) for operation in operations]
        answers = [_answer(result) for result in results]
        if all(is_unavailable(result.errors) for result in results):
            status = 503
        elif media_type == GRAPHQL_JSON and not any("data" in answer for answer in answers):
            status = 403 if all(is_forbidden(result.errors) for result in results) else 400
        else:
            status = 200
        answer = answers if isinstance(body, list) else answers[0]
        return Response(orjson.dumps(answer), status, media_type=media_type)

    async def _read(self, request: Request) -> Any:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
            raise _WrongMediaType(f"Send the request as {JSON}.")
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._max_body_bytes:
                raise LimitExceeded(f"The body is larger than {self._max_body_bytes} bytes.")
            chunks.append(chunk)
        try:
            return orjson.loads(b"".join(chunks))
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"The body is not JSON: {error}.") from None

    async def _context(self, request: Request) -> RequestContext:
        headers = request.headers
        tenant_id, agent_id = headers.get("x-prefect-tenant-id"), headers.get("x-prefect-agent-id")
        return RequestContext(
            services=self._services,
            caller=await self._callers.of(
                headers.get("authorization"), _uuid(tenant_id, "X-PREFECT-TENANT-ID") if tenant_id else None
            ),
            agent_id=_uuid(agent_id, "X-PREFECT-AGENT-ID") if agent_id else None,
            core_version=headers.get("x-prefect-core-version"),
        )

    async def _execute(self, operation: dict[str, Any], context: RequestContext) -> ExecutionResult:
        own = RequestContext(context.services, context.caller, context.agent_id, context.core_version)
        return await _OPERATIONS.execute(
            operation["query"], variables=operation["variables"], name=operation["operationName"], context=own
        )


def _operations(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, list):
        return [_operation(body)]
    if not body:
        raise InvalidInput("A batch has one operation at least.")
    if len(body) > MOST_OPERATIONS:
        raise LimitExceeded(f"A batch has {MOST_OPERATIONS} operations at most; this one has {len(body)}.")
    return [_operation(item) for item in body]


def _operation(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("query"), str) or not body["query"].strip():
        raise InvalidInput('An operation is an object with a "query".')
    variables, name = body.get("variables"), body.get("operationName")
    if isinstance(variables, str):
        try:
            variables = orjson.loads(variables) if variables else None
        except orjson.JSONDecodeError:
            raise InvalidInput('"variables" is a string that is not JSON.') from None
    if variables is not None and not isinstance(variables, dict):
        raise InvalidInput('"variables" must be an object.')
    if name is not None and not isinstance(name, str):
        raise InvalidInput('"operationName" must be a string.')
    return {"query": body["query"], "variables": variables, "operationName": name or None}


def _answer(result: ExecutionResult) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = error_answers(result.errors)
    if result.data is not None or not result.errors or any(error.path for error in result.errors):
        answer["data"] = result.data
    return answer


def _errors(error: Exception) -> list[dict[str, Any]]:
    return error_answers([GraphQLError(str(error), original_error=error)])


def _status(error: RequestError, media_type: str) -> int:
    """After GraphQL over HTTP: with the older type a refused caller gets 200, and clients act on the code."""
    match error:
        case _WrongMediaType():
            return 415
        case Unauthenticated():
            return 401 if media_type == GRAPHQL_JSON else 200
        case LimitExceeded():
            return 413
        case _:
            return 400


def _refuse(status: int, error: Exception, media_type: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else None
    return Response(orjson.dumps({"errors": _errors(error)}), status, headers, media_type)


def _uuid(text: str, header: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(f"The header {header} is not a UUID.") from None
