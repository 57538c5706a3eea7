"""What a document asks for, counted once and before it is validated: fields, depth, aliases, directives.

Fragments count wherever they are used. Each is counted once and its sums are added at every use, so that a short
document whose fragments multiply costs no more time than it has characters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from automations.api.limits import MOST_INTROSPECTIONS, Limits, refuse_above
from automations.errors import InvalidInput

_INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True)
class _Sums:
    """Over a selection set. `fields` are its own, those of its fragments included; `depth` counts fields."""

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    depth: int = 0
    introspections: int = 0


def refuse_excess(document: DocumentNode, limits: Limits) -> None:
    """LimitExceeded where an operation of the document goes beyond a limit; InvalidInput where it may not introspect.

    Fragments that are missing or lead back to themselves count nothing: validation has more to say of them.
    """
    measured = _Measured(document)
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        sums = measured.of(operation.selection_set)
        if sums.introspections and not limits.introspection:
            raise InvalidInput("Introspection is switched off here.")
        refuse_above(
            MOST_INTROSPECTIONS,
            sums.introspections,
            "An operation may ask for __schema and __type {allowed} times; this one does {found} times.",
        )
        directives = sums.directives + _count(operation.directives)
        directives += sum(_count(node.directives) for node in operation.variable_definitions or ())
        refuse_above(
            limits.root_fields,
            sums.fields,
            "An operation may have {allowed} root fields; this one has {found}.",
        )
        refuse_above(limits.depth, sums.depth, "An operation may be {allowed} fields deep; this one is {found}.")
        refuse_above(limits.aliases, sums.aliases, "An operation may have {allowed} aliases; this one has {found}.")
        refuse_above(limits.directives, directives, "An operation may have {allowed} directives; this one has {found}.")


class _Measured:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, _Sums] = {}

    def of(self, selected: SelectionSetNode | None) -> _Sums:
        return _total(map(self._one, once(selected))) if selected is not None else _Sums()

    def _one(self, node: Any) -> _Sums:
        directives = _count(node.directives)
        if isinstance(node, FieldNode):
            inner = self.of(node.selection_set)
            return _Sums(
                fields=1,
                aliases=inner.aliases + (node.alias is not None),
                directives=inner.directives + directives,
                depth=inner.depth + 1,
                introspections=inner.introspections + (node.name.value in _INTROSPECTION),
            )
        inner = self._fragment(node.name.value) if isinstance(node, FragmentSpreadNode) else self.of(node.selection_set)
        return _total((inner, _Sums(directives=directives)))

    def _fragment(self, name: str) -> _Sums:
        if name not in self._known:
            self._known[name] = _Sums()
            if node := self._fragments.get(name):
                self._known[name] = _total((self.of(node.selection_set), _Sums(directives=_count(node.directives))))
        return self._known[name]


def once(selected: SelectionSetNode) -> list[SelectionNode]:
    """What a selection set selects: a fragment that it names again adds nothing."""
    spread: set[str] = set()
    found = []
    for node in selected.selections:
        if isinstance(node, FragmentSpreadNode):
            if node.name.value in spread:
                continue
            spread.add(node.name.value)
        found.append(node)
    return found


def _count(directives: Sequence[DirectiveNode] | None) -> int:
    return len(directives or ())


def _total(sums: Iterable[_Sums]) -> _Sums:
    fields = aliases = directives = depth = introspections = 0
    for part in sums:
        fields += part.fields
        aliases += part.aliases
        directives += part.directives
        depth = max(depth, part.depth)
        introspections += part.introspections
    return _Sums(fields, aliases, directives, depth, introspections)
