"""Flows and their schedules."""

import strawberry

from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json, Uuid
from automations.orchestration import flows


@strawberry.input(name="create_flow_input", description="A flow to register.")
class CreateFlowInput:
    project_id: Uuid = strawberry.field(description="The project it belongs to.")
    serialized_flow: Json = strawberry.field(description='The flow as its serialize() gives it; at least {"name": "…"}.')
    version_group_id: str | None = strawberry.field(
        default=None, description="The version group it is a new version of; a new group by default."
    )
    set_schedule_active: bool = strawberry.field(default=True, description="Whether its schedule makes runs.")
    description: str | None = strawberry.field(default=None, description="What it does.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The newest version with the same key is returned instead of a new one."
    )


@strawberry.input(name="set_schedule_active_input", description="A flow whose schedule makes runs from now on.")
class SetScheduleActiveInput:
    flow_id: Uuid = strawberry.field(description="The flow.")


@strawberry.input(name="set_schedule_inactive_input", description="A flow whose schedule makes no more runs.")
class SetScheduleInactiveInput:
    flow_id: Uuid = strawberry.field(description="The flow.")


@strawberry.type
class FlowMutations:
    @strawberry.mutation(description="Register a flow. The id is that of the new version.")
    async def create_flow(self, info: strawberry.Info, input: CreateFlowInput) -> IdPayload | None:  # noqa: A002
        async with info.context.database.transaction() as connection:
            flow_id = await flows.create_flow(
                connection,
                info.context.tenant_id,
                project_id=input.project_id,
                serialized_flow=input.serialized_flow,
                version_group_id=input.version_group_id,
                set_schedule_active=input.set_schedule_active,
                description=input.description,
                idempotency_key=input.idempotency_key,
            )
        return IdPayload(id=flow_id)

    @strawberry.mutation(description="Switch a flow's schedule on.")
    async def set_schedule_active(
        self, info: strawberry.Info, input: SetScheduleActiveInput  # noqa: A002
    ) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=True)

    @strawberry.mutation(description="Switch a flow's schedule off.")
    async def set_schedule_inactive(
        self, info: strawberry.Info, input: SetScheduleInactiveInput  # noqa: A002
    ) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=False)


async def _set_schedule(info: strawberry.Info, flow_id: Uuid, *, active: bool) -> SuccessPayload:
    async with info.context.database.connection() as connection:
        await flows.set_schedule_active(connection, info.context.tenant_id, flow_id, active=active)
    return SuccessPayload()
