"""The action clients there are. A new one is a module here, its test, and one line below."""

from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson

from automations.actions.cancel_flow_run import CancelFlowRun
from automations.actions.contract import NO_BACKEND_URL, Action, Choices, InvalidConfig, Kind
from automations.actions.create_flow_run import CreateFlowRun
from automations.actions.email import EmailNotification
from automations.actions.pagerduty import PagerDutyNotification
from automations.actions.pause_schedule import PauseSchedule
from automations.actions.slack import SlackNotification
from automations.actions.teams import TeamsWebhookNotification
from automations.actions.twilio import TwilioNotification
from automations.actions.webhook import Webhook

CLIENTS: tuple[type[Action], ...] = (
    SlackNotification,
    TeamsWebhookNotification,
    EmailNotification,
    TwilioNotification,
    PagerDutyNotification,
    Webhook,
    CancelFlowRun,
    PauseSchedule,
    CreateFlowRun,
)

BY_KEY: dict[str, type[Action]] = {client.KEY: client for client in CLIENTS}
DEFAULTS = Choices()
BY_TYPE: dict[str, type[Action]] = {client.TYPE: client for client in CLIENTS}


def parse_config(key: str, config: dict[str, Any], choices: Choices = DEFAULTS) -> Action:
    """A config from its key and inner object; InvalidConfig where it cannot be used."""
    client = BY_KEY.get(key)
    if client is None:
        raise InvalidConfig(f"There is no action {key!r}; the actions are {', '.join(BY_KEY)}.")
    if client.ON_BACKEND and not choices.reaches_backend:
        raise InvalidConfig(f"{key} cannot be carried out: {NO_BACKEND_URL}")
    known = {item.name: item.metadata["kind"] for item in fields(client)}
    for name in config:
        if name not in known:
            raise InvalidConfig(f"{key} has no field {name!r}; its fields are {', '.join(known)}.")
    parsed = {name: _parsed(known[name], value) for name, value in config.items() if value is not None}
    try:
        return client(**client.canonical(parsed, choices))
    except TypeError:
        raise InvalidConfig(f"{key} lacks a field that it needs.") from None


def _parsed(kind: Kind, value: Any) -> Any:
    """A value as a config holds it. Existing clients send payloads and headers as JSON in a string."""
    if kind == "flow_group":
        return _uuid(value)
    if kind != "json_template" or not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _uuid(value: Any) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise InvalidConfig(f"{str(value)[:40]!r} is not the id of a flow group: give a UUID.") from None
