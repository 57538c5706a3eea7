"""What an action client is: a frozen config with one method, `run`.

A client returns `Sent` or raises one of two errors. It never loops, sleeps, logs or writes to the database: trying
again, recording and rate limits are stages around it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, Protocol, Self
from uuid import UUID

from automations.http import ANSWER_BYTES, Answer, Http, NotSent, OutcomeUnknown, Refused
from automations.mail import Mail

Kind = Literal["plain", "template", "json_template", "secret", "flow_group"]


NO_BACKEND_URL: Final = (
    "this server is attached to an existing backend's database, and that backend's API is not known. "
    "Set AUTOMATIONS_ORCHESTRATION_URL."
)


class InvalidConfig(ValueError):
    """A config that cannot be saved; the text names the field and says what to change."""


class Rejected(Exception):
    """Sending it again cannot help: FAILED, kept for people to see and send again.

    `pauses`: the receiver is gone for good, and nothing more is sent by this action until its config is changed.
    """

    def __init__(self, reason: str, answer: Answer | None = None, *, pauses: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.answer, self.pauses = reason, answer, pauses


class RetryLater(Exception):
    """It may work later. `after`: seconds the receiver asked to wait; `unknown`: it may have arrived all the same."""

    def __init__(
        self, reason: str, after: float | None = None, *, unknown: bool = False, answer: Answer | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.after, self.unknown, self.answer = reason, after, unknown, answer


@dataclass(frozen=True)
class Sent:
    """It arrived. `answer` is what the receiver said, where it spoke HTTP."""

    answer: Answer | None = None
    note: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What is to be sent. `event` holds every attribute, `message` (the default one) and the links included.

    `subject` is the same for all deliveries of one automation about one flow run, one agent config or one problem of
    the server. `target` is the one of the action's targets that this delivery is for. `may_have_arrived`: an earlier
    attempt had an unknown outcome.
    """

    id: UUID
    tenant_id: UUID
    number: int
    event: Mapping[str, Any]
    automation_name: str
    subject: str
    created: datetime
    target: str | None = None
    may_have_arrived: bool = False
    is_test: bool = False


@dataclass(frozen=True)
class Choices:
    """What the operator has chosen for all actions. `phone_country`: of numbers without one, ISO 3166-1 alpha-2.

    `reaches_backend`: whether actions can act on runs and flows. An existing backend does that by its API.
    """

    phone_country: str = "US"
    twilio_url: str = "https://api.twilio.com"
    pagerduty_url: str = "https://events.pagerduty.com"
    reaches_backend: bool = True


class Orchestration(Protocol):
    """What actions may do on the watched side. What they change remembers the delivery that caused it.

    Where an existing backend does it, by its API, contract errors say what came of that.
    """

    async def cancel_flow_run(self, tenant_id: UUID, flow_run_id: UUID, *, message: str, caused_by: UUID) -> str:
        """Cancel a run and return the state it is in now; NotFound where it is gone."""

    async def pause_schedule(self, tenant_id: UUID, flow_group_id: UUID, *, caused_by: UUID) -> None:
        """Switch the schedule of a flow group's newest version off; NotFound where there is none."""

    async def create_flow_run(
        self, tenant_id: UUID, flow_group_id: UUID, *, name: str | None, parameters: Any, caused_by: UUID
    ) -> UUID:
        """Schedule a run of a flow group's newest version and return its id; NotFound where there is none.

        The same delivery makes one run, however often it asks.
        """


class Tools:
    """What a client works with during one attempt, and what it leaves for the ledger.

    `request` is what was sent as people may see it: set before sending, so that it is kept whatever comes of it.
    """

    def __init__(
        self,
        *,
        http: Http,
        mail: Mail,
        orchestration: Orchestration,
        choices: Choices,
        secrets: Mapping[str, str],
        destination: str,
        traceparent: str | None = None,
    ) -> None:
        self.mail, self.orchestration, self.choices = mail, orchestration, choices
        self.request: Any = None
        self.traceparent = traceparent
        self._http, self._secrets, self._destination = http, secrets, destination

    def secret(self, name: str) -> str:
        """A secret's value; Rejected, naming it, where it does not exist or does not open."""
        try:
            return self._secrets[name]
        except KeyError:
            raise Rejected(f"The secret {name!r} does not exist. Set it, then send this again.") from None

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Answer:
        """POST through the guarded transport; what never left or may not have arrived becomes a contract error."""
        return await self._request("POST", url, content=content, headers=headers)

    async def get(self, url: str, *, headers: Mapping[str, str]) -> Answer:
        """GET, with up to 64 KB of the answer. Nothing is sent by it, so that no failure of it has sent anything."""
        try:
            return await self._request("GET", url, headers=headers, keep_bytes=ANSWER_BYTES)
        except RetryLater as error:
            raise RetryLater(error.reason) from error

    async def _request(self, method: str, url: str, **more: Any) -> Answer:
        return await request(self._http, method, url, destination=self._destination, **more)


