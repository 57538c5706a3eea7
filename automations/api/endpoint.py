"""GraphQL over HTTP: reads requests, runs them over the schema, writes answers.

https://graphql.github.io/graphql-over-http/draft/ says what is read and which status is answered; a batch, an array of
operations that are answered in order, goes beyond it.
"""

from typing import Any
from uuid import UUID

import orjson
from graphql import ExecutionResult, GraphQLError
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from automations.access.callers import Callers, client_address
from automations.access.rates import Rates, TooManyRequests
from automations.api.compression import LEAST_BYTES, compressed
from automations.api.context import RequestContext, Services
from automations.api.execution import Operations, WrongMethod, error_answers, is_forbidden, is_unavailable
from automations.api.limits import Limits
from automations.api.media_types import EVENT_STREAM, GRAPHQL_JSON, JSON, answer_type, is_json_in_utf8
from automations.api.origins import ForeignPage, refuse_foreign_page
from automations.api.requests import operation_in_url, read_operations
from automations.api.schema import schema
from automations.api.subscriptions.hub import Hub
from automations.api.subscriptions.permit import Permit
from automations.api.subscriptions.places import NoPlace, Places
from automations.api.subscriptions.socket import Socket
from automations.api.subscriptions.start import Starter
from automations.api.subscriptions.stream import EventStream, answer_events, subscription_events
from automations.database import is_connection_lost
from automations.errors import InvalidInput, LimitExceeded, RequestError, Unauthenticated
from automations.settings import Settings

METHODS = ("GET", "POST")
_HEADERS = {"vary": "Accept, Accept-Encoding"}


class _NotAcceptable(InvalidInput):
    """The client takes none of the media types that are spoken here."""


class _WrongMediaType(InvalidInput):
    """The body is not in the one form that is read."""


