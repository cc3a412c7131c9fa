"""A real browser, and the page as somebody sees it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from playwright.async_api import Browser, Locator, Page, Route, async_playwright

from collector.web.server import serving
from tests.kafka.broker import free_port
from tests.needs import absent, need
from tests.web.boards import Told

SCREENSHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, PHONE, SMALL_PHONE = (1280, 900), (375, 812), (320, 640)
Scheme = Literal["light", "dark"]
REFRESH_MS = 5000
PATIENCE_MS = 60_000
"""How long something that must appear is waited for, on a machine that is busy."""


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    need("BROWSER", absent("chromium"))
    executable = shutil.which("chromium")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=PATIENCE_MS)
        try:
            yield launched
        finally:
            await launched.close()


class Seen(Struct):
    """The page in one window, and what went wrong there."""

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)
    """What the console said, and errors of the page."""
    strangers: list[str] = field(default_factory=list)
    """Requests to anybody else."""

    @property
    def headline(self) -> Locator:
        return self.page.get_by_role("heading", level=2).first

    @property
    def details(self) -> Locator:
        return self.page.locator("#details")

    def region(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def stream(self, name: str) -> Locator:
        heading = self.page.get_by_role("heading", name=name, exact=True, level=3)
        return self.page.get_by_role("listitem").filter(has=heading)

    def day(self, name: str) -> Locator:
        return self.page.get_by_role("slider", name=f"{name}: ")

    async def refresh(self) -> None:
        """Let the time pass until the page has asked again, and has its answer."""
        async with self.page.expect_request_finished(lambda request: request.url.endswith("/api/status")):
            await self.page.clock.run_for(REFRESH_MS + 100)

    async def lose(self) -> None:
        """The collector does not answer any more."""

        async def broken(route: Route) -> None:
            await route.abort()

        await self.page.route("**/api/status", broken)
        async with self.page.expect_event("requestfailed"):
            await self.page.clock.run_for(REFRESH_MS + 100)

    async def resize(self, size: Sequence[int]) -> None:
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})

    async def width(self) -> int:
        found: int = await self.page.evaluate("document.documentElement.scrollWidth")
        return found

    async def screenshot(self, name: str, *, whole: bool = True) -> None:
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


@asynccontextmanager
async def window(
    browser: Browser, url: str, size: Sequence[int] = WIDE, scheme: Scheme = "light"
) -> AsyncIterator[Seen]:
    """What is there at an address, in a window of its own. The page's time passes when it is told to."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        timezone_id="Europe/Paris",
        has_touch=size[0] < WIDE[0],
    )
    try:
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        seen = Seen(url, page)
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
        page.on("request", lambda each: None if each.url.startswith(url) else seen.strangers.append(each.url))
        await page.clock.install()
        await page.goto(url)
        await page.locator("#about", has_text="version").wait_for()
        yield seen
        await page.close()
    finally:
        await context.close()


@asynccontextmanager
async def seeing(
    browser: Browser, told: Told, size: Sequence[int] = WIDE, scheme: Scheme = "light"
) -> AsyncIterator[Seen]:
    """The page of a process. It must not have complained, nor asked anybody else."""
    port = free_port()
    async with (
        serving(("127.0.0.1", port), told.process_status, told.metrics.registry, told.clock),
        window(browser, f"http://127.0.0.1:{port}", size, scheme) as seen,
    ):
        yield seen
        assert ([], []) == (seen.complaints, seen.strangers)
