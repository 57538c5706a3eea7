"""Flows and their schedules."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json
from automations.orchestration import flows, graphs, scheduled_runs


@strawberry.input(name="create_flow_input", description="A flow to register.")
class CreateFlowInput:
    project_id: UUID = strawberry.field(description="The project it belongs to.")
    serialized_flow: Json = strawberry.field(
        description='The flow as its serialize() gives it; at least {"name": "…"}.'
    )
    version_group_id: str | None = optional(
        "The version group it is a new version of; by default that of the project's flow of this name, or a new one."
    )
    set_schedule_active: bool = strawberry.field(default=True, description="Whether its schedule makes runs.")
    description: str | None = optional("What it does.")
    idempotency_key: str | None = optional("The newest version with the same key is returned instead of a new one.")


@strawberry.input(
    name="create_flow_from_compressed_string_input", description="A flow to register, compressed as clients send it."
)
class CreateFlowFromCompressedStringInput:
    project_id: UUID = strawberry.field(description="The project it belongs to.")
    serialized_flow: str = strawberry.field(
        description="The flow as its serialize() gives it: JSON, by gzip, in base64."
    )
    version_group_id: str | None = optional("As for create_flow.")
    set_schedule_active: bool = strawberry.field(default=True, description="Whether its schedule makes runs.")
    description: str | None = optional("What it does.")
    idempotency_key: str | None = optional("The newest version with the same key is returned instead of a new one.")


@strawberry.input(name="archive_flow_input", description="A flow version that is done with.")
class ArchiveFlowInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.input(name="delete_flow_input", description="A flow version to delete.")
class DeleteFlowInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.input(name="register_tasks_input", description="Tasks of a flow, all or a part of them.")
class RegisterTasksInput:
    flow_id: UUID = strawberry.field(description="The flow.")
    serialized_tasks: list[Json] = strawberry.field(description="The tasks as the flow's serialize() gives them.")


@strawberry.input(name="register_edges_input", description="Edges of a flow, all or a part of them.")
class RegisterEdgesInput:
    flow_id: UUID = strawberry.field(description="The flow.")
    serialized_edges: list[Json] = strawberry.field(
        description="The edges as the flow's serialize() gives them; their tasks are registered already."
    )


@strawberry.input(name="set_schedule_active_input", description="A flow whose schedule makes runs from now on.")
class SetScheduleActiveInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.input(name="set_schedule_inactive_input", description="A flow whose schedule makes no more runs.")
class SetScheduleInactiveInput:
    flow_id: UUID = strawberry.field(description="The flow.")


@strawberry.type
class FlowMutations:
    @mutation("Register a flow. The id is that of the new version.", by=EDITORS, on_backend=True)
    async def create_flow(self, info: strawberry.Info, input: CreateFlowInput) -> IdPayload | None:
        return await _create_flow(info, input, input.serialized_flow)

    @mutation("Register a flow that comes compressed. The id is that of the new version.", by=EDITORS, on_backend=True)
    async def create_flow_from_compressed_string(
        self, info: strawberry.Info, input: CreateFlowFromCompressedStringInput
    ) -> IdPayload | None:
        return await _create_flow(info, input, flows.decompress(input.serialized_flow))

    @mutation("Add tasks to a flow; those that it has already stay.", by=EDITORS, on_backend=True)
    async def register_tasks(self, info: strawberry.Info, input: RegisterTasksInput) -> SuccessPayload | None:
        context = info.context
        async with context.database.transaction() as connection:
            await graphs.register_tasks(connection, context.tenant_id, input.flow_id, list(input.serialized_tasks))
        return SuccessPayload()

    @mutation("Add edges to a flow; those that it has already stay.", by=EDITORS, on_backend=True)
    async def register_edges(self, info: strawberry.Info, input: RegisterEdgesInput) -> SuccessPayload | None:
        context = info.context
        async with context.database.transaction() as connection:
            await graphs.register_edges(connection, context.tenant_id, input.flow_id, list(input.serialized_edges))
        return SuccessPayload()

    @mutation(
        "Archive a flow version: its schedule ends, and the runs that it made ahead are gone.",
        by=EDITORS,
        on_backend=True,
    )
    async def archive_flow(self, info: strawberry.Info, input: ArchiveFlowInput) -> SuccessPayload | None:
        async with info.context.database.transaction() as connection:
            await flows.archive_flow(connection, info.context.tenant_id, input.flow_id)
        return SuccessPayload()

    @mutation("Delete a flow version, its tasks and its runs.", by=EDITORS, on_backend=True)
    async def delete_flow(self, info: strawberry.Info, input: DeleteFlowInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await flows.delete_flow(connection, info.context.tenant_id, input.flow_id)
        return SuccessPayload()

    @mutation(
        "Switch a flow's schedule on: it has runs for its next ten times from now on.", by=EDITORS, on_backend=True
    )
    async def set_schedule_active(self, info: strawberry.Info, input: SetScheduleActiveInput) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=True)

    @mutation("Switch a flow's schedule off, and delete the runs that it made ahead.", by=EDITORS, on_backend=True)
    async def set_schedule_inactive(
        self, info: strawberry.Info, input: SetScheduleInactiveInput
    ) -> SuccessPayload | None:
        return await _set_schedule(info, input.flow_id, active=False)


async def _create_flow(
    info: strawberry.Info, input_: CreateFlowInput | CreateFlowFromCompressedStringInput, serialized_flow: Any
) -> IdPayload:
    async with info.context.database.transaction() as connection:
        flow_id = await flows.create_flow(
            connection,
            info.context.tenant_id,
            project_id=input_.project_id,
            serialized_flow=serialized_flow,
            version_group_id=input_.version_group_id,
            set_schedule_active=input_.set_schedule_active,
            description=input_.description,
            idempotency_key=input_.idempotency_key,
        )
    return IdPayload(id=flow_id)


async def _set_schedule(info: strawberry.Info, flow_id: UUID, *, active: bool) -> SuccessPayload:
    async with info.context.database.transaction() as connection:
        await scheduled_runs.set_schedule_active(
            connection, info.context.tenant_id, flow_id, active=active, now=datetime.now(UTC)
        )
    return SuccessPayload()
