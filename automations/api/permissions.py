"""Which roles each field and each type of the API is for: a table that declarations fill, and what a document needs.

A field is `Query.hello` or `Mutation.create_action` here, and a type that holds rows of a table is `flow_run`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from automations.access.roles import Role, Roles, named
from automations.errors import Conflict, Forbidden

ROLES: Final[dict[str, Roles]] = {}
"""The roles that a field or type is for, by its name. What is not here is part of something that is."""

ON_BACKEND: Final[set[str]] = set()
"""Mutations that are an existing backend's own, where the server is attached to one."""


def allow(name: str, roles: Roles) -> None:
    """Declare whom a field or type is for."""
    ROLES[name] = roles


def leave_to_backend(name: str) -> None:
    """Declare that a mutation writes to the watched tables."""
    ON_BACKEND.add(name)


def check_complete(schema: GraphQLSchema) -> None:
    """LookupError for a root field that nobody declared whom it is for: it would be for everybody."""
    roots = filter(None, (schema.query_type, schema.mutation_type, schema.subscription_type))
    missing = [name for root in roots for field in root.fields if (name := f"{root.name}.{field}") not in ROLES]
    if missing:
        raise LookupError(f"Say whom these fields are for: {', '.join(missing)}.")


def require(name: str, role: Role) -> None:
    """Forbidden where the field or type is not for this role."""
    if role not in ROLES[name]:
        shown = name.rpartition(".")[2]
        raise Forbidden(f"{shown} needs the role {named(ROLES[name])}; this key has the role {role.value}.")


def refusals(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> dict[Role, list[GraphQLError]]:
    """What each role is told of an operation that it may not run; roles that may run it are not there.

    It holds what is under @skip and @include, too, whatever they decide.
    """
    used = _all_used(schema, operation, fragments)
    errors: dict[Role, dict[str, GraphQLError]] = {}
    for role in Role:
        for name in used:
            try:
                require(name, role)
            except Forbidden as error:
                errors.setdefault(role, {})[str(error)] = GraphQLError(str(error), original_error=error)
    return {role: list(each.values()) for role, each in errors.items()}


def backend_refusals(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[GraphQLError]:
    """What everybody is told of an operation that an existing backend has to do itself."""
    errors = []
    for name in _all_used(schema, operation, fragments):
        if name in ON_BACKEND:
            error = Conflict(
                f"{name.rpartition('.')[2]} is not for this server: it is attached to the database of an existing "
                "backend, which keeps its flows, runs and agents itself. Send it to that backend's API."
            )
            errors.append(GraphQLError(str(error), original_error=error))
    return errors


def _all_used(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[str]:
    """Names of the fields and types of an operation that are in the table, each once."""
    root = schema.get_root_type(operation.operation)
    return list(dict.fromkeys(_used(root, operation.selection_set, fragments, set()))) if root else []


def _used(
    parent: GraphQLObjectType,
    selection_set: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    spread: set[str],
) -> Iterator[str]:
    """Names of the fields and types of a selection set that are in the table."""
    for selection in selection_set.selections:
        if isinstance(selection, InlineFragmentNode):
            yield from _used(parent, selection.selection_set, fragments, spread)
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
            spread.add(selection.name.value)
            yield from _used(parent, fragments[selection.name.value].selection_set, fragments, spread)
        elif isinstance(selection, FieldNode) and selection.name.value in parent.fields:
            name = f"{parent.name}.{selection.name.value}"
            type_ = get_named_type(parent.fields[selection.name.value].type)
            yield from (item for item in (name, type_.name) if item in ROLES)
            if isinstance(type_, GraphQLObjectType) and selection.selection_set is not None:
                yield from _used(type_, selection.selection_set, fragments, spread)
