"""The environment, read once at the start. A wrong value stops the start with a message that names the variable."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from email.utils import getaddresses
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from phonenumbers import SUPPORTED_REGIONS
from platformdirs import user_data_path

PREFIX = "AUTOMATIONS_"
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
ANYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

ROLES = ("api", "engine", "delivery")
"""What a server may do."""

LINK_FIELDS = ("ui_url", "tenant_slug", "tenant_id", "flow_id", "flow_group_id", "flow_run_id")
"""What the settings of links may name."""


class SettingsError(ValueError):
    """Settings that cannot be used; the text names each variable, and never shows a value."""


@dataclass(frozen=True)
class _Kind:
    """How a variable's text is read; `read` raises ValueError, and `meaning` says what it takes."""

    read: Callable[[str], Any]
    meaning: str


def _number(cast: type[int] | type[float], least: float, most: float) -> _Kind:
    def read(text: str) -> float:
        value = cast(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return _Kind(read, f"a {'whole ' if cast is int else ''}number from {least:g} to {most:,g}".replace(",", ""))


def _choice(*words: str) -> _Kind:
    return _Kind(lambda text: words[words.index(text.lower())], f"one of {', '.join(words)}")


def _split(read: Callable[[str], Any], meaning: str) -> _Kind:
    return _Kind(lambda text: tuple(read(part.strip()) for part in text.split(",") if part.strip()), meaning)


def _roles(text: str) -> tuple[str, ...]:
    named = {word.strip().lower() for word in text.split(",") if word.strip()}
    if not named or not named <= set(ROLES):
        raise ValueError
    return tuple(role for role in ROLES if role in named)


def _waiting(text: str) -> float:
    if not 0 < (value := float(text)) <= 86_400 * 7:
        raise ValueError
    return value


def _country(text: str) -> str:
    if (code := text.upper()) not in SUPPORTED_REGIONS:
        raise ValueError
    return code


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError
    return text


def _origin(text: str) -> str:
    parts = urlsplit(_web_address(text))
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}".lower()


def _link(text: str) -> str:
    if not text.startswith(("http://", "https://", "{ui_url}")):
        raise ValueError
    text.format_map(dict.fromkeys(LINK_FIELDS, ""))  # ValueError or KeyError where it cannot be filled in
    if not set(re.findall(r"[{]([^}]*)[}]", text)) <= set(LINK_FIELDS):
        raise ValueError
    return text


def _mailbox(text: str) -> str:
    [(_, address)] = getaddresses([text])  # ValueError where there are several
    if "@" not in address or not text.isprintable():
        raise ValueError
    return text


def _concurrency(text: str) -> tuple[str, int]:
    """`webhook=2` as ("webhook", 2)."""
    action, _, count = (part.strip() for part in text.partition("="))
    if not action or not 1 <= int(count) <= 200:
        raise ValueError
    return action, int(count)


_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600}


def _rate(text: str) -> tuple[str, float | None]:
    """`slack_notification=1/s` as ("slack_notification", 1.0); `none` is no limit."""
    action, _, rate = (part.strip() for part in text.partition("="))
    if rate == "none":
        return action, None
    count, _, unit = rate.partition("/")
    per_second = float(count) / _UNIT_SECONDS[unit.strip()]
    if not action or not 1 / 3600 <= per_second <= 100_000:
        raise ValueError
    return action, per_second


_TEXT = _Kind(str, "a text")
_DAYS = _number(float, 0, 36_500)
_LINK = _Kind(_link, f"a URL in which {', '.join(f'{{{name}}}' for name in LINK_FIELDS)} may stand")
_SWITCH = _Kind(
    lambda text: {
        "yes": True,
        "true": True,
        "1": True,
        "on": True,
        "no": False,
        "false": False,
        "0": False,
        "off": False,
    }[text.lower()],
    "yes or no",
)


