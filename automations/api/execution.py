"""Runs operations over the schema and turns what goes wrong into errors with a code."""

import re
from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Any, cast
from uuid import uuid4

import orjson
import strawberry
import structlog
from graphql import ExecutionResult, GraphQLError, OperationType, execute
from graphql.pyutils import AwaitableOrValue
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from automations.api.context import RequestContext
from automations.api.documents import Documents, Operation
from automations.api.limits import Limits
from automations.database import DatabaseError, DataError, LimitError, is_connection_lost
from automations.errors import Forbidden, InvalidInput, RequestError
from automations.tracing import Attributes

log = structlog.get_logger(__name__)

KEPT_ANSWERS = 16
"""Of constant operations. One is 0.6 MB where it is all of the schema."""

_NOT_HERE = "Ask for subscriptions over WebSocket (graphql-transport-ws), or with Accept: text/event-stream."

# graphql-core shows the value that it refused, and with an input all of it: there may be a secret inside.
_SHOWN_VALUE = re.compile(r"(?:, but encountered error |[,;] found: | Found: ).*", re.DOTALL)
_MESSAGE_CHARACTERS = 2000
# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NUL_CHARACTER = frozenset({"22021", "22P05"})
_TOO_LONG = "54000"


class WrongMethod(InvalidInput):
    """The HTTP method does not do this."""


class ExecutionContext(StrawberryGraphQLCoreExecutionContext):
    """Lets JSON that PostgreSQL built pass through uncompleted, and shows resolvers the variables' container."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.context_value is not None:
            self.context_value.variables = self.variable_values

    def complete_value(
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, *more: Any
    ) -> Any:
        if isinstance(result, orjson.Fragment):
            return result
        return super().complete_value(return_type, field_details_list, info, path, result, *more)


class Operations:
    """Runs operations over a schema.

    Straight on graphql-core: strawberry's own `execute` builds a chain of extensions for every request, which costs as
    much as a small operation.
    """

    def __init__(self, schema: strawberry.Schema, limits: Limits) -> None:
        self._schema = schema._schema  # noqa: SLF001 - strawberry has no public way to it
        self._hides_names = limits.hides_names
        self.documents = Documents(self._schema, limits)
        self._constant = lru_cache(maxsize=KEPT_ANSWERS)(self._execute_constant)

    async def execute(
        self,
        query: str,
        *,
        variables: dict[str, Any] | None,
        name: str | None,
        context: RequestContext,
        only_queries: bool = False,
    ) -> ExecutionResult:
        """Run the operation called `name`, or the only one; WrongMethod where it is no query and has to be one.

        Forbidden where the caller's role may not run all of it.
        """
        document = self.documents.read(query)
        if document.errors:
            return ExecutionResult(None, list(document.errors))
        try:
            operation = document.operation(name)
            self.documents.refuse_costly(operation, variables)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        if refused := operation.refused(context.caller.role, is_attached=context.services.is_attached):
            return ExecutionResult(None, list(refused))
        if only_queries and operation.kind is not OperationType.QUERY:
            problem = "A GET may only read: send the operation by POST."
            return ExecutionResult(None, [GraphQLError(problem, original_error=WrongMethod(problem))])
        if operation.kind is OperationType.SUBSCRIPTION:
            return ExecutionResult(None, [GraphQLError(_NOT_HERE)])
        with context.services.tracer.span(operation.label, parent=context.traceparent, kind="server") as span:
            if operation.is_constant:
                result = self._constant(operation)
            else:
                answer = self._execute(operation, variables, context)
                result = await answer if isinstance(answer, Awaitable) else answer
            if span.is_recorded:
                span.tell(_told(operation, context), error=_kind(result.errors))
        return result

    def _execute_constant(self, operation: Operation) -> ExecutionResult:
        """The answer as JSON."""
        result = cast("ExecutionResult", self._execute(operation, None, None))
        return ExecutionResult(cast("Any", orjson.Fragment(orjson.dumps(result.data))), result.errors)

    def _execute(
        self, operation: Operation, variables: dict[str, Any] | None, context: Any
    ) -> AwaitableOrValue[ExecutionResult]:
        return execute(
            self._schema,
            operation.document,
            variable_values=variables,
            operation_name=operation.node.name.value if operation.node.name else None,
            context_value=context,
            executor_class=ExecutionContext,
            is_awaitable=cast("Any", optimized_is_awaitable),
            hide_suggestions=self._hides_names,
            operation_extensions=None,
        )


def _told(operation: Operation, context: RequestContext) -> Attributes:
    return {"graphql.operation.type": operation.kind.value, "automations.tenant_id": str(context.tenant_id)}


def _kind(errors: Sequence[GraphQLError] | None) -> str | None:
    """What kind of error the first one is."""
    return type(_cause(errors[0]) or errors[0]).__name__ if errors else None


def is_unavailable(errors: Sequence[GraphQLError] | None) -> bool:
    """Whether the database could not be reached: clients that see a 5xx ask again by themselves."""
    return bool(errors) and all(_is_lost(error) for error in errors or ())


def is_forbidden(errors: Sequence[GraphQLError] | None) -> bool:
    """Whether the operation is not for the caller's role."""
    return bool(errors) and all(isinstance(_cause(error), Forbidden) for error in errors or ())


