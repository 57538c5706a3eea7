"""What the event of an automation is: what was asked for, made canonical, and the rules that the engine reads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from automations.database import Connection
from automations.events import EventType


@dataclass(frozen=True)
class Trigger(ABC):
    """One kind of event with its fields, in canonical form."""

    EVENT_TYPE: ClassVar[EventType]

    @classmethod
    @abstractmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """A trigger from the inner object of the event key; InvalidInput says what is wrong with it."""

    @property
    @abstractmethod
    def event(self) -> dict[str, Any]:
        """The inner object of the event key, as JSON values; `parse` reads it again."""

    @property
    @abstractmethod
    def tags(self) -> dict[str, list[str]]:
        """The object of lists that existing clients read and filter."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """A name for an automation that was given none."""

    @property
    def event_attributes(self) -> dict[str, Any]:
        """What every event of this trigger says, for a sample of one."""
        return {}

    def in_place_of(self, _earlier: "Trigger") -> "Trigger":
        """This trigger as the successor of an automation's earlier one."""
        return self

    def writes_over(self, earlier: "Trigger") -> bool:
        """Whether writing the rules leaves none of the earlier trigger's behind; else those are cleared first."""
        return type(self) is type(earlier)

    @abstractmethod
    async def check(self, connection: Connection, tenant_id: UUID) -> None:
        """InvalidInput for ids that the tenant does not have."""

    @abstractmethod
    async def write_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID, *, enabled: bool) -> None:
        """Put this trigger's rules in the place of the automation's earlier ones of this kind; none unless enabled."""

    @abstractmethod
    async def clear_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
        """Leave nothing behind: the automation is deleted, or waits for something else from now on."""
