"""The environment, read once at the start. A wrong value stops the start with a message that names the variable."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "AUTOMATIONS_"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and never shows its value."""


class Settings(BaseSettings):
    """Every setting, its unit and its default. Durations are seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("automations"),
        description="Folder of the embedded PostgreSQL and of the key that seals secrets.",
    )
    database_url: SecretStr | None = Field(
        None, description="An ordinary PostgreSQL (15 or newer) to use in place of the embedded one."
    )
    database_pool_size: int = Field(10, ge=1, le=500, description="Connections for API requests, at most.")
    secret_keys: SecretStr | None = Field(
        None, description="Base64 keys of 32 bytes, comma-separated; the first seals secrets, all open them."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(4200, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_unauthenticated: bool = Field(
        False, description="The second word needed to listen beyond the loopback while there is no authentication."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further names, comma-separated, that a request's Host header may carry."
    )
    allowed_private_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Private networks (CIDR, comma-separated) that actions may send to."
    )
    ui_url: str = Field(
        "http://localhost:8080", description="Address of the page that shows flows and runs, for links in messages."
    )
    max_rows: int = Field(1000, ge=1, le=100_000, description="Most rows that one list in a query returns.")
    max_body_bytes: int = Field(5_000_000, ge=1024, description="Largest request body that is read.")
    delivery_concurrency: int = Field(100, ge=1, le=2000, description="Deliveries sent at once by one process.")
    destination_concurrency: int = Field(10, ge=1, le=200, description="Deliveries sent at once to one destination.")
    send_timeout_seconds: float = Field(30, gt=0, le=300, description="Longest that one attempt may take.")
    lease_seconds: float = Field(
        15, ge=1, le=600, description="After how long without a sign of life another process takes a delivery over."
    )
    retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (5, 30, 120, 600, 1800, 7200, 21600), description="Waits between the attempts of a delivery, comma-separated."
    )
    poll_seconds: float = Field(0.25, gt=0, le=60, description="How often the loops look for work nobody woke them for.")
    shutdown_seconds: float = Field(20, ge=0, le=300, description="How long a stop waits for sends under way.")
    max_depth: int = Field(8, ge=1, le=100, description="How many automations may set one another off in a chain.")
    log_format: Literal["auto", "human", "json"] = Field("auto", description="auto: human on a terminal, else JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")

    def allowed_networks(self, loopback: bool) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that actions may send to beyond the public ones.

        A server that listens on the loopback only is somebody's own machine: sending to it is for trying things out.
        """
        own = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")) if loopback else ()
        return (*self.allowed_private_networks, *own)

    @field_validator("allowed_hosts", "allowed_private_networks", "retry_seconds", mode="before")
    @classmethod
    def split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("retry_seconds")
    @classmethod
    def check_waits(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(wait <= 0 for wait in value):
            raise ValueError("every wait must be more than 0 seconds")
        return value


def load_settings(**given: Any) -> Settings:
    """Settings from the environment; what is given by name (a command-line option) comes first."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        lines = [
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None
