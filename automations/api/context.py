"""Who asks, and what their request may use."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from automations.access.authors import set_author
from automations.access.callers import Caller
from automations.access.keyring import Keyring
from automations.actions.contract import Choices
from automations.database import Connection, Database
from automations.orchestration.queue import AgentQueue
from automations.tracing import NO_TRACER, Tracer
from automations.trials import Trials
from automations.vault import Vault


@dataclass(frozen=True)
class Services:
    """What every request shares. `sources`: where rows of an existing backend's tables are read from."""

    database: Database
    vault: Vault
    trials: Trials
    agent_queue: AgentQueue
    max_rows: int
    choices: Choices
    keyring: Keyring | None
    is_attached: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    tracer: Tracer = NO_TRACER


@dataclass
class RequestContext:
    """One operation's: the caller, the agent that speaks, if one does, and the trace that it belongs to."""

    services: Services
    caller: Caller
    agent_id: UUID | None = None
    core_version: str | None = None
    traceparent: str | None = None
    variables: Any = field(default=None, repr=False)  # the executor's container, set when execution begins

    @property
    def tenant_id(self) -> UUID:
        return self.caller.tenant_id

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def choices(self) -> Choices:
        return self.services.choices

    @asynccontextmanager
    async def change(self, operation: str) -> AsyncIterator[Connection]:
        """A transaction for a change of definitions: what it changes is audited as the caller's work."""
        async with self.database.transaction() as connection:
            await set_author(connection, actor=self.caller.name, key_id=self.caller.key_id, operation=operation)
            yield connection
