"""Runs operations over the schema and turns what goes wrong into errors with a code."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import uuid4

import orjson
import structlog
from graphql import GraphQLError
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from automations.database import CONNECTION_LOST, DataError, LimitError
from automations.errors import RequestError

log = structlog.get_logger(__name__)


class ExecutionContext(StrawberryGraphQLCoreExecutionContext):
    """Lets JSON that PostgreSQL built pass through uncompleted, and shows resolvers the variables' container."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.context_value is not None:
            self.context_value.variables = self.variable_values

    def complete_value(self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, *more: Any) -> Any:
        if isinstance(result, orjson.Fragment):
            return result
        return super().complete_value(return_type, field_details_list, info, path, result, *more)


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
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return error.message, "BAD_USER_INPUT"
    if isinstance(cause, RequestError):
        return str(cause), cause.code
    if isinstance(cause, DataError):
        return f"A value cannot be used: {_first_line(cause)}.", "BAD_USER_INPUT"
    if isinstance(cause, LimitError):
        return "The query asks for too much at once; ask for fewer fields or rows.", "LIMIT_EXCEEDED"
    if isinstance(cause, CONNECTION_LOST):
        log.error("the database did not answer", error=str(cause) or type(cause).__name__)
        return "The database cannot be reached just now; try again.", "INTERNAL_SERVER_ERROR"
    error_id = uuid4().hex[:12]
    log.error("an operation failed", error_id=error_id, exc_info=cast("BaseException", cause))
    return f"Internal error {error_id}; the server's log has more.", "INTERNAL_SERVER_ERROR"


def _first_line(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.removeprefix("invalid input for query argument ").rstrip(".")[:200]
