"""The page of those who may only look, and of those who may speak for several tenants."""

from playwright.async_api import expect

from tests.harness import Automations
from tests.page.visitor import Visitor

ECHO = {"webhook": {"url": "https://echo.invalid", "payload": {"run": "{flow_run_name}"}}}


async def test_who_may_only_look_sees_no_button_that_would_be_refused(guest: Visitor, guarded: Automations) -> None:
    made = await guarded.automation(ECHO, name="Tell the echo")
    await guarded.write("create_action", name="#data", config={"slack_notification": {"webhook_url_secret": "S"}})
    await guarded.write("set_secret", "success", name="S", value="https://hooks.slack.com/services/x")
    await guarded.set_state(await guarded.run(await guarded.flow()), "Failed")
    [delivery] = await guarded.settled(1)
    viewer = await guarded.write("create_api_key", "key", name="looks", role="viewer")
    await guest.page.get_by_label("API key").fill(viewer["key"])
    await guest.press("Sign in")
    for place, text in [
        ("#/", "delivering"),
        (f"#/automations/{made}", "When a run of any flow fails, call the built-in echo"),
        ("#/new", "Your key may look"),
        ("#/activity", "Tell the echo"),
        (f"#/deliveries/{delivery['id']}", "HTTP 200"),
        ("#/runs", "etl"),
        ("#/actions", "#data"),
    ]:
        await guest.go(place)
        await guest.see(text)
        await expect(guest.page.locator("main").get_by_role("button")).to_have_count(0)
        await expect(guest.page.locator("main").get_by_role("switch")).to_have_count(0)
    assert await guest.serious_faults() == []


async def test_tenants_are_switched(visitor: Visitor, server: Automations) -> None:
    await server.automation(ECHO, name="Of the first tenant")
    other = await server.write("create_tenant", name="Acme")
    await visitor.page.reload()
    await visitor.page.get_by_label("Tenant").select_option("Acme")
    await visitor.see("Nothing is set up yet")
    await server.as_tenant(other["id"]).automation(ECHO, name="Of Acme")
    await visitor.see("Of Acme")
    await expect(visitor.page.get_by_label("Tenant")).to_have_value(other["id"])
    await visitor.page.get_by_label("Tenant").select_option("default")
    await visitor.see("Of the first tenant")
    await expect(visitor.page.get_by_text("Of Acme")).to_have_count(0)
