"""How many values an operation may make PostgreSQL put together: rows times fields, reckoned before anything runs.

A list counts the rows that its `limit` allows, whether or not there are so many, and lists inside it multiply. What
`@skip` and `@include` leave out counts as well. Fragments are reckoned once and count wherever they are used.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from automations.api.limits import DEFAULT_ROWS
from automations.api.measures import once


class VariableLimit(Exception):
    """A `limit` stands in a variable, so that the cost depends on the variables."""


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any] | None,
    *,
    most_rows: int,
) -> int:
    """Values of a valid operation at most. Without variables (None), VariableLimit where a `limit` is one of them."""
    given = None if variables is None else {**_defaults(operation), **variables}
    root = schema.get_root_type(operation.operation)
    return _Cost(schema, document, given, most_rows).of(operation.selection_set, root)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        node.variable.name.value: int(node.default_value.value)
        for node in operation.variable_definitions or ()
        if isinstance(node.default_value, IntValueNode)
    }


class _Cost:
    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None, most_rows: int
    ) -> None:
        self._schema, self._variables, self._most_rows = schema, variables, most_rows
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, int] = {}

    def of(self, selected: SelectionSetNode | None, parent: Any) -> int:
        if selected is None or not isinstance(parent, GraphQLObjectType):
            return 1
        return sum(self._one(node, parent) for node in once(selected))

    def _one(self, node: Any, parent: GraphQLObjectType) -> int:
        if isinstance(node, FieldNode):
            field = parent.fields.get(node.name.value)
            return (
                1
                if field is None
                else self._rows(node, field) * self.of(node.selection_set, get_named_type(field.type))
            )
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in self._known:
                fragment = self._fragments[name]
                self._known[name] = self.of(
                    fragment.selection_set, self._schema.get_type(fragment.type_condition.name.value)
                )
            return self._known[name]
        assert isinstance(node, InlineFragmentNode)  # noqa: S101 - there are no other selections
        condition = node.type_condition
        return self.of(node.selection_set, self._schema.get_type(condition.name.value) if condition else parent)

    def _rows(self, node: FieldNode, field: GraphQLField) -> int:
        if "limit" not in field.args:
            return 1
        limit = next((self._value(item.value) for item in node.arguments or () if item.name.value == "limit"), None)
        return min(max(DEFAULT_ROWS if limit is None else limit, 0), self._most_rows)

    def _value(self, node: Any) -> int | None:
        if isinstance(node, VariableNode):
            if self._variables is None:
                raise VariableLimit
            value = self._variables.get(node.name.value)
            return value if isinstance(value, int) else None
        return int(node.value) if isinstance(node, IntValueNode) else None
