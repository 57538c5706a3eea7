"""Somebody on an empty server, with no account anywhere, gets to something that works."""

from playwright.async_api import expect

from tests.harness import Automations
from tests.page.visitor import Visitor


async def test_echo_and_a_sample_run_show_what_happens_without_any_service(
    visitor: Visitor, server: Automations
) -> None:
    await visitor.press("Just try it", role="link", exact=False)
    await visitor.press("Save")
    await visitor.see("Nothing has fired yet.")
    await expect(visitor.page.locator(".words")).to_have_text("When a run of any flow fails, call the built-in echo")
    await visitor.press("Make a sample run fail")
    await visitor.press("Delivered", role="link", exact=False)
    await visitor.see("HTTP 200")
    await visitor.page.get_by_text("What came back").click()
    await visitor.see('"received"')
    await visitor.press("Automations", role="link")
    await visitor.see("delivering")
    await expect(visitor.page.get_by_text("Nothing has fired yet.")).to_have_count(0)
    [run] = (await server.execute("{ flow_run { state flow { name project { name } } } }"))["flow_run"]
    assert run == {"state": "Failed", "flow": {"name": "sample", "project": {"name": "Samples"}}}


async def test_second_sample_run_is_of_the_same_flow(visitor: Visitor, server: Automations) -> None:
    for runs in (1, 2):
        await visitor.go("#/activity")
        await visitor.page.reload()
        await visitor.press("Make a sample run fail")
        await visitor.page.get_by_text("has failed").first.wait_for()
        data = await server.execute("{ flow { name } flow_run { state } }")
        assert data == {"flow": [{"name": "sample"}], "flow_run": [{"state": "Failed"}] * runs}
