"""SLAs of flows, as existing clients make them; a hook then waits for their failure."""

from uuid import UUID

import strawberry

from automations.access.roles import EDITORS
from automations.api.fields import mutation, optional
from automations.api.inputs import FlowSlaKind
from automations.api.payloads import IdPayload
from automations.definitions import slas
from automations.orchestration.repeats import once


@strawberry.input(name="create_flow_sla_config_input", description="By when runs must have started or finished.")
class CreateFlowSlaConfigInput:
    kind: FlowSlaKind = strawberry.field(description="What is late.")
    duration_seconds: int = strawberry.field(description="After how many seconds, from 1.")
    name: str | None = optional("Its name.")
    idempotency_key: str | None = optional("The same key gives the same SLA.")


@strawberry.input(name="create_flow_group_sla_input", description="A flow group that is held to an SLA.")
class CreateFlowGroupSlaInput:
    flow_sla_config_id: UUID = strawberry.field(description="The SLA.")
    flow_group_id: UUID = strawberry.field(description="The flow group.")
    idempotency_key: str | None = optional("The same key gives the same link, and so does the same pair without one.")


@strawberry.type
class SlaMutations:
    @mutation("Make an SLA that no flow has yet.", by=EDITORS)
    async def create_flow_sla_config(self, info: strawberry.Info, input: CreateFlowSlaConfigInput) -> IdPayload | None:
        async with info.context.change(info.field_name) as connection:
            config_id = await slas.create_config(
                connection,
                info.context.tenant_id,
                kind=input.kind.value,
                duration_seconds=input.duration_seconds,
                name=input.name,
                idempotency_key=input.idempotency_key,
            )
        return IdPayload(id=config_id)

    @mutation("Hold a flow group's runs to an SLA, those included that are open already.", by=EDITORS)
    async def create_flow_group_sla(self, info: strawberry.Info, input: CreateFlowGroupSlaInput) -> IdPayload | None:
        tenant_id = info.context.tenant_id
        async with info.context.change(info.field_name) as connection:
            link_id = await once(
                connection,
                tenant_id,
                "flow_group_sla",
                input.idempotency_key,
                lambda: slas.link_flow_group(connection, tenant_id, input.flow_sla_config_id, input.flow_group_id),
            )
        return IdPayload(id=link_id)
