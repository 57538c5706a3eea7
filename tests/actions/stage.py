"""Where action clients are tested: events, the tools they are given, and the far sides that tests play."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

from automations.actions.contract import Action, Choices, Delivery, Orchestration, Rejected, RetryLater, Sent, Tools
from automations.errors import NotFound
from automations.events import FLOW_RUN_STATE_CHANGED, EventType, sample_event
from automations.http import Answer, Http, check_url
from automations.mail import Mail, Mailserver
from automations.messages import render

TLS = ssl.create_default_context()  # takes 20 ms to build: one for all
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Rerouted(Http):
    """Checks a URL as it is and then sends the request to a receiver of the test, whatever host was meant."""

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        super().__init__(allowed_networks=LOOPBACK, timeout_seconds=timeout_seconds, ssl_context=TLS)
        self._target = urlsplit(url)

    async def request(self, method: str, url: str, **more: Any) -> Answer:
        check_url(url)
        meant = urlsplit(url)
        return await super().request(
            method, urlunsplit((self._target.scheme, self._target.netloc, meant.path, meant.query, "")), **more
        )


@dataclass
class Cancelled:
    """What an orchestration was asked to cancel."""

    tenant_id: UUID
    flow_run_id: UUID
    message: str
    caused_by: UUID


@dataclass
class PlayedOrchestration:
    """Changes nothing and remembers everything."""

    is_gone: bool = False
    asked: list[Cancelled] = field(default_factory=list)
    paused: list[UUID] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)

    async def cancel_flow_run(self, tenant_id: UUID, flow_run_id: UUID, *, message: str, caused_by: UUID) -> str:
        if self.is_gone:
            raise NotFound(f"There is no flow run {flow_run_id}.")
        self.asked.append(Cancelled(tenant_id, flow_run_id, message, caused_by))
        return "Cancelling"

    async def pause_schedule(self, tenant_id: UUID, flow_group_id: UUID, *, caused_by: UUID) -> None:
        if self.is_gone:
            raise NotFound(f"There is no flow in the flow group {flow_group_id}.")
        self.paused.append(flow_group_id)

    async def create_flow_run(
        self, tenant_id: UUID, flow_group_id: UUID, *, name: str | None, parameters: Any, caused_by: UUID
    ) -> UUID:
        if self.is_gone:
            raise NotFound(f"There is no flow in the flow group {flow_group_id}.")
        self.made.append({"flow_group_id": flow_group_id, "name": name, "parameters": parameters})
        return caused_by


class PlayedMail(Mail):
    """Sends nothing and remembers everything."""

    def __init__(self) -> None:
        super().__init__(Mailserver(host="mail.example.com", sender="Automations <automations@example.com>"))
        self.sent: list[bytes] = []

    async def send(self, message: bytes, *, sender: str, recipient: str) -> str:
        self.sent.append(message)
        return "250 OK"


def delivery(
    event_type: EventType = FLOW_RUN_STATE_CHANGED,
    *,
    is_test: bool = False,
    automation_name: str = "Tell the data team",
    target: str | None = None,
    may_have_arrived: bool = False,
    **changes: Any,
) -> Delivery:
    """A delivery of a sample event with some attributes changed; its message is made of them."""
    event = sample_event(event_type) | changes
    event["message"] = render(event_type.default_message, event)
    return Delivery(
        id=uuid4(),
        tenant_id=uuid4(),
        number=1,
        event=event,
        automation_name=automation_name,
        subject="of a test",
        created=datetime.now(UTC),
        target=target,
        may_have_arrived=may_have_arrived,
        is_test=is_test,
    )


def tools(
    http: Http,
    secrets: Mapping[str, str] | None = None,
    orchestration: Orchestration | None = None,
    *,
    mail: Mail | None = None,
    choices: Choices | None = None,
) -> Tools:
    """What a client gets for one attempt."""
    return Tools(
        http=http,
        mail=mail or PlayedMail(),
        orchestration=orchestration or PlayedOrchestration(),
        choices=choices or Choices(),
        secrets=secrets or {},
        destination="of a test",
    )


async def outcome(action: Action, delivery: Delivery, tools: Tools) -> Sent | Rejected | RetryLater:
    """How one attempt of a client ended."""
    try:
        return await action.run(delivery, tools)
    except (Rejected, RetryLater) as error:
        return error
