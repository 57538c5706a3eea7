"""`flow_sla_failed`: a flow run does not start, or does not finish, in time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self
from uuid import UUID, uuid4

from automations.database import Connection, load_queries
from automations.definitions import slas
from automations.definitions.fields import ids_of, refuse_unknown, seconds_of
from automations.definitions.triggers.contract import Trigger
from automations.errors import InvalidInput
from automations.events import FLOW_SLA_FAILED

orchestration_queries = load_queries("orchestration")


@dataclass(frozen=True)
class LateRun(Trigger):
    """Runs that fail SLAs: those that were saved before, or one of the automation's own.

    An own SLA has a kind and a duration, and is for runs of these flow groups (empty: all).
    """

    EVENT_TYPE: ClassVar = FLOW_SLA_FAILED

    flow_sla_config_ids: tuple[UUID, ...]
    kind: str | None = None
    duration_seconds: int | None = None
    flow_group_ids: tuple[UUID, ...] = ()

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        kind, config_ids = fields.get("kind"), ids_of(fields, "flow_sla_config_ids")
        if kind is None:
            if not config_ids:
                raise InvalidInput("Give kind and duration_seconds, or the SLAs: one id at least.")
            return cls(config_ids)
        if kind not in slas.KINDS:
            raise InvalidInput(f"kind must be one of {', '.join(slas.KINDS)}.")
        return cls(
            flow_sla_config_ids=config_ids or (uuid4(),),
            kind=kind,
            duration_seconds=seconds_of(fields, "duration_seconds"),
            flow_group_ids=ids_of(fields, "flow_group_ids"),
        )

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = {"flow_sla_config_ids": [str(item) for item in self.flow_sla_config_ids]}
        if self.kind is not None:
            event |= {"kind": self.kind, "duration_seconds": self.duration_seconds}
        if self.flow_group_ids:
            event["flow_group_ids"] = [str(item) for item in self.flow_group_ids]
        return event

    @property
    def tags(self) -> dict[str, list[str]]:
        return {"flow_sla_config_id": [str(item) for item in self.flow_sla_config_ids]}

    @property
    def sentence(self) -> str:
        if self.kind is None:
            return "A run fails its SLA"
        verb = "start" if self.kind == "SCHEDULED_NOT_STARTED" else "finish"
        which = f"{len(self.flow_group_ids)} flows" if len(self.flow_group_ids) > 1 else "a flow"
        which = which if self.flow_group_ids else "any flow"
        return f"A run of {which} does not {verb} within {self.duration_seconds} seconds"

    @property
    def event_attributes(self) -> dict[str, Any]:
        own = {} if self.kind is None else {"kind": self.kind, "duration_seconds": self.duration_seconds}
        return {"flow_sla_config_id": str(self.flow_sla_config_ids[0]), **own}

    def in_place_of(self, earlier: Trigger) -> Trigger:
        """An own SLA that is changed stays the same one: what fired because of it does not fire again."""
        if self.kind is not None and isinstance(earlier, LateRun) and earlier.kind is not None:
            return replace(self, flow_sla_config_ids=earlier.flow_sla_config_ids)
        return self

    def writes_over(self, earlier: Trigger) -> bool:
        return isinstance(earlier, LateRun) and (self.kind is not None or earlier.kind is None)

    async def check(self, connection: Connection, tenant_id: UUID) -> None:
        if self.flow_group_ids:
            known = await orchestration_queries.known_flow_groups(
                connection, tenant_id=tenant_id, ids=list(self.flow_group_ids)
            )
            refuse_unknown("flow_group_ids", self.flow_group_ids, known)
        if self.kind is None:
            known = await slas.known_configs(connection, tenant_id, self.flow_sla_config_ids)
            refuse_unknown("sla_config_ids", self.flow_sla_config_ids, known)

    async def write_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID, *, enabled: bool) -> None:
        if self.kind is not None and self.duration_seconds is not None:
            [config_id] = self.flow_sla_config_ids
            await slas.put_inline_config(
                connection,
                tenant_id,
                config_id,
                kind=self.kind,
                duration_seconds=self.duration_seconds,
                flow_group_ids=self.flow_group_ids,
            )
        config_ids = self.flow_sla_config_ids if enabled else ()
        await slas.put_rules(connection, tenant_id, automation_id, config_ids)

    async def clear_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
        await slas.put_rules(connection, tenant_id, automation_id, ())
        if self.kind is not None:
            await slas.delete_inline_config(connection, tenant_id, self.flow_sla_config_ids[0])
