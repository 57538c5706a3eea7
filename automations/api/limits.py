"""Every limit of what one request may ask for: those that the settings change, and the constants beside them."""

from dataclasses import dataclass
from typing import Self

from automations.database import READING_SECONDS
from automations.errors import LimitExceeded
from automations.settings import Settings

MOST_FIELDS = 2000
"""Fields inside one root field, those of fragments included."""
MOST_INTROSPECTIONS = 10
"""Times that one operation may ask for the schema or a type: all of the schema takes 0.2 s of a core."""
MOST_RELATIONS = 12
"""Relations selected one inside the other."""
MOST_FILTER_RELATIONS = 6
"""Relations in a filter one inside the other; deeper ones that lead back and forth take PostgreSQL minutes."""
MOST_VALUES = 10_000
"""Values in the filters of one root field; the protocol takes 32,767."""
DEFAULT_ROWS = 100
"""Rows of a list that names no limit."""
LONGEST_READ_SECONDS = READING_SECONDS
"""Of one root field's statement."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the settings say an operation may have. `introspection` is whether the schema may be asked for."""

    characters: int = 200_000
    tokens: int = 20_000
    depth: int = 32
    aliases: int = 1000
    directives: int = 200
    root_fields: int = 500
    operations: int = 25
    cost: int = 20_000_000
    rows: int = 1000
    introspection: bool = True

    @property
    def hides_names(self) -> bool:
        """Whether errors leave out which names were nearly right: the schema would be found out by them."""
        return not self.introspection

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The limits that the settings give."""
        return cls(
            characters=settings.max_document_characters,
            tokens=settings.max_document_tokens,
            depth=settings.max_query_depth,
            aliases=settings.max_aliases,
            directives=settings.max_directives,
            root_fields=settings.max_root_fields,
            operations=settings.max_batch_operations,
            cost=settings.max_cost,
            rows=settings.max_rows,
            introspection=settings.introspection,
        )


def refuse_above(allowed: int, found: int, what: str) -> None:
    """LimitExceeded where more was found than is allowed; `what` takes both, as {allowed} and {found}."""
    if found > allowed:
        raise LimitExceeded(what.format(allowed=allowed, found=found))
