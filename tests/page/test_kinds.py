"""Each kind of automation is made by mouse, and by keyboard alone, and fires."""

from collections.abc import Awaitable, Callable

import pytest

from tests.harness import Automations
from tests.page.visitor import Visitor

Press = Callable[..., Awaitable[None]]


async def by_mouse(visitor: Visitor, name: str, *, back: bool = False) -> None:
    await visitor.page.get_by_role("button", name=name).first.click()


async def by_keyboard(visitor: Visitor, name: str, *, back: bool = False) -> None:
    await visitor.tab_to(name, back=back)
    await visitor.page.keyboard.press("Enter")


HANDS = pytest.mark.parametrize("press", [by_mouse, by_keyboard])


async def call_the_echo(visitor: Visitor, press: Press) -> None:
    """The second half of the sentence. Who chose what to do can type at once."""
    await press(visitor, "What to do")
    await press(visitor, "Webhook")
    await visitor.page.wait_for_function("() => document.activeElement.labels?.[0]?.textContent === 'URL'")
    await visitor.type("https://echo.invalid")
    await press(visitor, "Save")
    await visitor.see("It watches from now on")


async def name_of_the_only_one(server: Automations) -> str:
    [made] = (await server.execute("{ automation { name } }"))["automation"]
    return str(made["name"])


@HANDS
async def test_state_of_a_run(visitor: Visitor, server: Automations, press: Press) -> None:
    run = await server.run(await server.flow())
    await visitor.go("#/new")
    await press(visitor, "What happens")
    await press(visitor, "succeeds")
    await call_the_echo(visitor, press)
    assert await name_of_the_only_one(server) == "When a run of any flow succeeds, call the built-in echo"
    await server.set_state(run, "Success")
    await visitor.see("delivering")


@HANDS
async def test_late_run(visitor: Visitor, server: Automations, press: Press) -> None:
    await server.flow("etl")
    await visitor.go("#/new")
    await press(visitor, "What to watch")
    await visitor.page.wait_for_function("() => document.activeElement.type === 'search'")
    await visitor.type("etl")
    await visitor.page.get_by_role("button", name="etl").wait_for()
    await visitor.page.keyboard.press("Enter")
    await press(visitor, "What happens")
    await press(visitor, "does not start in time")
    await press(visitor, "How long")
    await press(visitor, "2 hours")
    await call_the_echo(visitor, press)
    name = "When a run of etl does not start within 2 hours, call the built-in echo"
    assert await name_of_the_only_one(server) == name


@HANDS
async def test_quiet_agents(visitor: Visitor, server: Automations, press: Press) -> None:
    await server.write("create_agent_config", name="kubernetes")
    await visitor.go("#/new")
    await press(visitor, "What to watch")
    await visitor.page.wait_for_function("() => document.activeElement.type === 'search'")
    await press(visitor, "Agents", back=True)
    await visitor.page.get_by_role("button", name="kubernetes").wait_for()
    await press(visitor, "kubernetes")
    await visitor.page.keyboard.press("Escape")
    await call_the_echo(visitor, press)
    name = "When the agents of kubernetes go quiet for 1 minute, call the built-in echo"
    assert await name_of_the_only_one(server) == name


@HANDS
async def test_problem_of_the_server(visitor: Visitor, server: Automations, press: Press) -> None:
    await visitor.go("#/new")
    await press(visitor, "What to watch")
    await visitor.page.wait_for_function("() => document.activeElement.type === 'search'")
    await press(visitor, "Server", back=True)
    await visitor.page.keyboard.press("Escape")
    await press(visitor, "What happens: has a problem")
    await press(visitor, "a destination fails")
    await press(visitor, "a secret is missing")
    await visitor.page.keyboard.press("Escape")
    await call_the_echo(visitor, press)
    name = "When the server finds that a destination fails or a secret is missing, call the built-in echo"
    assert await name_of_the_only_one(server) == name
    [made] = (await server.execute("{ automation { event_type event } }"))["automation"]
    assert made == {
        "event_type": "ServerProblemEvent",
        "event": {"problems": ["DESTINATION_FAILS", "SECRET_MISSING"]},
    }
    await visitor.see("finds that a destination fails or a secret is missing")
