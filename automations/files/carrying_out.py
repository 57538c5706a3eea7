"""Makes the changes of a plan, each by one mutation: all of it or nothing of it."""

import re
from collections.abc import Callable, Iterator
from typing import cast

from automations.client import AutomationChanges, AutomationsClient
from automations.files.document import ActionEntry, AutomationEntry
from automations.files.plan import Change, Plan
from automations.files.references import References
from automations.files.steps import Config


def carry_out(plan: Plan, client: AutomationsClient, actions: References) -> Iterator[Change]:
    """Make the changes, and yield each when it is made. `actions` are the saved ones that were there before."""
    made: dict[str, str] = {}
    for change in plan.changes:
        match change.entry:
            case ActionEntry():
                made[change.name] = _write_action(change, change.entry, client)
            case AutomationEntry():
                _write_automation(change, change.entry, client, lambda name: made.get(name) or actions.id_of(name))
            case None if change.id is not None:
                delete = client.delete_action if change.noun == "action" else client.delete_automation
                delete(change.id)
        yield change


def _write_action(change: Change, entry: ActionEntry, client: AutomationsClient) -> str:
    config = entry.config.for_api
    if change.id is None:
        return client.create_action(config, name=entry.name).id
    return client.update_action(change.id, config=config).id


def _write_automation(
    change: Change, entry: AutomationEntry, client: AutomationsClient, id_of: Callable[[str], str]
) -> None:
    actions = [step.for_api if isinstance(step, Config) else {"action_id": id_of(step.name)} for step in entry.steps]
    event = entry.event.for_api
    if change.id is None:
        client.create_automation(
            entry.name, event=event, actions=actions, description=entry.description, enabled=entry.enabled
        )
        return
    wanted: AutomationChanges = {
        "description": entry.description,
        "enabled": entry.enabled,
        "event": event,
        "actions": actions,
    }
    client.update_automation(change.id, **_only(change, wanted))


def _only(change: Change, wanted: AutomationChanges) -> AutomationChanges:
    """What differs: an event that stays the same is not written again, nor are actions."""
    words = {"description": "description", "enabled": "enabled", "when": "event", "then": "actions"}
    differing = {words[re.split(r"[.[]", difference.path)[0]] for difference in change.differences}
    return cast("AutomationChanges", {key: value for key, value in wanted.items() if key in differing})
