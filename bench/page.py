"""How soon the page shows a thousand automations, and whether it stays responsive while a hundred deliveries a second
are made. Chromium draws it, on the same cores as everything else.
"""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from automations.web import STATIC
from bench import load, states
from bench.outcome import Goal, Outcome, spread
from bench.rig import Rig
from bench.states import Watched

AUTOMATIONS = 1000
FIRED = 2000
DELIVERIES_PER_SECOND = 100
STATES_A_CALL = 25
SETTLE_SECONDS = 60.0
_VIEWPORT = {"width": 1100, "height": 900}

# The first card is drawn, and the browser has come to what waited behind it: milliseconds since the address was given.
_WATCH_FIRST_CARD = """
window.usable = new Promise((resolve) => {
    const look = () => document.querySelector('.automation')
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
        : requestAnimationFrame(look);
    look();
});
"""
_WATCH_FRAMES = """() => {
    window.gaps = [];
    let last = performance.now();
    const note = (now) => {
        gaps.push((now - last) / 1000);
        last = now;
        requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
}"""


async def run(rig: Rig) -> Outcome:
    """`first_view`: from the address to a page that can be used, nothing cached. `live`: gaps between the frames of
    the activity while deliveries are made, and how often it asked for them. The floor is the very same page as HTML,
    without scripts or data to ask for.
    """
    path = _chromium()
    if path is None or not (STATIC / "index.html").is_file():
        return Outcome({"skipped": "there is no Chromium, or no built page (make ui)"}, [])
    seconds = rig.pick(3, 20)
    runs = FIRED + DELIVERIES_PER_SECOND * seconds
    async with states.watched(rig, runs=runs, flows=AUTOMATIONS) as watched, _browser(path) as browser:
        requests = list(islice(watched.calls(states=STATES_A_CALL), FIRED // STATES_A_CALL))
        await load.closed_loop(watched.server.url, requests, clients=4, seconds=SETTLE_SECONDS)
        await watched.receiver.wait_for(FIRED, SETTLE_SECONDS)
        views, floors = [], []
        for _ in range(rig.pick(3, 9)):
            view, html = await _first_view(browser, watched.server.url)
            views.append(view)
            floors.append(await _floor(browser, watched.server.url, html))
        live = await _live(browser, watched, seconds)
    figures = {"automations": AUTOMATIONS, "first_view": spread(views), "live": live}
    goals = [
        Goal(f"p50 first_view, {AUTOMATIONS} automations, ms", spread(views)["p50_ms"], at_most=1000),
        Goal(f"p99 of frames, {DELIVERIES_PER_SECOND} deliveries/s, ms", live["frames"]["p99_ms"], at_most=100),
    ]
    return Outcome(figures, goals, {"first_view": spread(floors)})


def _chromium() -> str | None:
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@asynccontextmanager
async def _browser(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path)
        yield browser
        await browser.close()


@asynccontextmanager
async def _fresh(browser: Browser) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """A page of somebody who was never here."""
    context = await browser.new_context(viewport=_VIEWPORT)  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    await context.add_init_script(_WATCH_FIRST_CARD)
    yield context, await context.new_page()
    await context.close()


async def _first_view(browser: Browser, url: str) -> tuple[float, str]:
    """Seconds, and the page as HTML."""
    async with _fresh(browser) as (_, page):
        await page.goto(f"{url}/")
        usable = float(await page.evaluate("() => usable")) / 1000
        return usable, await page.content()


async def _floor(browser: Browser, url: str, html: str) -> float:
    """Seconds until the same HTML, with the same style and without scripts, can be used."""
    still = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)

    async def answer(route: Route) -> None:
        await route.fulfill(body=still, content_type="text/html; charset=utf-8")

    async with _fresh(browser) as (context, page):
        await context.route(f"{url}/", answer)
        await page.goto(f"{url}/")
        return float(await page.evaluate("() => usable")) / 1000


async def _live(browser: Browser, watched: Watched, seconds: int) -> dict[str, Any]:
    async with _fresh(browser) as (_, page):
        await page.goto(f"{watched.server.url}/#/activity")
        await page.get_by_role("img", name="Live:").wait_for()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.evaluate(_WATCH_FRAMES)
        calls = list(islice(watched.calls(states=1), DELIVERIES_PER_SECOND * seconds))
        sent = await load.open_loop(watched.server.url, calls, per_second=DELIVERIES_PER_SECOND)
        gaps = [float(gap) for gap in await page.evaluate("() => gaps")]
        rows = await page.locator(".rows > li").count()
    return {
        "frames": spread(gaps),
        "frames_per_second": len(gaps) / sent.seconds,
        "frames_over_50_ms": sum(gap > 0.05 for gap in gaps),
        "asked_per_second": len(asked) / sent.seconds,
        "rows_shown": rows,
    }
