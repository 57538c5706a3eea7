"""A client of the API for Python programs. It needs httpx and nothing of the server."""

from automations.client.asynchronous import AsyncAutomationsClient
from automations.client.errors import ApiError, AutomationsError, Unavailable
from automations.client.operations import AutomationChanges
from automations.client.rows import Action, Attempt, Automation, Delivery, Firing, Preview, Saved, Trial
from automations.client.synchronous import AutomationsClient

__all__ = [
    "Action",
    "ApiError",
    "AsyncAutomationsClient",
    "Attempt",
    "Automation",
    "AutomationChanges",
    "AutomationsClient",
    "AutomationsError",
    "Delivery",
    "Firing",
    "Preview",
    "Saved",
    "Trial",
    "Unavailable",
]
