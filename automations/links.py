"""What is derived from an event when a message is made of it: links to the page that shows runs, a default message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from automations.events import EVENT_TYPES
from automations.messages import render


@dataclass(frozen=True)
class Links:
    """Where runs and flows are shown: templates with attributes of the event and `{ui_url}`."""

    ui_url: str = "http://localhost:8080"
    flow_run: str = "{ui_url}/{tenant_slug}/flow-run/{flow_run_id}"
    flow: str = "{ui_url}/{tenant_slug}/flow/{flow_group_id}"

    def complete(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """An event as it is stored, with every attribute that its type has."""
        complete = {**event, "event_type": event["event_name"]}
        if "flow_run_id" in event:
            values = {**event, "tenant_slug": quote(event["tenant_slug"], safe=""), "ui_url": self.ui_url.rstrip("/")}
            complete["flow_run_link"] = render(self.flow_run, values)
            complete["flow_link"] = render(self.flow, values)
        complete["message"] = render(EVENT_TYPES[event["event_name"]].default_message, complete)
        return complete
