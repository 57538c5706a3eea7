"""Task runs and their states."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from automations.access.roles import AGENTS
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json
from automations.orchestration import task_runs
from automations.orchestration.task_runs import TaskRun
from automations.orchestration.transitions import NewState


@strawberry.input(name="get_or_create_task_run_input", description="A task of the flow that a flow run is of.")
class GetOrCreateTaskRunInput:
    flow_run_id: UUID = strawberry.field(description="The flow run.")
    task_id: UUID = strawberry.field(description="The task.")
    map_index: int = strawberry.field(default=-1, description="-1, or which child of a mapped task it is, from 0.")


@strawberry.input(name="get_or_create_task_run_info_input", description="A task of the flow that a flow run is of.")
class GetOrCreateTaskRunInfoInput(GetOrCreateTaskRunInput):
    pass


@strawberry.input(name="set_task_run_state_input", description="A state to set on a task run.")
class SetTaskRunStateInput:
    task_run_id: UUID = strawberry.field(description="The task run.")
    state: Json = strawberry.field(description='The state: {"type": "Failed", "message": "…", …}.')
    version: int | None = optional("The task run's version that you know; refused if it is another by now.")


@strawberry.input(name="set_task_run_states_input", description="States to set, all or none.")
class SetTaskRunStatesInput:
    states: list[SetTaskRunStateInput] = strawberry.field(description="The states, in order.")


@strawberry.input(name="set_task_run_name_input", description="Another name for a task run.")
class SetTaskRunNameInput:
    task_run_id: UUID = strawberry.field(description="The task run.")
    name: str = strawberry.field(description="The name.")


@strawberry.input(name="update_task_run_heartbeat_input", description="A task run whose process lives.")
class UpdateTaskRunHeartbeatInput:
    task_run_id: UUID = strawberry.field(description="The task run.")


@strawberry.type(name="set_task_run_state_payload", description="A state that was set.")
class SetTaskRunStatePayload:
    id: UUID = strawberry.field(description="The task run.")
    status: str = strawberry.field(default="SUCCESS", description="SUCCESS.")
    message: str | None = strawberry.field(default=None, description="Null.")


@strawberry.type(name="set_task_run_states_payload", description="The states that were set.")
class SetTaskRunStatesPayload:
    states: list[SetTaskRunStatePayload] = strawberry.field(description="One for each, in order.")


@strawberry.type(name="task_run_info_payload", description="A task run as the process that executes it needs it.")
class TaskRunInfoPayload:
    id: UUID = strawberry.field(description="Its id.")
    version: int = strawberry.field(description="Counts its states.")
    state: str | None = strawberry.field(description="Name of its present state.")
    serialized_state: Json | None = strawberry.field(description="Its present state as the client sent it.")


async def task_run_info(
    info: strawberry.Info,
    task_run_id: Annotated[UUID, strawberry.argument(description="The task run.")],
) -> TaskRunInfoPayload | None:
    """The query `get_task_run_info`."""
    async with info.context.database.connection() as connection:
        found = await task_runs.task_run_info(connection, info.context.tenant_id, task_run_id)
    return None if found is None else _info(found)


@strawberry.type
class TaskRunMutations:
    @mutation("The run of a task in a flow run, made if there is none, and its state.", by=AGENTS, on_backend=True)
    async def get_or_create_task_run_info(
        self, info: strawberry.Info, input: GetOrCreateTaskRunInfoInput
    ) -> TaskRunInfoPayload | None:
        return _info(await _get_or_create(info, input))

    @mutation("The id of the run of a task in a flow run, made if there is none.", by=AGENTS, on_backend=True)
    async def get_or_create_task_run(self, info: strawberry.Info, input: GetOrCreateTaskRunInput) -> IdPayload | None:
        return IdPayload(id=(await _get_or_create(info, input)).id)

    @mutation("Set states on task runs, all or none.", by=AGENTS, on_backend=True)
    async def set_task_run_states(
        self, info: strawberry.Info, input: SetTaskRunStatesInput
    ) -> SetTaskRunStatesPayload | None:
        new_states = [NewState(item.task_run_id, item.state, item.version) for item in input.states]
        async with info.context.database.connection() as connection:
            await task_runs.set_task_run_states(connection, info.context.tenant_id, new_states)
        return SetTaskRunStatesPayload(states=[SetTaskRunStatePayload(id=item.run_id) for item in new_states])

    @mutation("Give a task run another name.", by=AGENTS, on_backend=True)
    async def set_task_run_name(self, info: strawberry.Info, input: SetTaskRunNameInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await task_runs.set_task_run_name(connection, info.context.tenant_id, input.task_run_id, input.name)
        return SuccessPayload()

    @mutation("Say that a task run's process lives.", by=AGENTS, on_backend=True)
    async def update_task_run_heartbeat(
        self, info: strawberry.Info, input: UpdateTaskRunHeartbeatInput
    ) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await task_runs.update_task_run_heartbeat(
                connection, info.context.tenant_id, input.task_run_id, now=datetime.now(UTC)
            )
        return SuccessPayload()


async def _get_or_create(info: strawberry.Info, input_: GetOrCreateTaskRunInput) -> TaskRun:
    async with info.context.database.connection() as connection:
        return await task_runs.get_or_create_task_run(
            connection,
            info.context.tenant_id,
            flow_run_id=input_.flow_run_id,
            task_id=input_.task_id,
            map_index=input_.map_index,
        )


def _info(found: TaskRun) -> TaskRunInfoPayload:
    return TaskRunInfoPayload(
        id=found.id, version=found.version, state=found.state, serialized_state=found.serialized_state
    )
