"""A field's selection set as plain data: fragments spread, @skip and @include decided, equal keys merged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    get_argument_values,
    get_directive_values,
    get_named_type,
)


@dataclass(frozen=True)
class Selected:
    """A field that was asked for: `key` is its name in the answer, `arguments` are coerced."""

    key: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    selections: tuple["Selected", ...] = ()


@dataclass(frozen=True)
class Document:
    """What the fields of one operation are read with; `variables` is the executor's container of coerced values."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: Any


def read_field(document: Document, nodes: Iterable[FieldNode], definition: GraphQLField) -> Selected:
    """The field that these nodes of one response key ask for."""
    nodes = list(nodes)
    first = nodes[0]
    parent = get_named_type(definition.type)
    selections: tuple[Selected, ...] = ()
    if isinstance(parent, GraphQLObjectType):
        selections = tuple(
            read_field(document, group, _definition(parent, group[0])) for group in _grouped(document, nodes)
        )
    return Selected(
        key=first.alias.value if first.alias else first.name.value,
        name=first.name.value,
        arguments=get_argument_values(definition, first, document.variables),
        selections=selections,
    )


_TYPENAME = GraphQLField(cast("Any", None))


def _definition(parent: GraphQLObjectType, node: FieldNode) -> GraphQLField:
    return parent.fields.get(node.name.value, _TYPENAME)


def _grouped(document: Document, nodes: list[FieldNode]) -> list[list[FieldNode]]:
    groups: dict[str, list[FieldNode]] = {}
    for node in nodes:
        if node.selection_set is not None:
            for inner in _fields(document, node.selection_set.selections):
                groups.setdefault(inner.alias.value if inner.alias else inner.name.value, []).append(inner)
    return list(groups.values())


def _fields(document: Document, selections: Iterable[SelectionNode]) -> Iterator[FieldNode]:
    for selection in selections:
        if not _is_included(document, selection):
            continue
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields(document, selection.selection_set.selections)
        elif isinstance(selection, FragmentSpreadNode):
            yield from _fields(document, document.fragments[selection.name.value].selection_set.selections)


def _is_included(document: Document, selection: SelectionNode) -> bool:
    if not selection.directives:
        return True
    skip = get_directive_values(GraphQLSkipDirective, selection, document.variables)
    include = get_directive_values(GraphQLIncludeDirective, selection, document.variables)
    return not (skip and skip["if"]) and not (include and not include["if"])
