"""Agents."""

from datetime import datetime
from uuid import UUID

import strawberry

from automations.access.roles import AGENTS, EDITORS
from automations.api.fields import mutation, optional
from automations.api.payloads import IdPayload, SuccessPayload
from automations.orchestration import agents


@strawberry.input(name="register_agent_input", description="An agent that starts.")
class RegisterAgentInput:
    type: str | None = optional("Its type, such as LocalAgent.")
    name: str | None = optional("Its name.")
    labels: list[str] | None = optional("Its labels.")
    tenant_id: UUID | None = optional("Accepted and not used: the caller's tenant counts.")
    agent_config_id: UUID | None = optional("The agent config it shares with its group.")


@strawberry.input(name="get_runs_in_queue_input", description="What an agent can take.")
class GetRunsInQueueInput:
    before: datetime | None = optional("Runs that may start before this; now by default.")
    labels: list[str] | None = optional("The agent's labels.")
    tenant_id: UUID | None = optional("Accepted and not used: the caller's tenant counts.")


@strawberry.input(name="delete_agent_input", description="An agent to forget.")
class DeleteAgentInput:
    agent_id: UUID = strawberry.field(description="The agent.")


@strawberry.type(name="runs_in_queue_payload", description="Runs that wait for an agent.")
class RunsInQueuePayload:
    flow_run_ids: list[UUID] = strawberry.field(description="Their ids, oldest first, 25 at most.")


@strawberry.type
class AgentMutations:
    @mutation("Register an agent; the same one gets the same id.", by=AGENTS, on_backend=True)
    async def register_agent(self, info: strawberry.Info, input: RegisterAgentInput) -> IdPayload | None:
        async with info.context.database.connection() as connection:
            agent_id = await agents.register_agent(
                connection,
                info.context.tenant_id,
                name=input.name,
                type_=input.type,
                core_version=info.context.core_version,
                labels=input.labels or [],
                agent_config_id=input.agent_config_id,
            )
        return IdPayload(id=agent_id)

    @mutation("Ask for work; the agent's only sign of life.", by=AGENTS, on_backend=True)
    async def get_runs_in_queue(self, info: strawberry.Info, input: GetRunsInQueueInput) -> RunsInQueuePayload | None:
        context = info.context
        flow_run_ids = await context.services.agent_queue.ask(
            context.tenant_id, labels=input.labels or [], before=input.before, agent_id=context.agent_id
        )
        return RunsInQueuePayload(flow_run_ids=flow_run_ids)

    @mutation("Forget an agent.", by=EDITORS, on_backend=True)
    async def delete_agent(self, info: strawberry.Info, input: DeleteAgentInput) -> SuccessPayload | None:
        async with info.context.database.connection() as connection:
            await agents.delete_agent(connection, info.context.tenant_id, input.agent_id)
        return SuccessPayload()
