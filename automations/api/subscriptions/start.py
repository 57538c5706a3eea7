"""Starts the subscription that an operation asks for."""

from collections.abc import Callable
from typing import Any, cast

import strawberry
from graphql import FragmentDefinitionNode, GraphQLError, OperationType, get_variable_values

from automations.access.callers import Caller
from automations.api.documents import Documents, Operation
from automations.api.execution import error_answers
from automations.api.select import compile_changed
from automations.api.selection import Document, Selected, read_root
from automations.api.subscriptions.fields import BY_FIELD
from automations.api.subscriptions.hub import Hub, Subscription
from automations.errors import LimitExceeded, RequestError


class Refused(Exception):
    """The operation cannot be started; `errors` are as an answer shows them."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


class Starter:
    """Reads operations, and hands those that are subscriptions to the hub."""

    def __init__(self, schema: strawberry.Schema, documents: Documents, hub: Hub, *, most_rows: int) -> None:
        self._schema = schema._schema  # noqa: SLF001 - strawberry has no public way to it
        self._documents, self._hub, self._most_rows = documents, hub, most_rows

    def is_subscription(self, request: dict[str, Any]) -> bool:
        """Whether it is one; what is wrong with other operations shows when they are executed."""
        document = self._documents.read(request["query"])
        try:
            return not document.errors and (
                document.operation(request["operationName"]).kind is OperationType.SUBSCRIPTION
            )
        except GraphQLError:
            return False

    async def start(
        self, request: dict[str, Any], caller: Caller, wake: Callable[[Subscription], None]
    ) -> Subscription:
        """The subscription; Refused where it cannot be."""
        try:
            operation = self._documents.read(request["query"]).operation(request["operationName"])
            if refused := operation.refusals.get(caller.role):
                raise Refused(error_answers(refused))
            self._documents.refuse_costly(operation, request["variables"])
            field = self._field(operation, request["variables"])
            source = BY_FIELD[field.name]
            # What cannot be compiled is told now.
            compile_changed(
                source.table, field, caller.tenant_id, (), most_rows=self._most_rows, role=caller.role, sources={}
            )
            return await self._hub.subscribe(source, field, caller, wake)
        except GraphQLError as error:
            raise Refused(error_answers([error])) from None
        except (RequestError, TimeoutError) as error:
            raise Refused(error_answers([GraphQLError(str(error), original_error=error)])) from None

    def end(self, subscription: Subscription) -> None:
        self._hub.unsubscribe(subscription)

    def _field(self, operation: Operation, variables: dict[str, Any] | None) -> Selected:
        values = get_variable_values(self._schema, operation.node.variable_definitions or (), variables or {})
        if isinstance(values, list):
            raise Refused(error_answers(values))
        fragments = {
            node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        root = self._schema.subscription_type
        assert root is not None  # noqa: S101 - it is in the schema
        fields = read_root(Document(fragments, cast("Any", values)), operation.node, root)
        if len(fields) != 1:
            raise LimitExceeded("A subscription has one field.")
        return fields[0]