def error_answers(errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
    """Errors as the answer shows them: a message, where, and `extensions.code`; never a trace or SQL."""
    return [_error_answer(error) for error in errors]


def _error_answer(error: GraphQLError) -> dict[str, Any]:
    message, code = _explained(error)
    answer: dict[str, Any] = {"message": message}
    if error.locations:
        answer["locations"] = [{"line": location.line, "column": location.column} for location in error.locations]
    if error.path:
        answer["path"] = list(error.path)
    answer["extensions"] = {"code": code}
    return answer


def _explained(error: GraphQLError) -> tuple[str, str]:
    """The message and the code."""
    match cause := _cause(error):
        case None | GraphQLError():
            return _refusal(error.message)
        case RequestError():
            return str(cause)[:_MESSAGE_CHARACTERS], cause.code
        case ValueError() if ", but encountered error '" in error.message:  # such as an Int of 5,000 digits
            return _refusal(error.message)
        case RecursionError():
            return "The operation is nested too deeply.", "LIMIT_EXCEEDED"
    return _database_problem(cause)


def _is_lost(error: GraphQLError) -> bool:
    cause = _cause(error)
    return cause is not None and is_connection_lost(cause) and not isinstance(cause, LimitError)


def _cause(error: GraphQLError) -> Exception | None:
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _database_problem(error: BaseException) -> tuple[str, str]:
    """What PostgreSQL refused, and whose fault it is: an unknown error is ours."""
    if isinstance(error, DataError):
        return _data_problem(error), "BAD_USER_INPUT"
    if isinstance(error, LimitError):
        return _limit_problem(error), "LIMIT_EXCEEDED"
    return _own_problem(error), "INTERNAL_SERVER_ERROR"


def _refusal(message: str) -> tuple[str, str]:
    """What graphql-core says of a document or a variable, without the values that it found there."""
    if message == "Validation aborted.":
        return "The document asks for the same fields too often; write each once.", "LIMIT_EXCEEDED"
    text = _SHOWN_VALUE.sub("", message)[:_MESSAGE_CHARACTERS]
    return text if text.endswith((".", "?")) else f"{text}.", "BAD_USER_INPUT"


def _data_problem(error: BaseException) -> str:
    if getattr(error, "sqlstate", None) in _NUL_CHARACTER:
        return "A value cannot be used: texts must not contain the NUL character."
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    text = re.sub(r"^invalid input for query argument \$\d+: ", "", text).rstrip(".")
    return f"A value cannot be used: {text[:200]}."


def _limit_problem(error: BaseException) -> str:
    if isinstance(error, DatabaseError) and error.sqlstate == _TOO_LONG:
        return "A value is too long for its place; shorten names and keys."
    return "The query asks for too much at once; ask for fewer fields or rows."


def _own_problem(error: BaseException) -> str:
    if is_connection_lost(error):
        log.error("the database did not answer", error=str(error) or type(error).__name__)
        return "The database cannot be reached just now; try again."
    error_id = uuid4().hex[:12]
    log.error("an operation failed", error_id=error_id, exc_info=error)
    return f"Internal error {error_id}; the server's log has more."
