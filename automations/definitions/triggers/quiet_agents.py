"""`agent_sla_failed`: too few agents of an agent config ask for work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from automations.database import Connection, load_queries
from automations.definitions.fields import count_of, ids_of, refuse_unknown, seconds_of
from automations.definitions.triggers.contract import Trigger
from automations.errors import InvalidInput
from automations.events import AGENT_SLA_FAILED

queries = load_queries("agent_health")
orchestration_queries = load_queries("orchestration")

MIN_HEALTHY = 1
UNHEALTHY_AFTER_SECONDS = 60


@dataclass(frozen=True)
class QuietAgents(Trigger):
    """Fewer than `min_healthy` agents of one of these agent configs asked for work within so many seconds."""

    EVENT_TYPE: ClassVar = AGENT_SLA_FAILED

    agent_config_ids: tuple[UUID, ...]
    min_healthy: int = MIN_HEALTHY
    unhealthy_after_seconds: int = UNHEALTHY_AFTER_SECONDS

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        trigger = cls(
            agent_config_ids=ids_of(fields, "agent_config_ids"),
            min_healthy=count_of(fields, "min_healthy", MIN_HEALTHY),
            unhealthy_after_seconds=seconds_of(fields, "unhealthy_after_seconds", UNHEALTHY_AFTER_SECONDS),
        )
        if not trigger.agent_config_ids:
            raise InvalidInput("agent_sla_failed takes agent_config_ids: one at least.")
        return trigger

    @property
    def event(self) -> dict[str, Any]:
        return {
            "agent_config_ids": [str(item) for item in self.agent_config_ids],
            "min_healthy": self.min_healthy,
            "unhealthy_after_seconds": self.unhealthy_after_seconds,
        }

    @property
    def tags(self) -> dict[str, list[str]]:
        return {"agent_config_id": [str(item) for item in self.agent_config_ids]}

    @property
    def sentence(self) -> str:
        groups = "an agent config" if len(self.agent_config_ids) == 1 else f"{len(self.agent_config_ids)} agent configs"
        return f"Fewer than {self.min_healthy} healthy agents of {groups}"

    @property
    def event_attributes(self) -> dict[str, Any]:
        return {"agent_config_id": str(self.agent_config_ids[0]), "sla_min_healthy": self.min_healthy}

    async def check(self, connection: Connection, tenant_id: UUID) -> None:
        known = await orchestration_queries.known_agent_configs(
            connection, tenant_id=tenant_id, ids=list(self.agent_config_ids)
        )
        refuse_unknown("agent_config_ids", self.agent_config_ids, known)

    async def write_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID, *, enabled: bool) -> None:
        await queries.put_groups(
            connection,
            tenant_id=tenant_id,
            automation_id=automation_id,
            agent_config_ids=list(self.agent_config_ids) if enabled else [],
            min_healthy=self.min_healthy,
            unhealthy_after_seconds=self.unhealthy_after_seconds,
        )

    async def clear_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
        await self.write_rules(connection, tenant_id, automation_id, enabled=False)
