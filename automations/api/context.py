"""Who asks, and what their request may use."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from automations.actions.contract import Choices
from automations.database import Database
from automations.orchestration.queue import AgentQueue
from automations.trials import Trials
from automations.vault import Vault


@dataclass(frozen=True)
class Services:
    """What every request shares."""

    database: Database
    vault: Vault
    trials: Trials
    agent_queue: AgentQueue
    max_rows: int
    choices: Choices


@dataclass
class RequestContext:
    """One operation's: the caller's tenant, and the agent that speaks, if one does."""

    services: Services
    tenant_id: UUID
    agent_id: UUID | None = None
    core_version: str | None = None
    variables: Any = field(default=None, repr=False)  # the executor's container, set when execution begins

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def choices(self) -> Choices:
        return self.services.choices
