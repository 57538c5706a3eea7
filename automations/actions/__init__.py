"""The action clients there are. A new one is a module here, its test, and one line below."""

from dataclasses import fields
from typing import Any

import orjson

from automations.actions.cancel_flow_run import CancelFlowRun
from automations.actions.contract import Action, InvalidConfig, Kind
from automations.actions.slack import SlackNotification
from automations.actions.webhook import Webhook

CLIENTS: tuple[type[Action], ...] = (
    SlackNotification,
    Webhook,
    CancelFlowRun,
)

BY_KEY: dict[str, type[Action]] = {client.KEY: client for client in CLIENTS}
BY_TYPE: dict[str, type[Action]] = {client.TYPE: client for client in CLIENTS}


def parse_config(key: str, config: dict[str, Any]) -> Action:
    """A config from its key and inner object; InvalidConfig where it cannot be used."""
    client = BY_KEY.get(key)
    if client is None:
        raise InvalidConfig(f"There is no action {key!r}; the actions are {', '.join(BY_KEY)}.")
    known = {item.name: item.metadata["kind"] for item in fields(client)}
    for name in config:
        if name not in known:
            raise InvalidConfig(f"{key} has no field {name!r}; its fields are {', '.join(known)}.")
    try:
        return client(**{name: _parsed(known[name], value) for name, value in config.items()})
    except TypeError:
        raise InvalidConfig(f"{key} lacks a field that it needs.") from None


def _parsed(kind: Kind, value: Any) -> Any:
    """Existing clients send payloads and headers as JSON in a string."""
    if kind != "json_template" or not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