async def request(http: Http, method: str, url: str, **more: Any) -> Answer:
    """What `Http.request` does; what never left or may not have arrived becomes a contract error."""
    try:
        return await http.request(method, url, **more)
    except Refused as error:
        raise Rejected(str(error)) from error
    except NotSent as error:
        raise RetryLater(str(error)) from error
    except OutcomeUnknown as error:
        raise RetryLater(str(error), unknown=True) from error


@dataclass(frozen=True)
class Action(ABC):
    """A client: a frozen dataclass whose fields are its config."""

    KEY: ClassVar[str]
    TYPE: ClassVar[str]
    ON_BACKEND: ClassVar[bool] = False
    """Whether it acts on runs or flows."""
    ORDERED: ClassVar[bool] = False
    """Whether deliveries about one subject go out one after the other, in the order in which they fired."""
    PER_SECOND: ClassVar[float | None] = None
    """How many attempts a second a destination is sent at most, over all processes; a setting may say otherwise."""
    BURST: ClassVar[int] = 1
    """How many at once where it was quiet before."""
    AT_ONCE: ClassVar[int | None] = None
    """How many a process sends to a destination at the same time; a setting may say otherwise."""

    @classmethod
    @abstractmethod
    def example(cls) -> Self:
        """A config that is complete, for documentation and the conformance tests."""

    @classmethod
    def canonical(cls, config: dict[str, Any], _choices: Choices) -> dict[str, Any]:
        """A config as it is stored, of one as people write it; InvalidConfig where that cannot be told."""
        return config

    @property
    def needs_flow_run(self) -> bool:
        """Whether it cannot do without the flow run of its event."""
        return False

    @property
    def hidden(self) -> Mapping[str, str]:
        """Values of the config that the ledger and the log do not show, by what they are called there."""
        return {}

    @property
    @abstractmethod
    def destination(self) -> str:
        """What this shares its limits with: never a secret, only its name."""

    @property
    def targets(self) -> Sequence[str | None]:
        """Who is told: each gets a delivery of its own, so that a repeat never reaches one already served."""
        return (None,)

    @abstractmethod
    async def run(self, delivery: Delivery, tools: Tools) -> Sent:
        """Send it, once."""


def require_target(action: Action, delivery: Delivery) -> str:
    """Who this delivery is for; Rejected where the action was changed since and no longer tells them."""
    if delivery.target is None or delivery.target not in action.targets:
        raise Rejected(f"The action was changed since: it does not tell {delivery.target or 'its former receiver'} now")
    return delivery.target


def plain(description: str, default: Any = MISSING) -> Any:
    """A field taken as it is written."""
    return field(default=default, metadata={"kind": "plain", "description": description})


def secret(description: str, default: Any = MISSING) -> Any:
    """A field that names a secret."""
    return field(default=default, metadata={"kind": "secret", "description": description})


def template(description: str, default: Any = None) -> Any:
    """A text with `{attributes}` of the event."""
    return field(default=default, metadata={"kind": "template", "description": description})


def json_template(description: str, default: Any = None) -> Any:
    """A JSON value with `{attributes}` of the event in its keys and strings."""
    return field(default=default, metadata={"kind": "json_template", "description": description})


def flow_group(description: str) -> Any:
    """A field that may hold the id of one of the tenant's flow groups; it is checked when it is saved."""
    return field(default=None, metadata={"kind": "flow_group", "description": description})


def values_of_kind(action: Action, kind: Kind) -> Iterator[tuple[str, Any]]:
    """The (field name, value) pairs of a config's fields of one kind that are set."""
    for item in fields(action):
        value = getattr(action, item.name)
        if item.metadata["kind"] == kind and value is not None:
            yield item.name, value


def secret_names(action: Action) -> list[str]:
    """Names of the secrets that a config refers to, each once."""
    return list(dict.fromkeys(value for _, value in values_of_kind(action, "secret")))


def require_text(action: Action, *names: str) -> None:
    """Raise InvalidConfig for a field that is empty or blank."""
    for name in names:
        value = getattr(action, name)
        if not isinstance(value, str) or not value.strip():
            raise InvalidConfig(f"{action.KEY}.{name} must not be empty.")
