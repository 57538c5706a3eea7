"""Links in messages: to wherever the operator's page shows runs and flows."""

from typing import Any

import pytest

from automations.events import AGENT_SLA_FAILED, FLOW_RUN_STATE_CHANGED, sample_event
from automations.links import Links
from automations.settings import Settings, SettingsError, load_settings

STORED = {
    name: value
    for name, value in sample_event(FLOW_RUN_STATE_CHANGED).items()
    if name not in {"event_type", "flow_run_link", "flow_link", "message"}
}


def complete(**changes: Any) -> dict[str, Any]:
    return Links("https://ui.example/").complete(STORED | changes)


def test_event_gets_links_and_its_default_message() -> None:
    event = complete()
    assert event["flow_run_link"] == f"https://ui.example/acme/flow-run/{STORED['flow_run_id']}"
    assert event["flow_link"] == f"https://ui.example/acme/flow/{STORED['flow_group_id']}"
    assert event["message"].endswith(f"See {event['flow_run_link']} for more details.")
    assert set(event) == set(FLOW_RUN_STATE_CHANGED.attributes)


def test_slug_cannot_leave_its_place_in_the_link() -> None:
    assert "/a%2F..%3Fb/flow-run/" in complete(tenant_slug="a/..?b")["flow_run_link"]


def test_event_without_a_run_has_no_links() -> None:
    stored = {name: value for name, value in sample_event(AGENT_SLA_FAILED).items() if name != "message"}
    assert "flow_run_link" not in Links().complete(stored)


def test_settings_and_links_agree_on_the_defaults() -> None:
    settings = Settings()
    assert Links() == Links(settings.ui_url, settings.flow_run_link, settings.flow_link)


@pytest.mark.parametrize(
    "template",
    ["/runs/{flow_run_id}", "{ui_url}/{state_message}", "{ui_url}/{flow_run_id", "{ui_url}/{}", "javascript:{flow_id}"],
)
def test_template_that_makes_no_link_stops_the_start(template: str) -> None:
    with pytest.raises(SettingsError, match="AUTOMATIONS_FLOW_RUN_LINK: must be a URL in which"):
        load_settings({"AUTOMATIONS_FLOW_RUN_LINK": template})