def _setting(default: Any, kind: _Kind, description: str, *, secret: bool = False) -> Any:
    metadata = {"kind": kind, "description": description}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, its unit and its default. Durations are seconds."""

    data_dir: Path = _setting(
        lambda: user_data_path("automations"),
        _Kind(lambda text: Path(text).expanduser().absolute(), "a folder"),
        "Folder of the embedded PostgreSQL and of the key that seals secrets.",
    )
    database_url: str | None = _setting(
        None, _TEXT, "An ordinary PostgreSQL (15 or newer) to use in place of the embedded one.", secret=True
    )
    read_database_url: str | None = _setting(
        None,
        _TEXT,
        "The same database at a standby, which may be behind: queries and /metrics read there.",
        secret=True,
    )
    pooled_database_url: str | None = _setting(
        None,
        _TEXT,
        "The same database by way of a PgBouncer, which may pool by transaction: API requests go there, nothing else.",
        secret=True,
    )
    orchestration_url: str | None = _setting(
        None,
        _Kind(_web_address, "an address that begins with https:// or http://"),
        "GraphQL API of the existing backend whose database this is: actions on runs go there; it may be private.",
    )
    orchestration_api_key: str | None = _setting(None, _TEXT, "The key that it is shown.", secret=True)
    database_pool_size: int = _setting(
        10, _number(int, 1, 500), "Connections for the reads of API requests, at most; as many for writes."
    )
    secret_keys: str | None = _setting(
        None,
        _TEXT,
        "Base64 keys of 32 bytes, comma-separated; the first seals secrets, all open them.",
        secret=True,
    )
    host: str = _setting("127.0.0.1", _TEXT, "Address to listen on.")
    port: int = _setting(4200, _number(int, 0, 65535), "Port to listen on; 0 takes a free one.")
    workers: int = _setting(
        1, _number(int, 1, 64), "Processes that share the port and the work; one that dies is started again."
    )
    roles: tuple[str, ...] = _setting(
        ROLES,
        _Kind(_roles, f"one or more of {', '.join(ROLES)}"),
        "What the server does, comma-separated: api answers requests, engine decides what fires, delivery sends it.",
    )
    auth: str = _setting(
        "auto",
        _choice("auto", "on", "off"),
        "on: each request shows an API key; off: everybody may do everything; auto: off on the loopback, on elsewhere.",
    )
    allow_unauthenticated: bool = _setting(
        False, _SWITCH, "The second word needed to listen beyond the loopback with AUTOMATIONS_AUTH=off."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), _split(str, "names"), "Further names, comma-separated, that a request's Host header may carry."
    )
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        _split(ip_network, "networks such as 10.1.0.0/16, separated by commas"),
        "Private networks (CIDR, comma-separated) that actions may send to.",
    )
    ui_url: str = _setting(
        "http://localhost:8080", _TEXT, "Address of the page that shows flows and runs, for links in messages."
    )
    flow_run_link: str = _setting(
        "{ui_url}/{tenant_slug}/flow-run/{flow_run_id}", _LINK, "Where that page shows a flow run."
    )
    flow_link: str = _setting("{ui_url}/{tenant_slug}/flow/{flow_group_id}", _LINK, "Where that page shows a flow.")
    phone_country: str = _setting(
        "US",
        _Kind(_country, "a country's two letters, such as US or GB"),
        "Country of phone numbers that are written without one (ISO 3166).",
    )
    twilio_url: str = _setting(
        "https://api.twilio.com",
        _Kind(_web_address, "an address that begins with https:// or http://"),
        "Twilio's API; https://api.dublin.ie1.twilio.com in its Irish region.",
    )
    pagerduty_url: str = _setting(
        "https://events.pagerduty.com",
        _Kind(_web_address, "an address that begins with https:// or http://"),
        "PagerDuty's Events API; https://events.eu.pagerduty.com in its European region.",
    )
    smtp_host: str | None = _setting(None, _TEXT, "Mail server that e-mail is handed to; it may be a private address.")
    smtp_port: int = _setting(587, _number(int, 1, 65535), "Its port; 465 is usual where AUTOMATIONS_SMTP_TLS is tls.")
    smtp_username: str | None = _setting(None, _TEXT, "User to log in as; nobody logs in by default.")
    smtp_password: str | None = _setting(None, _TEXT, "That user's password.", secret=True)
    smtp_from: str | None = _setting(
        None,
        _Kind(_mailbox, "an address such as Automations <automations@example.com>"),
        "Sender of e-mail: an address, or a name with the address in angle brackets.",
    )
    smtp_tls: str = _setting(
        "starttls",
        _choice("starttls", "tls", "none"),
        "starttls: encrypted from the second command on; tls: from the first byte on; none: readable on the way.",
    )
    max_rows: int = _setting(1000, _number(int, 1, 100_000), "Most rows that one list in a query returns.")
    max_body_bytes: int = _setting(5_000_000, _number(int, 1024, 10**9), "Largest request body that is read.")
    max_batch_operations: int = _setting(25, _number(int, 1, 1000), "Most operations of one batch.")
    max_document_characters: int = _setting(200_000, _number(int, 100, 10**7), "Longest GraphQL document that is read.")
    max_document_tokens: int = _setting(20_000, _number(int, 100, 10**6), "Most words and signs of a document.")
    max_query_depth: int = _setting(32, _number(int, 1, 100), "How many fields of an operation may be nested.")
    max_root_fields: int = _setting(500, _number(int, 1, 10_000), "Most root fields of an operation.")
    max_aliases: int = _setting(1000, _number(int, 0, 10_000), "Most aliases of an operation.")
    max_directives: int = _setting(200, _number(int, 0, 10_000), "Most directives of an operation.")
    max_cost: int = _setting(
        20_000_000,
        _number(int, 100, 10**12),
        "Most values that an operation may ask for: rows times fields, as its limits allow; nested lists multiply.",
    )
    introspection: bool = _setting(
        True, _SWITCH, "Whether clients may ask for the schema, and whether there is a playground."
    )
    requests_per_second: float = _setting(
        0.0, _number(float, 0, 10**6), "Operations a caller may send to one process, on average; 0 leaves it open."
    )
    wrong_keys_per_second: float = _setting(
        5.0, _number(float, 0, 10**6), "Wrong API keys that an address may send, on average; 0 leaves it open."
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        _split(_origin, "origins such as https://ui.example.com, separated by commas"),
        "Web pages elsewhere, comma-separated, that may open WebSockets and send GET requests.",
    )
    max_sockets: int = _setting(5000, _number(int, 1, 100_000), "WebSockets and event streams open at once.")
    max_subscriptions: int = _setting(100, _number(int, 1, 10_000), "Subscriptions at once over one WebSocket.")
    delivery_concurrency: int = _setting(400, _number(int, 1, 5000), "Deliveries sent at once by one process.")
    destination_concurrency: int = _setting(
        10,
        _number(int, 1, 200),
        "Deliveries sent at once to one destination, by all processes together; of a process's free places it gets "
        "a quarter at most.",
    )
    destination_concurrencies: tuple[tuple[str, int], ...] = _setting(
        (),
        _split(_concurrency, "numbers from 1 of actions such as webhook=2, email_notification=1"),
        "How many deliveries of a kind are sent at once to one destination, where fewer; e-mail 4 by default.",
    )
    destination_rates: tuple[tuple[str, float | None], ...] = _setting(
        (),
        _split(_rate, "rates of actions such as slack_notification=1/s, webhook=3000/min, email_notification=none"),
        "Attempts that a destination is sent at most, by action and over all processes, such as "
        "slack_notification=1/s, webhook=3000/min; none is no limit. Slack has 1/s by default.",
    )
    circuit_failures: int = _setting(
        5,
        _number(int, 1, 10_000),
        "Transient failures in a row after which a destination rests: 30 s, then twice as long each time, to 10 min.",
    )
    send_timeout_seconds: float = _setting(30.0, _number(float, 0.1, 300), "Longest that one attempt may take.")
    lease_seconds: float = _setting(
        15.0,
        _number(float, 1, 600),
        "After how long without a sign of life another process takes a delivery over.",
    )
    retry_seconds: tuple[float, ...] = _setting(
        (5, 30, 120, 600, 1800, 7200, 21600),
        _split(_waiting, "numbers of seconds above 0, separated by commas"),
        "Waits between the attempts of a delivery, comma-separated.",
    )
    poll_seconds: float = _setting(
        0.25, _number(float, 0.01, 60), "How often the loops look for work that nobody woke them for."
    )
    heartbeat_seconds: float = _setting(
        120.0,
        _number(float, 0, 86_400),
        "After how long without a heartbeat a running flow run is ended: its process has died; 0 never ends one.",
    )
    ping_url: str | None = _setting(
        None,
        _Kind(_web_address, "an address that begins with https:// or http://"),
        "Gets a GET every minute while evaluation and delivery keep up: a dead man's switch, such as Healthchecks.",
        secret=True,
    )
    keep_ledger_days: float = _setting(
        90.0, _DAYS, "How long firings, deliveries and attempts are kept once nothing of them is owed; 0: for ever."
    )
    keep_audit_days: float = _setting(0.0, _DAYS, "How long audit events are kept; 0: for ever.")
    keep_idempotency_key_days: float = _setting(
        30.0, _DAYS, "How long a repeated create is known by its idempotency key, where the row has none; 0: for ever."
    )
    keep_flow_run_days: float = _setting(
        0.0, _DAYS, "How long flow runs are kept once they ended, with their states, task runs and logs; 0: for ever."
    )
    shutdown_seconds: float = _setting(20.0, _number(float, 0, 300), "How long a stop waits for sends under way.")
    max_depth: int = _setting(8, _number(int, 1, 100), "How many automations may set one another off in a chain.")
    log_format: str = _setting("auto", _choice("auto", "human", "json"), "auto: human on a terminal, else JSON.")
    log_level: str = _setting("info", _choice("debug", "info", "warning", "error"), "Least severe line that is logged.")

    def sendable_networks(self, *, loopback: bool) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that actions may send to beyond the public ones.

        A server that listens on the loopback only is somebody's own machine: sending to it is for trying things out.
        """
        return (*self.allowed_private_networks, *(LOOPBACK if loopback else ()))

    def asks_for_keys(self, *, loopback: bool) -> bool:
        """Whether requests have to show an API key."""
        return self.auth == "on" or (self.auth == "auto" and not loopback)