class GraphQLEndpoint:
    """GET and POST /graphql, and POST / for the Prefect 1 client."""

    def __init__(self, services: Services, callers: Callers, hub: Hub, *, settings: Settings) -> None:
        self._callers = callers
        self._services, self._max_body_bytes = services, settings.max_body_bytes
        self._limits = Limits.of(settings)
        self._operations = Operations(schema, self._limits)
        self.starter = Starter(schema, self._operations.documents, hub, most_rows=settings.max_rows)
        self.most_subscriptions = settings.max_subscriptions
        self._open = Places(settings.max_sockets)
        self._rates = Rates(settings.requests_per_second, "operations")
        self._allowed_origins = frozenset(settings.allowed_origins)

    async def __call__(self, request: Request) -> Response | EventStream:
        media_type = answer_type(request.headers.get("accept", ""))
        try:
            context = await self.context(request)  # first: a stranger's body is not read
            body = await self._read(request, media_type)
            operations = read_operations(body, most=self._limits.operations)
            self._rates.take(_caller(request, context), len(operations))
            if media_type == EVENT_STREAM:
                return self._stream(request, operations, context, only_queries=request.method == "GET")
        except ClientDisconnect:
            return Response(status_code=499)
        except RequestError as error:
            return _refuse(error, _for_errors(media_type))
        except Exception as error:
            if not is_connection_lost(error):
                raise
            return _answered({"errors": error_answers([_graphql_error(error)])}, 503, _for_errors(media_type))
        only_queries = request.method == "GET"
        results = [await self._execute(operation, context, only_queries=only_queries) for operation in operations]
        answers = [_answer(result) for result in results]
        content = orjson.dumps(answers if isinstance(body, list) else answers[0])
        status, headers = _status_of(results, answers, str(media_type)), _HEADERS
        encodings = request.headers.get("accept-encoding", "")
        if len(content) >= LEAST_BYTES and (packed := await compressed(content, encodings)):
            content, headers = packed, _HEADERS | {"content-encoding": "gzip"}
        if status == 405:
            headers = _HEADERS | {"allow": "POST"}
        return Response(content, status, headers, media_type)

    async def _read(self, request: Request, media_type: str | None) -> Any:
        if media_type is None:
            raise _NotAcceptable(f"Answers are {JSON}, {GRAPHQL_JSON} or {EVENT_STREAM}.")
        if request.method == "GET":
            refuse_foreign_page(request.headers, self._allowed_origins)
            return operation_in_url(request.query_params)
        if request.method != "POST":
            raise WrongMethod(f"Send the request by {' or '.join(METHODS)}.")
        if not is_json_in_utf8(request.headers.get("content-type", "")):
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

    def _stream(
        self,
        request: Request,
        operations: list[dict[str, Any]],
        context: RequestContext,
        *,
        only_queries: bool,
    ) -> EventStream:
        if len(operations) != 1:
            raise InvalidInput(f"As {EVENT_STREAM} one operation is answered, not a batch.")
        if self.starter.is_subscription(operations[0]):
            events = subscription_events(self.starter, operations[0], Permit(self.context, request, context))
        else:
            events = answer_events(self._answer_to(operations[0], context, only_queries=only_queries))
        return EventStream(events, self._open.take())

    async def socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket; a page elsewhere, or one socket too many, is refused before it is accepted."""
        connection = HTTPConnection(scope)
        try:
            refuse_foreign_page(connection.headers, self._allowed_origins)
            close = self._open.take()
        except RequestError as error:
            await _refuse(error, JSON)(scope, receive, send)
            return
        try:
            await Socket(self, scope, receive, send).serve()
        finally:
            close()

    def count(self, connection: HTTPConnection, context: RequestContext) -> None:
        """LimitExceeded where the caller has sent too many operations."""
        self._rates.take(_caller(connection, context), 1)

    async def answer(self, request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
        """The answer to a query or mutation that came over a WebSocket."""
        return await self._answer_to(request, context, only_queries=False)

    async def _answer_to(
        self, request: dict[str, Any], context: RequestContext, *, only_queries: bool
    ) -> dict[str, Any]:
        return _answer(await self._execute(request, context, only_queries=only_queries))

    async def context(self, request: HTTPConnection) -> RequestContext:
        headers = request.headers
        tenant_id, agent_id = headers.get("x-prefect-tenant-id"), headers.get("x-prefect-agent-id")
        return RequestContext(
            services=self._services,
            caller=await self._callers.of(
                headers.get("authorization"),
                _uuid(tenant_id, "X-PREFECT-TENANT-ID") if tenant_id else None,
                address=client_address(request),
            ),
            agent_id=_uuid(agent_id, "X-PREFECT-AGENT-ID") if agent_id else None,
            core_version=headers.get("x-prefect-core-version"),
            traceparent=headers.get("traceparent"),
        )

    async def _execute(
        self, operation: dict[str, Any], context: RequestContext, *, only_queries: bool
    ) -> ExecutionResult:
        own = RequestContext(
            context.services, context.caller, context.agent_id, context.core_version, context.traceparent
        )
        return await self._operations.execute(
            operation["query"],
            variables=operation["variables"],
            name=operation["operationName"],
            context=own,
            only_queries=only_queries,
        )


def _caller(connection: HTTPConnection, context: RequestContext) -> str:
    """Who has a rate of its own: an API key, or where none is needed an address."""
    return str(context.caller.key_id or client_address(connection))


def _answer(result: ExecutionResult) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = error_answers(result.errors)
    if result.data is not None or not result.errors or any(error.path for error in result.errors):
        answer["data"] = result.data
    return answer


def _status_of(results: list[ExecutionResult], answers: list[dict[str, Any]], media_type: str) -> int:
    if not any(result.errors for result in results):
        return 200
    if all(is_unavailable(result.errors) for result in results):
        return 503
    if any(isinstance(error.original_error, WrongMethod) for result in results for error in result.errors or ()):
        return 405
    if media_type == GRAPHQL_JSON and not any("data" in answer for answer in answers):
        return 403 if all(is_forbidden(result.errors) for result in results) else 400
    return 200


def _for_errors(media_type: str | None) -> str:
    """What a refusal is written as: an event stream begins only once there is something to run."""
    return GRAPHQL_JSON if media_type == GRAPHQL_JSON else JSON


def _graphql_error(error: Exception) -> GraphQLError:
    return GraphQLError(str(error), original_error=error)


_STATUS: tuple[tuple[type[RequestError], int], ...] = (
    (_NotAcceptable, 406),
    (_WrongMediaType, 415),
    (WrongMethod, 405),
    (ForeignPage, 403),
    (TooManyRequests, 429),
    (Unauthenticated, 401),
    (NoPlace, 503),
    (LimitExceeded, 413),
)
"""The first that a refusal is an instance of; what is not here is a 400."""


def _refuse(error: RequestError, media_type: str) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    if isinstance(error, Unauthenticated) and media_type == JSON:
        status = 200  # with the older type a refused caller gets 200, and clients act on the code
    response = _answered({"errors": error_answers([_graphql_error(error)])}, status, media_type)
    if isinstance(error, Unauthenticated):
        response.headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        response.headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, WrongMethod):
        response.headers["allow"] = ", ".join(METHODS)
    return response


def _answered(content: Any, status: int, media_type: str) -> Response:
    return Response(orjson.dumps(content), status, media_type=media_type)


def _uuid(text: str, header: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(f"The header {header} is not a UUID.") from None
