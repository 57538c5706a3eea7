"""Reads documents: parsed, held to the limits, validated and reckoned up once, and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from automations.access.roles import Role
from automations.api.constants import is_constant
from automations.api.cost import VariableLimit, cost_of
from automations.api.limits import Limits, refuse_above
from automations.api.measures import refuse_excess
from automations.api.permissions import backend_refusals, refusals
from automations.errors import LimitExceeded, RequestError

CACHED_DOCUMENTS = 500
NAME_CHARACTERS = 100
CACHED_CHARACTERS = 20_000  # a longer document is read each time: nobody can fill the memory with long ones

_TOO_COSTLY = "An operation may ask for {allowed} values; this one asks for {found}. Ask for fewer rows with limit."


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of a valid document. `cost` is None where it depends on the variables.

    `is_constant`: its answer is the same for everybody who may run it, and stays.
    """

    document: DocumentNode
    node: OperationDefinitionNode
    cost: int | None
    is_constant: bool = False
    refusals: Mapping[Role, Sequence[GraphQLError]] = field(default_factory=dict)
    """What the roles are told that may not run it."""
    backend_refusals: Sequence[GraphQLError] = ()
    """What everybody is told where the watched tables are an existing backend's."""

    @property
    def kind(self) -> OperationType:
        return self.node.operation

    @cached_property
    def label(self) -> str:
        """Its kind with its name, or with the first field that it asks for."""
        fields = (node for node in self.node.selection_set.selections if isinstance(node, FieldNode))
        named = self.node if self.node.name else next(fields, None)
        name = named.name.value if named and named.name else ""
        return f"{self.kind.value} {name[:NAME_CHARACTERS]}".rstrip()

    def refused(self, role: Role, *, is_attached: bool) -> Sequence[GraphQLError]:
        """Why a caller with this role may not run it; nothing where it may."""
        return self.refusals.get(role) or (self.backend_refusals if is_attached else ())


@dataclass(frozen=True)
class Document:
    """A document as it was read once: what is wrong with it, or its operations by their names."""

    errors: Sequence[GraphQLError] = ()
    operations: Mapping[str | None, Operation] = field(default_factory=dict)

    def operation(self, name: str | None) -> Operation:
        """The operation of this name, or the only one; GraphQLError where there is none."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is not None and name in self.operations:
            return self.operations[name]
        raise GraphQLError(
            f"There is no operation {name[:50]!r}." if name else "Name the operation to run in operationName."
        )


class Documents:
    """Reads documents against a schema. Rules made for each request would be validated anew for each request."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema, self._limits = schema, limits
        self._read_cached = lru_cache(maxsize=CACHED_DOCUMENTS)(self._read)

    def read(self, query: str) -> Document:
        """The document, or what is wrong with it."""
        return self._read_cached(query) if len(query) <= CACHED_CHARACTERS else self._read(query)

    def refuse_costly(self, operation: Operation, variables: Mapping[str, Any] | None) -> None:
        """GraphQLError where the operation asks for too much with these variables."""
        if operation.cost is None:
            cost = cost_of(
                self._schema, operation.document, operation.node, variables or {}, most_rows=self._limits.rows
            )
            self._refuse_cost(cost)

    def _read(self, query: str) -> Document:
        try:
            refuse_above(
                self._limits.characters, len(query), "A document may have {allowed} characters; this one has {found}."
            )
            document = self._parse(query)
            refuse_excess(document, self._limits)
            if errors := validate(self._schema, document, hide_suggestions=self._limits.hides_names):
                return Document(errors)
            operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
            return Document(
                operations={
                    node.name.value if node.name else None: self._operation(document, node) for node in operations
                }
            )
        except GraphQLError as error:
            return Document([error])
        except (RequestError, RecursionError) as error:
            return Document([GraphQLError(str(error), original_error=error)])

    def _operation(self, document: DocumentNode, node: OperationDefinitionNode) -> Operation:
        fragments = {item.name.value: item for item in document.definitions if isinstance(item, FragmentDefinitionNode)}
        return Operation(
            document,
            node,
            self._cost(document, node),
            is_constant(node, fragments),
            refusals(self._schema, node, fragments),
            backend_refusals(self._schema, node, fragments),
        )

    def _parse(self, query: str) -> DocumentNode:
        try:
            return parse(query, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            if "tokens. Parsing aborted" not in error.message:
                raise
            problem = f"A document may have {self._limits.tokens} tokens; this one has more."
            raise LimitExceeded(problem) from None

    def _cost(self, document: DocumentNode, node: OperationDefinitionNode) -> int | None:
        try:
            cost = cost_of(self._schema, document, node, None, most_rows=self._limits.rows)
        except VariableLimit:
            return None
        self._refuse_cost(cost)
        return cost

    def _refuse_cost(self, cost: int) -> None:
        try:
            refuse_above(self._limits.cost, cost, _TOO_COSTLY)
        except LimitExceeded as error:
            raise GraphQLError(str(error), original_error=error) from None
