"""Pictures of the page for docs/page.md: `make pictures` takes them anew."""

import os
from pathlib import Path

import pytest

from tests.harness import Automations
from tests.page.visitor import Visitor
from tests.receivers import Receiver, in_turn, reply

FOLDER = os.environ.get("TESTS_PICTURES")

pytestmark = pytest.mark.skipif(FOLDER is None, reason="TESTS_PICTURES names no folder for the pictures")


async def test_pictures_of_the_main_views(visitor: Visitor, server: Automations) -> None:
    failing = reply(500, b"try again later")
    async with Receiver(reply(200, b"ok")) as slack, Receiver(in_turn(*[failing] * 9)) as dashboard:
        await _live(server, slack.url, dashboard.url)
        await _take(visitor, "first-visit", None)
        automations = await _set_up(server, slack.url, dashboard.url)
        for name, state in [("amber-otter", "Failed"), ("brave-heron", "TimedOut"), ("calm-badger", "Failed")]:
            flow = (await server.execute('{ flow(where: {name: {_eq: "etl"}}) { id } }'))["flow"][0]["id"]
            run = await server.run(flow, flow_run_name=name)
            await server.set_state(run, "Running")
            await server.set_state(run, state, "disk full")
        await server.settled(6)
        await visitor.go("#/")
        await _take(visitor, "automations", "delivering")
        await visitor.page.emulate_media(color_scheme="dark")
        await visitor.go(f"#/automations/{automations[0]}")
        await visitor.page.reload()
        await visitor.press("What to watch", exact=False)
        await visitor.page.get_by_label("Search flows by name").fill("e")
        await _take(visitor, "builder", "As it will be sent")
        await visitor.page.emulate_media(color_scheme="light")
        await visitor.go("#/activity")
        await visitor.page.reload()
        await _take(visitor, "activity", "Delivered")
        await visitor.page.get_by_role("link", name="Retrying").first.click()
        await visitor.page.get_by_text("What came back").first.click()
        await _take(visitor, "delivery", "try again later")
        await visitor.go("#/runs")
        await _take(visitor, "runs", "calm-badger")
        await visitor.go("#/actions")
        await _take(visitor, "actions", "Used by")
        await _by_phone(visitor)
        await visitor.go("playground")
        await visitor.press("Show Examples")
        await visitor.page.get_by_role("button", name="Execute query").click()
        await visitor.page.locator(".result-window .CodeMirror-line", has_text="firing").wait_for()
        await _take(visitor, "playground", "How many deliveries there are in each state")


async def _by_phone(visitor: Visitor) -> None:
    """In the dark."""
    desk = visitor.page.viewport_size
    await visitor.page.emulate_media(color_scheme="dark")
    await visitor.page.set_viewport_size({"width": 390, "height": 780})
    await visitor.go("#/")
    await _take(visitor, "phone", "delivering")
    await visitor.page.emulate_media(color_scheme="light")
    assert desk is not None
    await visitor.page.set_viewport_size(desk)


async def _live(server: Automations, slack: str, dashboard: str) -> None:
    for name in ("etl", "report", "train-model", "sync-crm"):
        flow = await server.flow(name, project=f"{name} project")
        await server.set_state(await server.run(flow, flow_run_name=f"morning-{name}"), "Success", "All went well")


async def _set_up(server: Automations, slack: str, dashboard: str) -> list[str]:
    await server.write("set_secret", "success", name="SLACK_WEBHOOK", value=f"{slack}/services/T/B/x")
    channel = await server.write(
        "create_action", name="#data", config={"slack_notification": {"webhook_url_secret": "SLACK_WEBHOOK"}}
    )
    config = await server.write("create_agent_config", name="kubernetes")
    for name in ("k8s-1", "k8s-2"):
        await server.write("register_agent", name=name, type="KubernetesAgent", agent_config_id=config["id"])
    query = "{ flow { name flow_group_id } }"
    groups = {row["name"]: row["flow_group_id"] for row in (await server.execute(query))["flow"]}
    failed = {"flow_run_state_changed": {"state_group": "FAILED", "flow_group_ids": [groups["etl"]]}}
    late = {"kind": "STARTED_NOT_FINISHED", "duration_seconds": 7200, "flow_group_ids": [groups["train-model"]]}
    message = "{flow_name} is {state}: {state_message}"
    inline = {"slack_notification": {"webhook_url_secret": "SLACK_WEBHOOK", "message": message}}
    return [
        await server.automation(inline, event=failed, name="When a run of etl fails, tell Slack"),
        await server.automation({"webhook": {"url": dashboard}}, name="The dashboard knows what failed"),
        await server.automation({"action_id": channel["id"]}, event={"flow_sla_failed": late}, name="Training is slow"),
        await server.automation(
            {"email_notification": {"to_emails": ["oncall@example.com"]}},
            event={"agent_sla_failed": {"agent_config_ids": [config["id"]]}}, name="Nobody works", enabled=False,
        ),
    ]  # fmt: skip


async def _take(visitor: Visitor, name: str, text: str | None) -> None:
    if text:
        await visitor.see(text)
    await visitor.page.wait_for_load_state("networkidle")
    await visitor.page.evaluate("() => Promise.allSettled(document.getAnimations().map((each) => each.finished))")
    assert FOLDER is not None
    await visitor.page.screenshot(path=Path(FOLDER) / f"{name}.png")
