"""Settings from the environment: each kind of value, and messages that name variables and never show values."""

from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from automations.settings import LOOPBACK, PREFIX, Settings, SettingsError, load_client_settings, load_settings

SECRET = "hunter2-and-more"


def load(**variables: str) -> Settings:
    """Settings from an environment with these variables, named without their prefix."""
    return load_settings({PREFIX + name.upper(): text for name, text in variables.items()})


def test_nothing_needs_to_be_set() -> None:
    assert load_settings({}) == Settings()
    assert (Settings().host, Settings().port, Settings().database_url) == ("127.0.0.1", 4200, None)
    assert not Settings().allow_unauthenticated
    assert Settings().data_dir.is_absolute()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("port", " 65535 ", 65535),
        ("poll_seconds", "0.5", 0.5),
        ("poll_seconds", "60", 60.0),
        ("allow_unauthenticated", "yes", True),
        ("allow_unauthenticated", "TRUE", True),
        ("allow_unauthenticated", "Off", False),
        ("allow_unauthenticated", "0", False),
        ("log_format", "JSON", "json"),
        ("auth", "On", "on"),
        ("log_level", "Debug", "debug"),
        ("ui_url", "https://ui.example", "https://ui.example"),
        ("flow_run_link", "{ui_url}/runs/{flow_run_id}", "{ui_url}/runs/{flow_run_id}"),
        ("flow_link", "https://ui.example/{flow_group_id}", "https://ui.example/{flow_group_id}"),
        ("data_dir", "/srv/automations", Path("/srv/automations")),
        ("allowed_hosts", "a.example, b.example,", ("a.example", "b.example")),
        ("allowed_private_networks", "10.1.0.0/16,fd00::/8", (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))),
        ("retry_seconds", "1, 2.5", (1.0, 2.5)),
        ("phone_country", "gb", "GB"),
        ("smtp_tls", "TLS", "tls"),
        ("smtp_from", "Automations <a@example.com>", "Automations <a@example.com>"),
        ("smtp_from", "a@example.com", "a@example.com"),
        (
            "destination_rates",
            "slack_notification=1/s, webhook = 3000/min,email_notification=none,",
            (("slack_notification", 1.0), ("webhook", 50.0), ("email_notification", None)),
        ),
        ("destination_rates", "webhook=6/h", (("webhook", 6 / 3600),)),
        ("destination_concurrencies", "webhook=2, email_notification = 1", (("webhook", 2), ("email_notification", 1))),
        ("database_url", f"postgresql://me:{SECRET}@db/x", f"postgresql://me:{SECRET}@db/x"),
    ],
)
def test_each_kind_of_value_is_read(name: str, text: str, value: Any) -> None:
    assert getattr(load(**{name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "meaning"),
    [
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "4200.5", "a whole number"),
        ("max_body_bytes", "1023", "a whole number from 1024 to"),
        ("poll_seconds", "0", "a number from 0.01 to 60"),
        ("poll_seconds", "nan", "a number from 0.01 to 60"),
        ("poll_seconds", "soon", "a number"),
        ("allow_unauthenticated", "perhaps", "yes or no"),
        ("auth", "yes", "one of auto, on, off"),
        ("log_format", "xml", "one of auto, human, json"),
        ("allowed_private_networks", "10.1.0.0/99", "networks such as 10.1.0.0/16"),
        ("retry_seconds", "5,0", "numbers of seconds above 0"),
        ("retry_seconds", "inf", "numbers of seconds above 0"),
        ("retry_seconds", "nan", "numbers of seconds above 0"),
        ("twilio_url", "ftp://api.twilio.com", "an address that begins with https://"),
        ("pagerduty_url", "events.eu.pagerduty.com", "an address that begins with https://"),
        ("phone_country", "USA", "a country's two letters"),
        ("phone_country", "UK", "a country's two letters"),
        ("smtp_from", "Automations", "an address such as"),
        ("smtp_from", "a@example.com, b@example.com", "an address such as"),
        ("smtp_from", "A\nBcc: b@example.com <a@example.com>", "an address such as"),
        ("smtp_tls", "ssl", "one of starttls, tls, none"),
        ("smtp_port", "0", "a whole number from 1"),
        ("destination_concurrencies", "webhook", "numbers from 1 of actions"),
        ("destination_concurrencies", "webhook=0", "numbers from 1 of actions"),
        *(
            ("destination_rates", text, "rates of actions such as slack_notification=1/s")
            for text in (
                "webhook",
                "=1/s",
                "webhook=1",
                "webhook=1/d",
                "webhook=fast/s",
                "webhook=0/s",
                "webhook=nan/s",
            )
        ),
    ],
)
def test_wrong_value_is_refused_with_what_it_must_be(name: str, text: str, meaning: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(**{name: text})
    assert str(refused.value).startswith(f"{PREFIX}{name.upper()}: must be {meaning}")


def test_all_problems_are_told_at_once_without_the_values() -> None:
    with pytest.raises(SettingsError) as refused:
        load(port=SECRET, log_level=SECRET, max_rows=SECRET)
    lines = str(refused.value).splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        PREFIX + name for name in ("LOG_LEVEL", "MAX_ROWS", "PORT")
    ]
    assert SECRET not in str(refused.value)


