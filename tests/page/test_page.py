"""People set up, watch and change automations on the page, by mouse, by keyboard and on a phone."""

import re
from contextlib import suppress

import orjson
from playwright.async_api import TimeoutError as TooLate
from playwright.async_api import expect

from tests.harness import Automations, eventually
from tests.page.visitor import Visitor
from tests.receivers import Receiver, reply

AUTOMATIONS = (
    "{ automation(where: {deleted_at: {_is_null: true}}) { id name enabled event actions { action_config } } }"
)


async def test_first_visit_leads_to_a_message_in_slack(visitor: Visitor, server: Automations) -> None:
    flow = await server.flow("etl")
    await server.flow("report")
    async with Receiver(reply(200, b"ok")) as slack:
        await visitor.press("Tell Slack when a run fails", role="link")
        await visitor.press("What to watch: any flow")
        await visitor.page.get_by_label("Search flows by name").fill("et")
        await visitor.press("etl", exact=False)
        await visitor.press("Done")
        await visitor.page.get_by_label("Webhook URL", exact=True).fill(f"{slack.url}/services/T/B/token")
        message = visitor.page.get_by_label("Message", exact=True)
        await message.fill("Look at ")
        await visitor.press("Insert flow_run_name")
        await expect(message).to_have_value("Look at {flow_run_name}")
        await visitor.see("Look at amber-otter")
        await visitor.press("Save")
        await visitor.see("It watches from now on")
        await expect(visitor.page.locator(".words")).to_have_text("When a run of etl fails, tell Slack")

        await server.set_state(await server.run(flow, flow_run_name="nightly"), "Failed", "disk full")
        [sent] = await slack.wait_for(1)
        assert "Look at nightly" in orjson.loads(sent.body)["text"]
        await visitor.see("delivering")
        assert "token" not in await visitor.page.content()

        await visitor.press("Activity", role="link")
        await visitor.press("Delivered", role="link", exact=False)
        await visitor.see("HTTP 200")
        await visitor.page.get_by_text("What was sent").first.click()
        await visitor.see("Look at nightly")
        await visitor.press("Send again")
        await slack.wait_for(2)
        await visitor.see("an earlier delivery")
        await visitor.press("etl · nightly", role="link")
        await visitor.see("2 deliveries")
    data = await server.execute(AUTOMATIONS)
    assert data["automation"][0]["name"] == "When a run of etl fails, tell Slack"


async def test_keyboard_alone_makes_an_automation(visitor: Visitor, server: Automations) -> None:
    await server.flow("etl")
    keyboard = visitor.page.keyboard
    await visitor.tab_to("Start from nothing")
    await keyboard.press("Enter")
    await expect(visitor.page.get_by_role("heading", name="New automation")).to_be_focused()
    await visitor.tab_to("What to watch")
    await keyboard.press("Enter")
    await expect(visitor.page.get_by_label("Search flows by name")).to_be_focused()
    await visitor.type("etl")
    await visitor.page.get_by_role("button", name="etl").wait_for()
    await keyboard.press("Enter")
    await visitor.tab_to("What happens")
    await keyboard.press("Enter")
    await visitor.tab_to("does not finish in time")
    await keyboard.press("Enter")
    await visitor.tab_to("How long")
    await keyboard.press("Enter")
    await visitor.tab_to("2 hours")
    await keyboard.press("Enter")
    await visitor.tab_to("What to do")
    await keyboard.press("Enter")
    await visitor.tab_to("E-mail")
    await keyboard.press("Enter")
    await expect(visitor.page.get_by_label("Addresses")).to_be_focused()
    await visitor.type("me@example.com")
    await visitor.tab_to("Save")
    await keyboard.press("Enter")
    await visitor.see("It watches from now on")
    [made] = (await server.execute(AUTOMATIONS))["automation"]
    assert made["name"] == "When a run of etl does not finish within 2 hours, e-mail me@example.com"
    assert made["event"]["duration_seconds"] == 7200


