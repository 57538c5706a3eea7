"""What is derived from an event when a message is made of it: links to the page that shows runs, a default message."""

from collections.abc import Mapping
from typing import Any

from automations.events import EVENT_TYPES
from automations.messages import render


def complete_event(event: Mapping[str, Any], *, ui_url: str) -> dict[str, Any]:
    """An event as it is stored, with every attribute that its type has."""
    complete = {**event, "event_type": event["event_name"]}
    if "flow_run_id" in event:
        page = f"{ui_url.rstrip('/')}/{event['tenant_slug']}"
        complete["flow_run_link"] = f"{page}/flow-run/{event['flow_run_id']}"
        complete["flow_link"] = f"{page}/flow/{event['flow_group_id']}"
    complete["message"] = render(EVENT_TYPES[event["event_name"]].default_message, complete)
    return complete
