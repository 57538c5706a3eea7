"""A browser for the tests of the page, which are skipped where there is none, or no built page.

`TESTS_NEED_PAGE=1` makes them fail instead. `CHROMIUM` names a browser that is not found by itself.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from automations.web import STATIC
from tests.harness import Automations
from tests.page.visitor import Visitor

NEEDED = "TESTS_NEED_PAGE"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, without a window."""
    if not (STATIC / "index.html").is_file():
        _miss("the page is not built: make ui")
    async with async_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
        path = path or shutil.which("google-chrome") or playwright.chromium.executable_path
        if not Path(path).exists():
            _miss("there is no Chromium: install it, or name it in CHROMIUM")
        browser = await playwright.chromium.launch(executable_path=path)
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(browser: Browser, server: Automations) -> AsyncIterator[Visitor]:
    """Somebody at a desk, on the first page of a server of their own."""
    async with _visit(await browser.new_context(viewport={"width": 1100, "height": 900}), server) as visitor:
        yield visitor


@pytest.fixture
async def caller(browser: Browser, server: Automations) -> AsyncIterator[Visitor]:
    """Somebody with a small phone, in the dark, who likes things to keep still."""
    context = await browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme="dark", reduced_motion="reduce", has_touch=True
    )
    async with _visit(context, server) as visitor:
        yield visitor


@pytest.fixture
async def guest(browser: Browser, guarded: Automations) -> AsyncIterator[Visitor]:
    """Somebody at a server that asks for keys, who has none yet."""
    async with _visit(await browser.new_context(), guarded) as visitor:
        yield visitor


@asynccontextmanager
async def _visit(context: BrowserContext, server: Automations) -> AsyncIterator[Visitor]:
    context.set_default_timeout(15_000)
    visitor = Visitor(await context.new_page(), server)
    await visitor.go("#/")
    yield visitor
    await context.close()
    assert visitor.complaints == []


def _miss(what: str) -> None:
    if os.environ.get(NEEDED):
        pytest.fail(f"{NEEDED} is set, and {what}")
    pytest.skip(what)