async def test_edit_pause_duplicate_and_undo_of_a_delete_keep_the_automation(
    visitor: Visitor, server: Automations
) -> None:
    made = await server.automation({"webhook": {"url": "https://example.com/a"}}, name="Tell the dashboard")
    await visitor.press("When a run of any flow fails", role="link", exact=False)
    await visitor.press("What happens: fails")
    await visitor.press("succeeds", exact=False)
    await visitor.press("Save")
    await visitor.see("Saved.")
    await visitor.see("succeeds")

    await visitor.page.get_by_role("switch").click()
    await visitor.see("paused")
    [row] = (await server.execute(AUTOMATIONS))["automation"]
    assert (row["id"], row["enabled"], row["event"]["state_group"]) == (made, False, "SUCCESS")
    await visitor.page.get_by_role("switch").click()
    await visitor.see("never fired")

    await visitor.press("Delete:", exact=False)
    await visitor.see("Deleted.")
    await expect(visitor.page.get_by_role("switch")).to_have_count(0)
    await visitor.press("Undo")
    await expect(visitor.page.get_by_role("switch")).to_be_checked()
    [row] = (await server.execute(AUTOMATIONS))["automation"]
    assert (row["id"], row["enabled"]) == (made, True)

    await visitor.press("Duplicate:", role="link", exact=False)
    await visitor.press("Save")
    await visitor.see("Tell the dashboard (copy)")

    await visitor.press("Delete:", exact=False)
    await visitor.page.locator(".toast", has_text="Deleted.").get_by_label("Dismiss").click()

    async def left() -> bool:
        return len((await server.execute(AUTOMATIONS))["automation"]) == 1

    await eventually(left)


async def test_unsaved_work_is_not_left_without_asking(visitor: Visitor) -> None:
    await visitor.press("Start from nothing", role="link")
    await visitor.press("What happens: fails")
    await visitor.press("succeeds", exact=False)
    await visitor.press("Activity", role="link")
    await visitor.press("Stay")
    await expect(visitor.page.get_by_role("button", name="What happens: succeeds")).to_be_visible()
    await visitor.press("Activity", role="link")
    await visitor.press("Leave")
    await visitor.see("Nothing has been sent yet")


async def test_what_is_missing_and_what_the_server_refuses_is_said_at_its_place(visitor: Visitor) -> None:
    await visitor.press("Call a webhook", role="link", exact=False)
    save = visitor.page.get_by_role("button", name="Save")
    await expect(save).to_be_disabled()
    await save.click(force=True)  # it says why
    await visitor.see("Webhook: give a URL.")
    await visitor.page.get_by_label("URL", exact=True).fill("http://")
    await visitor.page.get_by_label("Body").fill("{")
    await visitor.see("Body is not JSON yet.")
    await visitor.page.get_by_label("Body").fill('{"text": "{flow_name}"}')
    await visitor.press("Save")
    await visitor.see("webhook: ")


async def test_saved_actions_and_secrets(visitor: Visitor, server: Automations) -> None:
    async with Receiver(reply(200, b"ok")) as slack:
        await visitor.press("Actions", role="link")
        await visitor.page.get_by_label("Name of the secret").fill("SLACK")
        await visitor.page.get_by_label("Value of the secret").fill(f"{slack.url}/services/token")
        await visitor.press("Set")
        await visitor.see("SLACK is set.")
        await visitor.press("New action")
        await visitor.press("Slack", exact=False)
        await visitor.page.get_by_label("Name", exact=True).fill("#data")
        await visitor.page.get_by_label("Webhook URL").select_option("SLACK")
        await visitor.press("Save")
        await visitor.see("Used by nothing.")
        await visitor.press("Send a test")
        await visitor.see("It arrived.")
        await slack.wait_for(1)
        await visitor.go("#/new")
        await visitor.press("What to do: do what?")
        await visitor.press("Tell #data on Slack", exact=False)
        await visitor.press("Save")
        await visitor.see("It watches from now on")
        await visitor.press("Actions", role="link")
        await visitor.see("Used by #data")


async def test_a_key_signs_in_for_the_time_of_the_tab(guest: Visitor, guarded: Automations) -> None:
    assert await guest.serious_faults() == []
    await guest.page.get_by_label("API key").fill("wrong")
    await guest.press("Sign in")
    await guest.page.get_by_role("alert").wait_for()
    await guest.page.get_by_label("API key").fill(guarded.headers["Authorization"].removeprefix("Bearer "))
    await guest.press("Sign in")
    await guest.see("Nothing is set up yet")
    await guest.page.reload()
    await guest.see("Nothing is set up yet")
    await guest.press("Sign out")
    await guest.page.get_by_label("API key").wait_for()


async def test_nothing_serious_is_found_wrong_with_any_view(visitor: Visitor, server: Automations) -> None:
    await _look_everywhere(visitor, server)


async def test_a_small_phone_in_the_dark_shows_every_view(caller: Visitor, server: Automations) -> None:
    await _look_everywhere(caller, server)


