"""Flow runs and their states."""

from datetime import UTC, datetime
from uuid import UUID

import strawberry

from automations.access.roles import AGENTS, EDITORS
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json
from automations.orchestration import runs
from automations.orchestration.transitions import NewState


@strawberry.input(name="create_flow_run_input", description="A run to schedule. Give flow_id or version_group_id.")
class CreateFlowRunInput:
    flow_id: UUID | None = optional("The flow version to run.")
    version_group_id: str | None = optional("Run this group's newest version.")
    flow_run_name: str | None = optional("Its name; two words by default.")
    parameters: Json | None = optional("Its parameters: an object.")
    context: Json | None = optional("Its context.")
    labels: list[str] | None = optional("Its labels; the flow's by default.")
    run_config: Json | None = optional("Its run configuration; the flow's by default.")
    scheduled_start_time: datetime | None = optional("When to start; now by default.")
    idempotency_key: str | None = optional("The same flow and key give the same run.")


@strawberry.input(name="set_flow_run_state_input", description="A state to set on a run.")
class SetFlowRunStateInput:
    flow_run_id: UUID = strawberry.field(description="The run.")
    state: Json = strawberry.field(description='The state: {"type": "Failed", "message": "…", …}.')
    version: int | None = optional("The run's version that you know; refused if it is another by now.")


@strawberry.input(name="set_flow_run_states_input", description="States to set, all or none.")
class SetFlowRunStatesInput:
    states: list[SetFlowRunStateInput] = strawberry.field(description="The states, in order.")


@strawberry.input(name="flow_run_input", description="A flow run.")
class FlowRunInput:
    flow_run_id: UUID = strawberry.field(description="The run.")


@strawberry.input(name="cancel_flow_run_input", description="A run to cancel.")
class CancelFlowRunInput(FlowRunInput):
    pass


@strawberry.input(name="delete_flow_run_input", description="A run to delete.")
class DeleteFlowRunInput(FlowRunInput):
    pass


@strawberry.input(name="set_flow_run_name_input", description="Another name for a run.")
class SetFlowRunNameInput(FlowRunInput):
    name: str = strawberry.field(description="The name.")


@strawberry.input(name="set_flow_run_labels_input", description="Other labels for a run.")
class SetFlowRunLabelsInput(FlowRunInput):
    labels: list[str] = strawberry.field(description="Labels that its agent must have.")


@strawberry.input(name="update_flow_run_heartbeat_input", description="A run whose process lives.")
class UpdateFlowRunHeartbeatInput(FlowRunInput):
    pass


@strawberry.type(name="set_flow_run_state_payload", description="A state that was set.")
class SetFlowRunStatePayload:
    id: UUID = strawberry.field(description="The run.")
    status: str = strawberry.field(default="SUCCESS", description="SUCCESS.")
    message: str | None = strawberry.field(default=None, description="Null.")


@strawberry.type(name="set_flow_run_states_payload", description="The states that were set.")
class SetFlowRunStatesPayload:
    states: list[SetFlowRunStatePayload] = strawberry.field(description="One for each, in order.")


@strawberry.type(name="runs_state_payload", description="The state a run is in now.")
class RunStatePayload:
    state: str = strawberry.field(description="Its name.")


@strawberry.type
class FlowRunMutations:
    @mutation("Make a Scheduled run.", by=EDITORS, on_backend=True)
    async def create_flow_run(self, info: strawberry.Info, input: CreateFlowRunInput) -> IdPayload | None:
        async with info.context.database.changing_states() as connection:
            flow_run_id = await runs.create_flow_run(
                connection,
                info.context.tenant_id,
                flow_id=input.flow_id,
                version_group_id=input.version_group_id,
                name=input.flow_run_name,
                parameters=input.parameters,
                context=input.context,
                labels=input.labels,
                run_config=input.run_config,
                scheduled_start_time=input.scheduled_start_time,
                idempotency_key=input.idempotency_key,
            )
        return IdPayload(id=flow_run_id)

    @mutation("Set states on runs, all or none.", by=AGENTS, on_backend=True)
    async def set_flow_run_states(
        self, info: strawberry.Info, input: SetFlowRunStatesInput
    ) -> SetFlowRunStatesPayload | None:
        context = info.context
        new_states = [NewState(item.flow_run_id, item.state, item.version) for item in input.states]
        # An agent's states come with a note of who took the run.
        async with context.database.changing_states(together=context.agent_id is not None) as connection:
            await runs.set_flow_run_states(
                connection, context.tenant_id, new_states, agent_id=context.agent_id, now=datetime.now(UTC)
            )
        return SetFlowRunStatesPayload(states=[SetFlowRunStatePayload(id=item.run_id) for item in new_states])

    @mutation(
        "Cancel a run: a Running one is asked to stop, another is Cancelled, a finished one stays.",
        by=EDITORS,
        on_backend=True,
    )
    async def cancel_flow_run(self, info: strawberry.Info, input: CancelFlowRunInput) -> RunStatePayload | None:
        async with info.context.database.changing_states() as connection:
            state = await runs.cancel_flow_run(
                connection, info.context.tenant_id, input.flow_run_id, message="Flow run was cancelled"
            )
        return RunStatePayload(state=state)

    @mutation("Give a run another name.", by=AGENTS, on_backend=True)
    async def set_flow_run_name(self, info: strawberry.Info, input: SetFlowRunNameInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await runs.set_flow_run_name(connection, info.context.tenant_id, input.flow_run_id, input.name)
        return SuccessPayload()

    @mutation("Give a run other labels.", by=EDITORS, on_backend=True)
    async def set_flow_run_labels(self, info: strawberry.Info, input: SetFlowRunLabelsInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await runs.set_flow_run_labels(connection, info.context.tenant_id, input.flow_run_id, input.labels)
        return SuccessPayload()

    @mutation("Say that a run's process lives.", by=AGENTS, on_backend=True)
    async def update_flow_run_heartbeat(
        self, info: strawberry.Info, input: UpdateFlowRunHeartbeatInput
    ) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await runs.update_flow_run_heartbeat(
                connection, info.context.tenant_id, input.flow_run_id, now=datetime.now(UTC)
            )
        return SuccessPayload()

    @mutation("Delete a run and its states.", by=EDITORS, on_backend=True)
    async def delete_flow_run(self, info: strawberry.Info, input: DeleteFlowRunInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await runs.delete_flow_run(connection, info.context.tenant_id, input.flow_run_id)
        return SuccessPayload()
