"""`flow_run_state_changed`: a flow run enters a state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from automations.database import Connection, load_queries
from automations.definitions.fields import ids_of, refuse_unknown
from automations.definitions.triggers.contract import Trigger
from automations.errors import InvalidInput
from automations.events import FLOW_RUN_STATE_CHANGED
from automations.orchestration.states import STATE_GROUPS, canonical_states

queries = load_queries("definition")
orchestration_queries = load_queries("orchestration")

ALL = UUID(int=0)  # in a rule: every flow group, every project
MOST_RULES = 50_000


@dataclass(frozen=True)
class StateChanged(Trigger):
    """Any of these states, in any of these flow groups and projects (empty: all)."""

    EVENT_TYPE: ClassVar = FLOW_RUN_STATE_CHANGED

    states: tuple[str, ...]
    state_group: str | None = None
    flow_group_ids: tuple[UUID, ...] = ()
    project_ids: tuple[UUID, ...] = ()

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        states, state_group = fields.get("states"), fields.get("state_group")
        if state_group and list(states or ()) == list(STATE_GROUPS[state_group]):  # as it is stored
            states = None
        if bool(states) == bool(state_group):
            raise InvalidInput("flow_run_state_changed takes either states (one or more) or state_group.")
        trigger = cls(
            states=tuple(STATE_GROUPS[state_group] if state_group else canonical_states(states or ())),
            state_group=state_group,
            flow_group_ids=ids_of(fields, "flow_group_ids"),
            project_ids=ids_of(fields, "project_ids"),
        )
        if trigger.rules > MOST_RULES:
            raise InvalidInput(
                f"states, flow_group_ids and project_ids make {trigger.rules} combinations; {MOST_RULES} are the most. "
                "Leave project_ids out, or make several automations."
            )
        return trigger

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = {"states": list(self.states)}
        if self.state_group:
            event["state_group"] = self.state_group
        if self.flow_group_ids:
            event["flow_group_ids"] = [str(item) for item in self.flow_group_ids]
        if self.project_ids:
            event["project_ids"] = [str(item) for item in self.project_ids]
        return event

    @property
    def tags(self) -> dict[str, list[str]]:
        tags = {"state": list(self.states)}
        if self.flow_group_ids:
            tags["flow_group_id"] = [str(item) for item in self.flow_group_ids]
        return tags

    @property
    def rules(self) -> int:
        """How many rules the evaluator gets."""
        return len(self.states) * max(1, len(self.flow_group_ids)) * max(1, len(self.project_ids))

    @property
    def sentence(self) -> str:
        which = f"{len(self.flow_group_ids)} flows" if len(self.flow_group_ids) > 1 else "a flow"
        states = self.state_group or ", ".join(self.states[:3]) + (", …" if len(self.states) > 3 else "")
        return f"A run of {which if self.flow_group_ids else 'any flow'} enters {states}"

    async def check(self, connection: Connection, tenant_id: UUID) -> None:
        for field, ids, known in (
            ("flow_group_ids", self.flow_group_ids, orchestration_queries.known_flow_groups),
            ("project_ids", self.project_ids, orchestration_queries.known_projects),
        ):
            if ids:
                refuse_unknown(field, ids, await known(connection, tenant_id=tenant_id, ids=list(ids)))

    async def write_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID, *, enabled: bool) -> None:
        await self.clear_rules(connection, tenant_id, automation_id)
        if enabled:
            await queries.add_matches(
                connection,
                tenant_id=tenant_id,
                automation_id=automation_id,
                states=list(self.states),
                flow_group_ids=list(self.flow_group_ids or [ALL]),
                project_ids=list(self.project_ids or [ALL]),
            )

    async def clear_rules(self, connection: Connection, tenant_id: UUID, automation_id: UUID) -> None:
        await queries.clear_matches(connection, tenant_id=tenant_id, automation_id=automation_id)