async def _look_everywhere(visitor: Visitor, server: Automations) -> None:
    """Each view has no serious fault and fits the screen."""
    faults = await visitor.serious_faults()
    async with Receiver(reply(404, b"no such hook")) as receiver:
        made = await server.automation({"webhook": {"url": receiver.url}}, name="Tell the dashboard")
        await server.automation({"slack_notification": {"webhook_url_secret": "SLACK"}}, name="Tell Slack")
        await server.write("create_action", name="#data", config={"slack_notification": {"webhook_url_secret": "S"}})
        run = await server.run(await server.flow("a-flow-with-quite-a-long-name-of-no-use"))
        await server.set_state(run, "Failed", "disk full " * 20)
        [delivery, *_] = await server.settled(2)
    for place in [
        "#/", "#/new?recipe=slack", "#/new?recipe=agents", f"#/automations/{made}", "#/activity",
        f"#/deliveries/{delivery['id']}", "#/runs", f"#/runs/{run}", "#/actions",
    ]:  # fmt: skip
        await visitor.go(place)
        await visitor.page.reload()
        await visitor.page.get_by_role("heading", level=1).wait_for()
        await expect(visitor.page.locator(".loading")).to_have_count(0)
        faults += [f"{place}: {fault}" for fault in await visitor.serious_faults()]
        assert not await visitor.is_too_wide(), place
    await visitor.go("#/new")
    await visitor.page.reload()
    for blank in ["What to watch", "What happens", "What to do"]:
        await visitor.press(blank, exact=False)
        await visitor.page.get_by_role("dialog").wait_for()
        faults += [f"{blank}: {fault}" for fault in await visitor.serious_faults()]
        assert not await visitor.is_too_wide(), blank
        await visitor.page.keyboard.press("Escape")
    assert faults == []


async def test_playground_runs_an_example(visitor: Visitor) -> None:
    await visitor.go("playground")
    await visitor.page.locator(".CodeMirror-line", has_text="WhatHappened").wait_for()
    await visitor.page.get_by_role("button", name=re.compile("Execute query")).click()
    await visitor.page.locator(".result-window .CodeMirror-line", has_text="firing").wait_for()
    await visitor.press("Show Documentation Explorer")
    await visitor.see("All Schema Types")


async def test_playground_has_examples_that_are_ready_to_run(visitor: Visitor, server: Automations) -> None:
    made = await server.automation({"webhook": {"url": "https://echo.invalid"}})
    await visitor.go("playground")
    await visitor.page.locator(".CodeMirror-line", has_text="WhatHappened").wait_for()
    await visitor.press("Show Examples")
    await visitor.press("Pause an automation")
    await visitor.page.locator(".CodeMirror-line", has_text=made).wait_for()
    await visitor.page.get_by_role("button", name=re.compile("Execute query")).click()
    await visitor.page.locator(".result-window .CodeMirror-line", has_text="enabled").wait_for()
    data = await server.execute("{ automation { enabled } }")
    assert data == {"automation": [{"enabled": False}]}


async def test_playground_sends_the_headers_of_its_tab(visitor: Visitor) -> None:
    await visitor.go("playground")
    await visitor.page.locator(".CodeMirror-line", has_text="WhatHappened").wait_for()
    await visitor.press("Headers")
    await visitor.page.locator(".graphiql-editor-tool .CodeMirror:visible").click()
    await visitor.type('{"x-request-id": "of-this-tab"')
    async with visitor.page.expect_request("**/graphql") as sent:
        await visitor.page.get_by_role("button", name=re.compile("Execute query")).click()
    assert (await sent.value).headers["x-request-id"] == "of-this-tab"


async def test_playground_follows_a_subscription(visitor: Visitor, server: Automations) -> None:
    await visitor.go("playground")
    await visitor.page.locator(".CodeMirror-line", has_text="WhatHappened").wait_for()
    await visitor.page.get_by_role("tab", name="Deliveries").click()
    await visitor.page.get_by_role("button", name=re.compile("Execute query")).click()
    told = visitor.page.locator(".result-window .CodeMirror-line", has_text="DELIVERED")
    async with Receiver(reply(200, b"ok")) as receiver:
        await server.automation({"webhook": {"url": receiver.url}})
        flow = await server.flow()

        async def is_told() -> bool:
            await server.set_state(await server.run(flow), "Failed")  # again: it may not have listened yet
            with suppress(TooLate):
                await told.wait_for(timeout=1000)
            return await told.count() > 0

        await eventually(is_told, 30)
    await visitor.page.get_by_role("button", name=re.compile("Stop query")).click()


async def test_long_list_is_drawn_as_one_comes_to_it_and_searched_whole(visitor: Visitor, server: Automations) -> None:
    for number in range(45):
        await server.automation({"webhook": {"url": "https://echo.invalid"}}, name=f"number {number:02}")
    cards = visitor.page.locator(".automation")
    await expect(cards).to_have_count(40)
    await expect(cards.first).to_contain_text("number 44")
    await visitor.page.get_by_label("Search automations").fill("number 00")
    await expect(cards).to_have_count(1)
    await visitor.page.get_by_label("Search automations").fill("")
    await cards.last.scroll_into_view_if_needed()
    await expect(cards).to_have_count(45)