@dataclass(frozen=True, kw_only=True)
class ClientSettings:
    """Where the commands that are clients of a server find it. A server passes these over, as they do its own."""

    url: str = _setting(
        "http://127.0.0.1:4200",
        _Kind(_web_address, "an address that begins with https:// or http://"),
        "The server that apply, diff and export speak to.",
    )
    api_key: str | None = _setting(None, _TEXT, "The key that they show it.", secret=True)
    tenant_id: str | None = _setting(None, _TEXT, "The tenant that they speak of, where the key may use several.")


Chosen = TypeVar("Chosen", Settings, ClientSettings)


def load_settings(environment: Mapping[str, str] = os.environ, /, **given: str | None) -> Settings:
    """Settings from the environment; what is given by name (a command-line option) comes first."""
    return _load(Settings, environment, given)


def load_client_settings(environment: Mapping[str, str] = os.environ, /, **given: str | None) -> ClientSettings:
    """Settings of a client from the environment; what is given by name (a command-line option) comes first."""
    return _load(ClientSettings, environment, given)


def _load(settings: type[Chosen], environment: Mapping[str, str], given: Mapping[str, str | None]) -> Chosen:
    known = {item.name: item.metadata["kind"] for item in fields(settings)}
    every = {item.name for class_ in (Settings, ClientSettings) for item in fields(class_)}
    texts = {
        name.removeprefix(PREFIX).lower(): text.strip()
        for name, text in environment.items()
        if name.startswith(PREFIX) and text.strip()
    } | {name: text for name, text in given.items() if text is not None}
    values, problems = {}, []
    for name, text in texts.items():
        if name not in every:
            near = get_close_matches(name, every, n=1)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
            problems.append(f"{PREFIX}{name.upper()}: there is no such setting{hint}")
            continue
        if name not in known:
            continue
        try:
            values[name] = known[name].read(text)
        except (ValueError, KeyError):
            problems.append(f"{PREFIX}{name.upper()}: must be {known[name].meaning}")
    if problems:
        raise SettingsError("\n".join(problems))
    return settings(**values)
