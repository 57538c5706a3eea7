"""What was claimed: a row of the claim, made into what an action client needs, and how its attempt ended."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from automations.actions import BY_TYPE
from automations.actions.contract import Action, Delivery, Rejected
from automations.database import Record
from automations.events import EVENT_TYPES
from automations.messages import render
from automations.vault import SecretUnreadable, Vault


@dataclass(frozen=True)
class Claim:
    """A delivery under our lease. `number` is the attempt's number, which is also the proof of the lease."""

    tenant_id: UUID
    id: UUID
    number: int
    destination: str
    row: Record

    @property
    def queue(self) -> tuple[UUID, str]:
        """Destinations are a tenant's own: no tenant waits for another's."""
        return self.tenant_id, self.destination


@dataclass(frozen=True)
class Ended:
    """How an attempt ended; `due_at` is set for a RETRY."""

    claim: Claim
    started_at: datetime
    finished_at: datetime
    outcome: str
    due_at: datetime | None = None
    status_code: int | None = None
    reason: str | None = None
    request: str | None = None
    answer: str | None = None


def claim_of(row: Record) -> Claim:
    return Claim(row["tenant_id"], row["id"], row["number"], row["destination"], row)


def open_action(claim: Claim) -> Action:
    """The action as it is configured now: a config that was mended since is the one that is used."""
    client = BY_TYPE.get(claim.row["action_type"])
    if client is None:
        raise Rejected(f"This version has no action {claim.row['action_type']}")
    return client(**orjson.loads(claim.row["action_config"]))


def open_delivery(claim: Claim, *, ui_url: str) -> Delivery:
    """The event with what is derived from it: the links and the default message."""
    event: dict[str, Any] = orjson.loads(claim.row["event"])
    event["event_type"] = event["event_name"]
    if "flow_run_id" in event:
        page = f"{ui_url.rstrip('/')}/{event['tenant_slug']}"
        event["flow_run_link"] = f"{page}/flow-run/{event['flow_run_id']}"
        event["flow_link"] = f"{page}/flow/{event['flow_group_id']}"
    event["message"] = render(EVENT_TYPES[claim.row["event_type"]].default_message, event)
    return Delivery(
        id=claim.id,
        tenant_id=claim.tenant_id,
        number=claim.number,
        event=event,
        automation_name=claim.row["automation_name"] or "(none)",
        is_test=claim.row["is_test"],
    )


def open_secrets(claim: Claim, vault: Vault) -> dict[str, str]:
    """The values of the action's secrets that exist: a string as it is, anything else as JSON."""
    if claim.row["sealed_secrets"] is None:
        return {}
    opened = {}
    for name, sealed in orjson.loads(claim.row["sealed_secrets"]).items():
        try:
            value = orjson.loads(vault.open(claim.tenant_id, name, base64.b64decode(sealed)))
        except SecretUnreadable as error:
            raise Rejected(str(error)) from error
        opened[name] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return opened
