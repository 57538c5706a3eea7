"""The event of an automation: what was asked for, made canonical, and the rules that the evaluator matches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from automations.database import Connection, load_queries
from automations.errors import InvalidInput
from automations.events import FLOW_RUN_STATE_CHANGED, EventType
from automations.orchestration.states import STATE_GROUPS, canonical_states

queries = load_queries("definition")
orchestration_queries = load_queries("orchestration")

ALL = UUID(int=0)  # in a rule: every flow group, every project
MOST_IDS = 1000
MOST_RULES = 50_000


@dataclass(frozen=True)
class Trigger:
    """A `flow_run_state_changed` event: any of these states, in any of these flow groups and projects (empty: all)."""

    states: tuple[str, ...]
    state_group: str | None = None
    flow_group_ids: tuple[UUID, ...] = ()
    project_ids: tuple[UUID, ...] = ()

    @property
    def event_type(self) -> EventType:
        return FLOW_RUN_STATE_CHANGED

    @property
    def event(self) -> dict[str, Any]:
        """The canonical inner object of the event key."""
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
        """The object of lists that existing clients read and filter."""
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
        """A name for an automation that was given none."""
        which = f"{len(self.flow_group_ids)} flows" if len(self.flow_group_ids) > 1 else "a flow"
        states = self.state_group or ", ".join(self.states[:3]) + (", …" if len(self.states) > 3 else "")
        return f"A run of {which if self.flow_group_ids else 'any flow'} enters {states}"


def parse_trigger(event: Mapping[str, Any]) -> Trigger:
    """A trigger from `{key: {…}}` with exactly one key that is set; InvalidInput says what is wrong with it."""
    given = {key: value for key, value in event.items() if value is not None}
    if list(given) != [FLOW_RUN_STATE_CHANGED.key]:
        raise InvalidInput(f"event takes exactly one key: {FLOW_RUN_STATE_CHANGED.key}.")
    [fields] = given.values()
    states, state_group = fields.get("states"), fields.get("state_group")
    if bool(states) == bool(state_group):
        raise InvalidInput("flow_run_state_changed takes either states (one or more) or state_group.")
    trigger = Trigger(
        states=tuple(STATE_GROUPS[state_group] if state_group else canonical_states(states)),
        state_group=state_group,
        flow_group_ids=_ids(fields, "flow_group_ids"),
        project_ids=_ids(fields, "project_ids"),
    )
    if trigger.rules > MOST_RULES:
        raise InvalidInput(
            f"states, flow_group_ids and project_ids make {trigger.rules} combinations; {MOST_RULES} are the most. "
            "Leave project_ids out, or make several automations."
        )
    return trigger


async def check_trigger(connection: Connection, tenant_id: UUID, trigger: Trigger) -> None:
    """InvalidInput for flow groups and projects that the tenant does not have."""
    for field, ids, known in (
        ("flow_group_ids", trigger.flow_group_ids, orchestration_queries.known_flow_groups),
        ("project_ids", trigger.project_ids, orchestration_queries.known_projects),
    ):
        unknown = set(ids) - set(await known(connection, tenant_id=tenant_id, ids=list(ids))) if ids else set()
        if unknown:
            listed = ", ".join(sorted(str(item) for item in unknown)[:5])
            raise InvalidInput(f"{field} has ids that do not exist: {listed}.")


async def write_rules(connection: Connection, tenant_id: UUID, automation_id: UUID, trigger: Trigger | None) -> None:
    """Put the trigger's rules in the place of the automation's earlier ones; None leaves it without any."""
    await queries.clear_matches(connection, tenant_id=tenant_id, automation_id=automation_id)
    if trigger is not None:
        await queries.add_matches(
            connection,
            tenant_id=tenant_id,
            automation_id=automation_id,
            states=list(trigger.states),
            flow_group_ids=list(trigger.flow_group_ids or [ALL]),
            project_ids=list(trigger.project_ids or [ALL]),
        )


def _ids(fields: Mapping[str, Any], name: str) -> tuple[UUID, ...]:
    ids: Sequence[UUID] = fields.get(name) or ()
    if len(ids) > MOST_IDS:
        raise InvalidInput(f"{name} takes {MOST_IDS} ids at most; {len(ids)} were given.")
    return tuple(dict.fromkeys(ids))
