"""Switches a flow's schedule off."""

from dataclasses import dataclass
from typing import ClassVar, Self
from uuid import UUID

from automations.actions.contract import Action, Delivery, Rejected, Sent, Tools, flow_group
from automations.errors import NotFound


@dataclass(frozen=True)
class PauseSchedule(Action):
    """Switches the schedule of a flow off: its newest version makes no more runs by itself."""

    KEY: ClassVar = "pause_schedule"
    TYPE: ClassVar = "PauseScheduleAction"
    ON_BACKEND: ClassVar = True

    flow_group_id: str | None = flow_group("The flow's group; the event's by default.")

    @classmethod
    def example(cls) -> Self:
        return cls()

    @property
    def needs_flow_run(self) -> bool:
        return self.flow_group_id is None

    @property
    def destination(self) -> str:
        return "orchestration"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        flow_group_id = UUID(str(self.flow_group_id or delivery.event["flow_group_id"]))
        tools.request = {"flow_group_id": str(flow_group_id)}
        if delivery.is_test:
            return Sent(note="A test pauses nothing")
        try:
            await tools.orchestration.pause_schedule(delivery.tenant_id, flow_group_id, caused_by=delivery.id)
        except NotFound as error:
            raise Rejected(str(error)) from error
        return Sent(note="The schedule is off")
