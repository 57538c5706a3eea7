"""What happens shows by itself: told over a WebSocket, and asked for where there is none."""

from playwright.async_api import Page, WebSocketRoute, expect

from tests.harness import Automations
from tests.page.visitor import Visitor
from tests.receivers import Receiver, reply


async def test_deliveries_are_told(visitor: Visitor, server: Automations) -> None:
    await visitor.go("#/activity")
    await _live(visitor.page)  # from here on it asks by itself only every 30 s, longer than this test waits
    async with Receiver(reply(200, b"ok")) as receiver:
        made = await server.automation({"webhook": {"url": receiver.url}})
        run = await server.run(await server.flow())
        await server.set_state(run, "Failed")
        await visitor.page.get_by_role("link", name="Delivered").wait_for()
        await visitor.go("#/")
        await _live(visitor.page)
        await visitor.see("delivering")
        await server.write("update_automation", automation_id=made, name="Tell everybody")
        await visitor.see("Tell everybody")
    await visitor.go(f"#/runs/{run}")
    await _live(visitor.page)
    await server.set_state(run, "Success", "It came right in the end")
    await visitor.see("It came right in the end")


async def test_without_a_websocket_the_page_asks(visitor: Visitor, server: Automations) -> None:
    await visitor.page.route_web_socket("**/graphql", lambda socket: socket.close())
    await visitor.go("#/activity")
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("img", name="Not live")).to_be_visible()
    async with Receiver(reply(200, b"ok")) as receiver:
        await server.automation({"webhook": {"url": receiver.url}})
        await server.set_state(await server.run(await server.flow()), "Failed")
        await visitor.page.get_by_role("link", name="Delivered").wait_for()


async def test_lost_websocket_is_opened_again(visitor: Visitor, server: Automations) -> None:
    opened: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        opened.append(socket)
        socket.connect_to_server()

    await visitor.page.route_web_socket("**/graphql", pass_through)
    await visitor.go("#/activity")
    await visitor.page.reload()
    await _live(visitor.page)
    async with visitor.page.expect_websocket():
        await opened[-1].close(code=1012, reason="the server goes")
    await _live(visitor.page)
    await server.automation({"webhook": {"url": "https://echo.invalid"}})
    await server.set_state(await server.run(await server.flow()), "Failed")
    await visitor.page.get_by_role("link", name="Delivered").wait_for()


async def _live(page: Page) -> None:
    await page.get_by_role("img", name="Live:").wait_for()
