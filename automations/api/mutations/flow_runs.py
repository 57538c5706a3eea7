"""Flow runs and their states."""

from datetime import UTC, datetime

import strawberry

from automations.api.payloads import IdPayload, SuccessPayload
from automations.api.scalars import Json, Timestamp, Uuid
from automations.orchestration import runs
from automations.orchestration.runs import NewState


@strawberry.input(name="create_flow_run_input", description="A run to schedule. Give flow_id or version_group_id.")
class CreateFlowRunInput:
    flow_id: Uuid | None = strawberry.field(default=None, description="The flow version to run.")
    version_group_id: str | None = strawberry.field(default=None, description="Run this group's newest version.")
    flow_run_name: str | None = strawberry.field(default=None, description="Its name; two words by default.")
    parameters: Json | None = strawberry.field(default=None, description="Its parameters: an object.")
    context: Json | None = strawberry.field(default=None, description="Its context.")
    labels: list[str] | None = strawberry.field(default=None, description="Its labels; the flow's by default.")
    run_config: Json | None = strawberry.field(default=None, description="Its run configuration; the flow's by default.")
    scheduled_start_time: Timestamp | None = strawberry.field(default=None, description="When to start; now by default.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same flow and key give the same run."
    )


@strawberry.input(name="set_flow_run_state_input", description="A state to set on a run.")
class SetFlowRunStateInput:
    flow_run_id: Uuid = strawberry.field(description="The run.")
    state: Json = strawberry.field(description='The state: {"type": "Failed", "message": "…", …}.')
    version: int | None = strawberry.field(
        default=None, description="The run's version that you know; refused if it is another by now."
    )


@strawberry.input(name="set_flow_run_states_input", description="States to set, all or none.")
class SetFlowRunStatesInput:
    states: list[SetFlowRunStateInput] = strawberry.field(description="The states, in order.")


@strawberry.input(name="flow_run_input", description="A flow run.")
class FlowRunInput:
    flow_run_id: Uuid = strawberry.field(description="The run.")


@strawberry.input(name="cancel_flow_run_input", description="A run to cancel.")
class CancelFlowRunInput(FlowRunInput):
    pass


@strawberry.input(name="delete_flow_run_input", description="A run to delete.")
class DeleteFlowRunInput(FlowRunInput):
    pass


@strawberry.type(name="set_flow_run_state_payload", description="A state that was set.")
class SetFlowRunStatePayload:
    id: Uuid = strawberry.field(description="The run.")
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
    @strawberry.mutation(description="Make a Scheduled run.")
    async def create_flow_run(self, info: strawberry.Info, input: CreateFlowRunInput) -> IdPayload | None:  # noqa: A002
        async with info.context.database.connection() as connection:
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

    @strawberry.mutation(description="Set states on runs, all or none.")
    async def set_flow_run_states(
        self, info: strawberry.Info, input: SetFlowRunStatesInput  # noqa: A002
    ) -> SetFlowRunStatesPayload | None:
        context = info.context
        new_states = [NewState(item.flow_run_id, item.state, item.version) for item in input.states]
        taken = [item.flow_run_id for item in new_states if context.agent_id and item.state.get("type") == "Submitted"]
        if not taken:
            async with context.database.connection() as connection:
                await runs.set_flow_run_states(connection, context.tenant_id, new_states)
        else:
            async with context.database.transaction() as connection:
                await runs.set_flow_run_states(connection, context.tenant_id, new_states)
                await runs.take_flow_runs(
                    connection, context.tenant_id, taken, agent_id=context.agent_id, now=datetime.now(UTC)
                )
        return SetFlowRunStatesPayload(states=[SetFlowRunStatePayload(id=item.flow_run_id) for item in new_states])

    @strawberry.mutation(
        description="Cancel a run: a Running one is asked to stop, another is Cancelled, a finished one stays."
    )
    async def cancel_flow_run(self, info: strawberry.Info, input: CancelFlowRunInput) -> RunStatePayload | None:  # noqa: A002
        async with info.context.database.connection() as connection:
            state = await runs.cancel_flow_run(
                connection, info.context.tenant_id, input.flow_run_id, message="Flow run was cancelled"
            )
        return RunStatePayload(state=state)

    @strawberry.mutation(description="Delete a run and its states.")
    async def delete_flow_run(self, info: strawberry.Info, input: DeleteFlowRunInput) -> SuccessPayload | None:  # noqa: A002
        async with info.context.database.connection() as connection:
            await runs.delete_flow_run(connection, info.context.tenant_id, input.flow_run_id)
        return SuccessPayload()
