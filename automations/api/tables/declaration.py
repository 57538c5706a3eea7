"""What a table is declared with, and columns that many have."""

from dataclasses import dataclass, field
from typing import Literal

from automations.access.roles import Roles

ColumnType = Literal["uuid", "text", "integer", "boolean", "timestamptz", "jsonb", "text[]"]


@dataclass(frozen=True)
class Column:
    """A column. `function` names an SQL function of other columns that it is computed with."""

    name: str
    type: ColumnType
    description: str
    nullable: bool = True
    function: str | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """Rows of another table. `on` pairs its columns with ours; `source` and `order` are set for joins over a view."""

    name: str
    table: str
    on: tuple[tuple[str, str], ...]
    description: str
    many: bool = False
    source: str | None = None
    order: str | None = None


@dataclass(frozen=True)
class Table:
    """A table or view, and the roles that see its rows.

    `live` is the column that is null in rows that were not deleted: others are not listed.
    """

    name: str
    source: str
    description: str
    columns: tuple[Column, ...]
    relations: tuple[Relation, ...] = ()
    tenant_column: str = "tenant_id"
    key: str = "id"
    live: str | None = None
    readers: Roles = field(kw_only=True)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def relation(self, name: str) -> Relation | None:
        return next((relation for relation in self.relations if relation.name == name), None)


def id_of(noun: str) -> Column:
    """The key."""
    return Column("id", "uuid", f"Id of the {noun}.", nullable=False)


TENANT_ID = Column("tenant_id", "uuid", "The tenant it belongs to.")
CREATED = Column("created", "timestamptz", "When it was made.", nullable=False)
UPDATED = Column("updated", "timestamptz", "When it was changed last.", nullable=False)
STAMPS = (CREATED, UPDATED)
EVENT_TYPE = Column(
    "event_type",
    "text",
    "FlowRunStateChangedEvent, FlowSLAFailedEvent, AgentSLAFailedEvent or ServerProblemEvent.",
    nullable=False,
)