def test_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        SettingsError, match=r"AUTOMATIONS_PROT: there is no such setting; did you mean AUTOMATIONS_PORT\?"
    ):
        load(prot="1")
    with pytest.raises(SettingsError, match=r"AUTOMATIONS_XYZZY: there is no such setting$"):
        load(xyzzy="1")


def test_empty_variables_and_those_of_others_do_not_count() -> None:
    assert load_settings({"AUTOMATIONS_PORT": "  ", "PORT": "x", "PREFECT_PORT": "x"}) == Settings()


def test_variables_of_clients_and_of_servers_do_not_trouble_each_other() -> None:
    environment = {"AUTOMATIONS_URL": "https://a.example", "AUTOMATIONS_API_KEY": SECRET, "AUTOMATIONS_PORT": "x"}
    settings = load_client_settings(environment)
    assert (settings.url, settings.api_key) == ("https://a.example", SECRET)
    assert SECRET not in repr(settings)
    assert load_settings({**environment, "AUTOMATIONS_PORT": "1"}).port == 1
    with pytest.raises(SettingsError, match=r"did you mean AUTOMATIONS_URL\?"):
        load_client_settings({"AUTOMATIONS_ULR": "x"})
    with pytest.raises(SettingsError, match="AUTOMATIONS_URL: must be an address"):
        load_client_settings(environment, url="localhost:4200")


def test_option_comes_before_the_variable() -> None:
    assert load_settings({"AUTOMATIONS_PORT": "1"}, port="2").port == 2
    assert load_settings({"AUTOMATIONS_PORT": "1"}, port=None).port == 1


def test_secrets_are_not_shown() -> None:
    settings = load(database_url=f"postgresql://me:{SECRET}@db/x", secret_keys=SECRET, smtp_password=SECRET)
    assert SECRET not in repr(settings)
    assert settings.secret_keys == SECRET


def test_only_a_server_on_the_loopback_sends_there() -> None:
    settings = load(allowed_private_networks="10.0.0.0/8")
    assert settings.sendable_networks(loopback=False) == (ip_network("10.0.0.0/8"),)
    assert set(LOOPBACK) < set(settings.sendable_networks(loopback=True))


@pytest.mark.parametrize(
    ("auth", "on_the_loopback", "elsewhere"), [("auto", False, True), ("on", True, True), ("off", False, False)]
)
def test_keys_are_asked_for_where_others_reach_the_server(auth: str, on_the_loopback: bool, elsewhere: bool) -> None:
    settings = load(auth=auth)
    assert settings.asks_for_keys(loopback=True) is on_the_loopback
    assert settings.asks_for_keys(loopback=False) is elsewhere


def test_every_default_is_a_value_that_could_be_set() -> None:
    for item in fields(Settings):
        default = getattr(Settings(), item.name)
        if default is not None:
            text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert item.metadata["kind"].read(text) == default, item.name
