"""Cancels the flow run that the event is about."""

from dataclasses import dataclass
from typing import ClassVar, Self
from uuid import UUID

from automations.actions.contract import Action, Delivery, Rejected, Sent, Tools, template
from automations.errors import NotFound
from automations.messages import render


@dataclass(frozen=True)
class CancelFlowRun(Action):
    """Cancels the event's flow run: a running one is asked to stop, one that has not started never will."""

    KEY: ClassVar = "cancel_flow_run"
    TYPE: ClassVar = "CancelFlowRunAction"
    ON_BACKEND: ClassVar = True

    message: str | None = template("The new state's message, with {attributes} of the event.")

    @classmethod
    def example(cls) -> Self:
        return cls(message="Stopped: {flow_run_name} is not wanted any more")

    @property
    def needs_flow_run(self) -> bool:
        return True

    @property
    def destination(self) -> str:
        return "orchestration"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        message = (
            render(self.message, delivery.event)
            if self.message
            else f"Cancelled by the automation {delivery.automation_name}"
        )
        message = message.replace("\0", "")  # PostgreSQL keeps none
        flow_run_id = UUID(str(delivery.event["flow_run_id"]))
        tools.request = {"flow_run_id": str(flow_run_id), "message": message}
        if delivery.is_test:
            return Sent(note="A test cancels nothing")
        try:
            state = await tools.orchestration.cancel_flow_run(
                delivery.tenant_id, flow_run_id, message=message, caused_by=delivery.id
            )
        except NotFound as error:
            raise Rejected(str(error)) from error
        return Sent(note=f"The run is {state}")
