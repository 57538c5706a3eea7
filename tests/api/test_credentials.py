"""Credentials inside the configs of actions: editors see them, viewers neither see them nor find them out."""

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from automations.actions import CLIENTS
from automations.actions.contract import Action
from automations.actions.pagerduty import PagerDutyNotification
from automations.actions.webhook import Webhook
from tests.harness import Automations

URL = "https://hooks.example.com:8443/services/T0/path-in-url?token=query-in-url"
HEADERS = {"Authorization": "Bearer token-in-header", "X-Team": "data"}
KEY = "R0123456789ABCDEF0123456789ABCDE"
CREDENTIALS = (KEY, "path-in-url", "query-in-url", "token-in-header")

EVERYWHERE = """{
    action { action_config }
    action_aggregate { nodes { action_config } }
    automation { actions { action_config } deliveries { action { action_config } } }
    hook { action { action_config } }
}"""


@pytest.fixture
async def viewer(guarded: Automations) -> Automations:
    """A viewer of the tenant of `guarded`, which has actions with credentials, saved and inside automations."""
    made = await guarded.write("create_api_key", "key", name="viewer", role="viewer")
    webhook: dict[str, Any] = {"webhook": {"url": URL, "headers": HEADERS}}
    pager: dict[str, Any] = {"pagerduty_notification": {"routing_key": KEY, "severity": "error"}}
    for number, config in enumerate((webhook, pager)):
        await guarded.write("create_action", name=f"action {number}", config=config)
        await guarded.automation(config)
    return guarded.with_key(made["key"])


async def test_viewer_sees_where_and_not_with_what(viewer: Automations, guarded: Automations) -> None:
    shown = await viewer.execute(EVERYWHERE)
    assert not [credential for credential in CREDENTIALS if credential in orjson.dumps(shown).decode()]
    assert {"action_config": {"routing_key": "(hidden)", "severity": "error"}} in shown["action"]
    hidden = {"url": "https://hooks.example.com:8443/(hidden)", "headers": dict.fromkeys(HEADERS, "(hidden)")}
    assert {"action_config": hidden} in shown["action"]
    to_editors = orjson.dumps(await guarded.execute(EVERYWHERE)).decode()
    assert all(credential in to_editors for credential in CREDENTIALS)


FOUND = f'{{action_config: {{_contains: {{routing_key: "{KEY}"}}}}}}'


@pytest.mark.parametrize(
    "read",
    [
        f"action(where: {FOUND}) {{ id }}",
        f"automation(where: {{actions: {FOUND}}}) {{ id }}",
        f"hook(where: {{action: {FOUND}}}) {{ id }}",
        f"action_aggregate(where: {FOUND}) {{ nodes {{ id }} }}",
    ],
)
async def test_viewer_cannot_find_out_a_credential_by_filtering(
    viewer: Automations, guarded: Automations, read: str
) -> None:
    [asked_by_editor] = (await guarded.execute(f"{{ {read} }}")).values()
    [asked_by_viewer] = (await viewer.execute(f"{{ {read} }}")).values()
    assert rows(asked_by_editor)
    assert not rows(asked_by_viewer)


async def test_what_viewers_see_is_all_that_the_ledger_shows(viewer: Automations, guarded: Automations) -> None:
    config = {"webhook": {"url": "https://127.0.0.1:9999/in", "headers": HEADERS}}
    await guarded.write("test_action", "success", config=config)
    [row] = (await viewer.execute("{ attempt { request reason answer } }"))["attempt"]
    assert row["request"]["headers"]["authorization"] == "(hidden)"
    assert "token-in-header" not in orjson.dumps(row).decode()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.KEY)
async def test_action_without_a_credential_is_seen_whole(guarded: Automations, client: type[Action]) -> None:
    values = {name: value for name, value in asdict(client.example()).items() if value is not None}
    await guarded.write("create_action", config={client.KEY: values})
    made = await guarded.write("create_api_key", "key", name="viewer", role="viewer")
    read = "{ action { action_config } }"
    [to_viewer] = (await guarded.with_key(made["key"]).execute(read))["action"]
    [to_editor] = (await guarded.execute(read))["action"]
    assert (to_viewer == to_editor) == (client not in {Webhook, PagerDutyNotification})
    assert not [value for value in client.example().hidden.values() if value in orjson.dumps(to_viewer).decode()]


def rows(found: Any) -> Any:
    """The rows of a list, or of an aggregate."""
    return found["nodes"] if isinstance(found, dict) else found
