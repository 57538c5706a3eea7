"""What was claimed: a row of the claim, made into what an action client needs, and how its attempt ended."""

import base64
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

import orjson

from automations.actions import BY_TYPE
from automations.actions.contract import Action, Delivery, Rejected
from automations.database import Record
from automations.links import Links
from automations.vault import SecretUnreadable, Vault

Health = Literal["WORKS", "FAILS"]

CACHED_ACTIONS = 1024
CACHED_CHARACTERS = 4096  # a longer config is read each time: nobody can fill the memory with long ones


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
    """How an attempt ended; `due_at` is set for a RETRY, `is_unknown` where it may have arrived all the same.

    `health` is what it says about the destination, `held_until` until when that asked to wait, and `pauses` that it is
    gone for good.
    """

    claim: Claim
    started_at: datetime
    finished_at: datetime
    outcome: str
    due_at: datetime | None = None
    status_code: int | None = None
    reason: str | None = None
    request: str | None = None
    answer: str | None = None
    is_unknown: bool = False
    health: Health | None = None
    held_until: datetime | None = None
    pauses: bool = False

    @property
    def is_doubtful(self) -> bool:
        """Whether nothing more may be sent to the destination once this is recorded."""
        return self.health == "FAILS" or self.held_until is not None or self.pauses


def claim_of(row: Record) -> Claim:
    return Claim(row["tenant_id"], row["id"], row["number"], row["destination"], row)


def open_action(claim: Claim) -> Action:
    """The action as it is configured now: a config that was mended since is the one that is used."""
    action_type, config = claim.row["action_type"], claim.row["action_config"]
    read = _read_cached if len(config) <= CACHED_CHARACTERS else _read
    return read(action_type, config)


def _read(action_type: str, config: str) -> Action:
    client = BY_TYPE.get(action_type)
    if client is None:
        raise Rejected(f"This version has no action {action_type}")
    return client(**orjson.loads(config))


_read_cached = lru_cache(maxsize=CACHED_ACTIONS)(_read)


def open_delivery(claim: Claim, links: Links) -> Delivery:
    """The event with what is derived from it: the links and the default message."""
    event = links.complete(orjson.loads(claim.row["event"]))
    return Delivery(
        id=claim.id,
        tenant_id=claim.tenant_id,
        number=claim.number,
        event=event,
        automation_name=claim.row["automation_name"] or "(none)",
        subject=claim.row["subject"],
        created=claim.row["created"],
        target=claim.row["target"],
        may_have_arrived=claim.row["may_have_arrived"],
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
