"""Flows and their schedules."""

from uuid import UUID

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json
from automations.orchestration import flows
from automations.orchestration.repeats import once


@strawberry.input(name="create_flow_input", description="A flow to register.")
class CreateFlowInput:
    project_id: UUID = strawberry.field(description="The project it belongs to.")
    serialized_flow: Json = strawberry.field(
        description='The flow as its serialize() gives it; at least {"name": "…"}.'
    )
    version_group_id: str | None = optional("The version group it is a new version of; a new group by default.")
    set_schedule_active: bool = strawberry.field(default=True, description="Whether its schedule makes runs.")
    description: str | None = optional("What it does.")
    idempotency_key: str | None = optional(
        "The newest version of the group with the same key is returned instead of a new one; without a group, the flow."
    )


@strawberry.input(name="set_schedule_active_input", description="A flow whose schedule makes runs from now on.")
class SetScheduleActiveInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.input(name="set_schedule_inactive_input", description="A flow whose schedule makes no more runs.")
class SetScheduleInactiveInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.type
class FlowMutations:
    @mutation("Register a flow. The id is that of the new version.", by=EDITORS)
    async def create_flow(self, info: strawberry.Info, input: CreateFlowInput) -> IdPayload | None:
        tenant_id = info.context.tenant_id
        async with info.context.database.transaction() as connection:
            flow_id = await once(
                connection,
                tenant_id,
                "flow",
                # Of a new group, nothing else tells that it was asked for before.
                None if input.version_group_id else input.idempotency_key,
                lambda: flows.create_flow(
                    connection,
                    tenant_id,
                    project_id=input.project_id,
                    serialized_flow=input.serialized_flow,
                    version_group_id=input.version_group_id,
                    set_schedule_active=input.set_schedule_active,
                    description=input.description,
                    idempotency_key=input.idempotency_key,
                ),
            )
        return IdPayload(id=flow_id)

    @mutation("Switch a flow's schedule on.", by=EDITORS)
    async def set_schedule_active(self, info: strawberry.Info, input: SetScheduleActiveInput) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=True)

    @mutation("Switch a flow's schedule off.", by=EDITORS)
    async def set_schedule_inactive(
        self, info: strawberry.Info, input: SetScheduleInactiveInput
    ) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=False)


async def _set_schedule(info: strawberry.Info, flow_id: UUID, *, active: bool) -> SuccessPayload:
    async with info.context.database.connection() as connection:
        await flows.set_schedule_active(connection, info.context.tenant_id, flow_id, active=active)
    return SuccessPayload()
