"""The status page in a real browser."""

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field
from playwright.async_api import Browser, Locator, Page, Route, async_playwright, expect

from collector.web.server import serve_http
from tests.kafka.broker import free_port
from tests.needs import absent, need
from tests.web.scenarios import Scenario

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
WIDE, TABLET, PHONE, SMALL_PHONE = (1440, 900), (768, 1024), (390, 844), (320, 640)
SIZES = (WIDE, TABLET, PHONE, SMALL_PHONE)
Scheme = Literal["light", "dark"]
REFRESH_MS = 5000
TIMEOUT_MS = 60_000
"""How long a test waits for an element on a busy machine."""


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    need("BROWSER", absent("chromium"))
    executable = shutil.which("chromium")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=TIMEOUT_MS)
        try:
            yield launched
        finally:
            await launched.close()


class StatusPage(Struct):
    """The status page in a browser tab, and what went wrong there."""

    url: str
    tab: Page
    console_messages: list[str] = field(default_factory=list)
    """Messages on the console, uncaught errors and dialogs."""
    foreign_requests: list[str] = field(default_factory=list)
    """Requests to other servers."""

    @property
    def summary(self) -> Locator:
        return self.tab.locator("#summary")

    @property
    def headline(self) -> Locator:
        return self.tab.locator("#headline")

    @property
    def details(self) -> Locator:
        return self.tab.locator("#details")

    @property
    def announcement(self) -> Locator:
        """The text that screen readers announce."""
        return self.tab.get_by_role("status")

    def section(self, name: str) -> Locator:
        """A section by its id, such as `parked` or `kafka`."""
        return self.tab.locator(f"section#{name}")

    def stream(self, name: str) -> Locator:
        heading = self.tab.get_by_role("heading", name=name, exact=True, level=4)
        return self.tab.locator("li.stream").filter(has=heading)

    def timeline(self, name: str) -> Locator:
        return self.tab.get_by_role("slider", name=f"{name}: ")

    async def expect_summary(self, code: str, *facts: str) -> None:
        """Wait for the summary with this code, whose headline contains the facts and is also the title."""
        await expect(self.summary).to_have_attribute("data-code", code)
        for fact in facts:
            await expect(self.headline).to_contain_text(fact)
        is_alert = await self.summary.get_attribute("data-tone") in ("bad", "warn")
        headline = await self.headline.inner_text()
        await expect(self.tab).to_have_title(f"{'⚠ ' if is_alert else ''}{headline} · collector")
        await expect(self.announcement).to_have_text(headline)

    async def refresh(self) -> None:
        """Advance the page's clock until it has requested and received the status again."""
        async with self.tab.expect_request_finished(lambda request: request.url.endswith("/api/status")):
            await self.tab.clock.run_for(REFRESH_MS + 100)

    async def disconnect(self) -> None:
        """Let requests to the collector fail from now on."""

        async def abort(route: Route) -> None:
            await route.abort()

        await self.tab.route("**/api/status", abort)
        async with self.tab.expect_event("requestfailed"):
            await self.tab.clock.run_for(REFRESH_MS + 100)

    async def reconnect(self) -> None:
        await self.tab.unroute("**/api/status")
        await self.refresh()

    def group(self, name: str) -> Locator:
        """The group of streams with this heading: that of a source, or what to do about an error."""
        heading = self.tab.get_by_role("heading", name=name, exact=True, level=3)
        return self.tab.locator("li.group").filter(has=heading)

    async def alter(self, change: Callable[[Any], None]) -> None:
        """Let `change` alter each status that the page receives from now on, and refresh."""

        async def altered(route: Route) -> None:
            status = await (await route.fetch()).json()
            change(status)
            await route.fulfill(json=status)

        await self.tab.route("**/api/status", altered)
        await self.refresh()

    async def resize(self, size: Sequence[int]) -> None:
        await self.tab.set_viewport_size({"width": size[0], "height": size[1]})

    async def width(self) -> int:
        """The width of the content in pixels: more than that of the window if it has to be scrolled."""
        found: int = await self.tab.evaluate("document.documentElement.scrollWidth")
        return found

    async def screenshot(self, name: str, *, whole: bool = True) -> None:
        await self.tab.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


@asynccontextmanager
async def window(
    browser: Browser, url: str, size: Sequence[int] = WIDE, scheme: Scheme = "light"
) -> AsyncIterator[StatusPage]:
    """The status page at a URL, in a new window. Its clock advances only in `refresh` and `disconnect`."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        timezone_id="Europe/Paris",
        has_touch=size[0] < WIDE[0],
    )
    try:
        context.set_default_timeout(TIMEOUT_MS)
        tab = await context.new_page()
        page = StatusPage(url, tab)
        tab.on("console", lambda message: page.console_messages.append(message.text))
        tab.on("pageerror", lambda error: page.console_messages.append(str(error)))
        tab.on("dialog", lambda dialog: page.console_messages.append(dialog.message))
        tab.on("request", lambda each: None if each.url.startswith(url) else page.foreign_requests.append(each.url))
        await tab.clock.install()
        await tab.goto(url)
        await tab.locator("#about", has_text="version").wait_for()
        yield page
        await tab.unroute_all(behavior="ignoreErrors")  # a request may be in flight
        await tab.close()
    finally:
        await context.close()


@asynccontextmanager
async def open_page(
    browser: Browser, scenario: Scenario, size: Sequence[int] = WIDE, scheme: Scheme = "light"
) -> AsyncIterator[StatusPage]:
    """The status page of a scenario. Asserts that it logs no errors and sends no requests to other servers."""
    port = free_port()
    async with (
        serve_http(
            ("127.0.0.1", port), scenario.process_status, scenario.metrics.registry, scenario.clock, max_age_s=0
        ),
        window(browser, f"http://127.0.0.1:{port}", size, scheme) as page,
    ):
        yield page
        assert ([], []) == (page.console_messages, page.foreign_requests)
