"""What can be subscribed to: rows of a table as they change, one declaration a field."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import GenericAlias
from typing import Annotated, Any, Optional
from uuid import UUID

import strawberry

from automations.api.permissions import allow
from automations.api.scalars import Uuid_
from automations.api.tables import BY_NAME, Table
from automations.api.types import row_type, with_arguments
from automations.engine.changes import Change


@dataclass(frozen=True)
class Source:
    """A field of the subscription type. `column` is what its argument picks rows by: a name of `Change`."""

    name: str
    table: Table
    description: str
    argument: str | None = None
    column: str = ""

    def key(self, change: Change) -> UUID | None:
        """What the argument has to be for subscribers to be told; those without one are told of all."""
        return getattr(change, self.column) if self.column else None


SOURCES = (
    Source("automation_changed", BY_NAME["automation"], "An automation was made, changed or deleted."),
    Source(
        "delivery_changed",
        BY_NAME["delivery"],
        "A delivery came to be, or is further: all of them, or those of one automation.",
        "automation_id",
        "automation_id",
    ),
    Source(
        "flow_run_changed",
        BY_NAME["flow_run"],
        "A flow run was made or entered a state: all of them, or one.",
        "flow_run_id",
        "id",
    ),
)
BY_FIELD = {source.name: source for source in SOURCES}


def subscription_fields() -> dict[str, Any]:
    """Name → strawberry field."""
    for source in SOURCES:
        allow(f"Subscription.{source.name}", source.table.readers)
    return {
        source.name: strawberry.subscription(
            resolver=with_arguments(
                _told_by_the_hub, GenericAlias(AsyncGenerator, (row_type(source.table), None)), _arguments(source)
            ),
            description=f"{source.description} Each event is the row as it is by then.",
        )
        for source in SOURCES
    }


def _arguments(source: Source) -> dict[str, Any]:
    if source.argument is None:
        return {}
    described = strawberry.argument(description="Only of this one.")
    return {source.argument: Annotated[Optional[Uuid_], described]}


async def _told_by_the_hub(info: strawberry.Info) -> Any:
    """Subscriptions are not executed field by field."""
    raise AssertionError(info.field_name)
