"""Somebody who uses the page, and what they could complain about."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Page, Request

from tests.harness import Automations

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
_MOST_TABS = 80
_FOCUSED = """() => {
    const it = document.activeElement;
    if (it === document.body) return '';
    const label = it.labels && it.labels[0] ? it.labels[0].textContent : '';
    return (it.getAttribute('aria-label') || label || it.textContent || it.getAttribute('placeholder') || '').trim();
}"""


class Visitor:
    """One page in a browser of its own. `complaints` are errors of the console and requests off the machine."""

    def __init__(self, page: Page, server: Automations) -> None:
        self.page, self.server = page, server
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._watch)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:  # a breach of the Content-Security-Policy is one
            self.complaints.append(f"console: {message.text}")

    def _watch(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and f"{address.scheme}://{address.netloc}" != self.server.url:
            self.complaints.append(f"request to {request.url}")

    async def go(self, place: str) -> None:
        """Open a place of the page by its address."""
        await self.page.goto(f"{self.server.url}/{place}")

    async def press(self, name: str, *, role: Any = "button", exact: bool = True) -> None:
        """Click what has this name."""
        await self.page.get_by_role(role, name=name, exact=exact).first.click()

    async def see(self, text: str) -> None:
        """Wait until this can be read."""
        await self.page.get_by_text(text).filter(visible=True).first.wait_for()

    async def tab_to(self, name: str, *, back: bool = False) -> None:
        """Press Tab, or Shift and Tab, until what has this name has the focus."""
        names = []
        for _ in range(_MOST_TABS):
            await self.page.keyboard.press("Shift+Tab" if back else "Tab")
            focused = str(await self.page.evaluate(_FOCUSED))
            if name in focused:
                return
            names.append(focused)
        raise AssertionError(f"Tab never came to {name!r}, but to {names}")

    async def type(self, text: str, *keys: str) -> None:
        """Type a text, then press keys."""
        await self.page.keyboard.type(text)
        for key in keys:
            await self.page.keyboard.press(key)

    async def serious_faults(self) -> list[str]:
        """What axe finds wrong with the view that is serious or critical, light and dark."""
        faults = await self._faults("{resultTypes: ['violations']}")
        dark = await self.page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
        await self.page.emulate_media(color_scheme="light" if dark else "dark")
        faults += await self._faults("{resultTypes: ['violations'], runOnly: ['color-contrast']}")
        await self.page.emulate_media(color_scheme="dark" if dark else "light")
        return faults

    async def _faults(self, options: str) -> list[str]:
        await self.page.evaluate("() => Promise.allSettled(document.getAnimations().map((each) => each.finished))")
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate(f"() => axe.run({options})")
        return [
            f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for fault in found["violations"]
            if fault["impact"] in {"serious", "critical"}
            for node in fault["nodes"]
        ]

    async def is_too_wide(self) -> bool:
        """Whether one has to scroll sideways."""
        width = "document.documentElement"
        return bool(await self.page.evaluate(f"{width}.scrollWidth > {width}.clientWidth"))
