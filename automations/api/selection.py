"""A field's selection set as plain data: fragments spread, @skip and @include decided, equal keys merged."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    get_argument_values,
    get_directive_values,
    get_named_type,
)

from automations.api.limits import MOST_FIELDS
from automations.errors import LimitExceeded


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

    fragments: dict[str, FragmentDefinitionNode]
    variables: Any


def read_field(document: Document, nodes: Iterable[FieldNode], definition: GraphQLField) -> Selected:
    """The field that these nodes of one response key ask for; LimitExceeded where it has very many fields inside.

    A short document can ask for very many: each use of a fragment asks for all that is in it.
    """
    return _Reader(document).read(list(nodes), definition)


def read_root(document: Document, operation: OperationDefinitionNode, root: GraphQLObjectType) -> list[Selected]:
    """The root fields of an operation, as `read_field` reads each."""
    reader = _Reader(document)
    return [reader.read(nodes, _definition(root, nodes[0])) for nodes in reader.grouped([operation]).values()]


_TYPENAME = GraphQLField(cast("Any", None))


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._fields = 0

    def read(self, nodes: list[FieldNode], definition: GraphQLField) -> Selected:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise LimitExceeded(f"A root field may have {MOST_FIELDS} fields inside, those of fragments included.")
        first = nodes[0]
        parent = get_named_type(definition.type)
        selections: tuple[Selected, ...] = ()
        if isinstance(parent, GraphQLObjectType):
            selections = tuple(
                self.read(group, _definition(parent, group[0])) for group in self.grouped(nodes).values()
            )
        return Selected(
            key=_key(first),
            name=first.name.value,
            arguments=get_argument_values(definition, first, self._document.variables),
            selections=selections,
        )

    def grouped(self, nodes: Sequence[FieldNode | OperationDefinitionNode]) -> dict[str, list[FieldNode]]:
        groups: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for node in nodes:
            if node.selection_set is not None:
                for inner in self._inner(node.selection_set.selections, spread):
                    groups.setdefault(_key(inner), []).append(inner)
        return groups

    def _inner(self, selections: Iterable[SelectionNode], spread: set[str]) -> Iterator[FieldNode]:
        """The fields among these; `spread` holds the fragments of this selection set, each of which counts once."""
        for selection in selections:
            if not self._is_included(selection):
                continue
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                yield from self._inner(selection.selection_set.selections, spread)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                fragment = self._document.fragments[selection.name.value]
                yield from self._inner(fragment.selection_set.selections, spread)

    def _is_included(self, selection: SelectionNode) -> bool:
        if not selection.directives:
            return True
        skip = get_directive_values(GraphQLSkipDirective, selection, self._document.variables)
        include = get_directive_values(GraphQLIncludeDirective, selection, self._document.variables)
        return not (skip and skip["if"]) and not (include and not include["if"])


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _definition(parent: GraphQLObjectType, node: FieldNode) -> GraphQLField:
    definition: GraphQLField = parent.fields.get(node.name.value, _TYPENAME)
    return definition
