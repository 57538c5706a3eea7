"""Operations whose answer is the same for everybody, as long as the server runs: what it is, and its schema.

Pages and clients ask for these again and again, some for the whole schema each time they start.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

CONSTANT: Final = {"__schema", "__type", "__typename"}
"""Fields of Query that nothing changes."""


def is_constant(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> bool:
    """Whether a valid operation asks for nothing else, and has no variables."""
    if operation.operation is not OperationType.QUERY or operation.variable_definitions:
        return False
    return all(name in CONSTANT for name in _root_fields(operation.selection_set, fragments))


def _root_fields(selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    for node in selected.selections:
        match node:
            case FieldNode():
                yield node.name.value
            case FragmentSpreadNode():
                yield from _root_fields(fragments[node.name.value].selection_set, fragments)
            case InlineFragmentNode():
                yield from _root_fields(node.selection_set, fragments)
