"""Schedules a run of a flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from automations.actions.contract import (
    Action,
    Delivery,
    InvalidConfig,
    Rejected,
    Sent,
    Tools,
    flow_group,
    json_template,
    template,
)
from automations.actions.wording import one_line
from automations.errors import NotFound
from automations.messages import JSON, render, render_json

NAME_CHARACTERS = 200


@dataclass(frozen=True)
class CreateFlowRun(Action):
    """Schedules a run of a flow, of its newest version, for now. One delivery makes one run."""

    KEY: ClassVar = "create_flow_run"
    TYPE: ClassVar = "CreateFlowRunAction"
    ON_BACKEND: ClassVar = True

    flow_group_id: str | None = flow_group("The flow's group; the event's by default.")
    parameters: JSON = json_template("The run's parameters: an object, with {attributes} in keys and strings.")
    run_name: str | None = template("The run's name, with {attributes} of the event; two words by default.")

    def __post_init__(self) -> None:
        if self.parameters is not None and not isinstance(self.parameters, dict):
            raise InvalidConfig(f'{self.KEY}.parameters must be an object, such as {{"day": "{{timestamp}}"}}.')

    @classmethod
    def example(cls) -> Self:
        return cls(parameters={"failed_run": "{flow_run_id}"}, run_name="after {flow_run_name}")

    @property
    def needs_flow_run(self) -> bool:
        return self.flow_group_id is None

    @property
    def destination(self) -> str:
        return "orchestration"

    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        event = _storable(delivery.event)
        flow_group_id = UUID(str(self.flow_group_id or event["flow_group_id"]))
        name = one_line(render(self.run_name, event), NAME_CHARACTERS) if self.run_name else ""
        parameters = None if self.parameters is None else render_json(self.parameters, event)
        tools.request = {"flow_group_id": str(flow_group_id), "name": name or None, "parameters": parameters}
        if delivery.is_test:
            return Sent(note="A test makes no run")
        try:
            flow_run_id = await tools.orchestration.create_flow_run(
                delivery.tenant_id, flow_group_id, name=name or None, parameters=parameters, caused_by=delivery.id
            )
        except NotFound as error:
            raise Rejected(str(error)) from error
        return Sent(note=f"The run is {flow_run_id}")


def _storable(event: Mapping[str, Any]) -> dict[str, Any]:
    """PostgreSQL keeps no NUL."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in event.items()}
