"""How the status page is used: with a pointer, with the keyboard, with a screen reader, and in both colour schemes."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from collector.model import Window
from collector.telemetry.status import ProcessStatus
from tests.web import scenarios
from tests.web.browser import PHONE, SIZES, WIDE, Scheme, StatusPage, open_page
from tests.web.scenarios import NOW

pytestmark = pytest.mark.anyio

CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")


def cells(process_status: ProcessStatus, name: str) -> list[tuple[str, int | None]]:
    """The kind and the count of each cell of a stream's timeline, from the status."""
    rows: Any = process_status.as_json(NOW)["streams"]
    (row,) = (each for each in rows if f"{each['source']} {each['stream']}" == name)
    kinds = [kind for count, kind in row["strip"]["kinds"] for _ in range(count)]
    return list(zip(kinds, row["strip"]["counts"], strict=True))


async def point_at(page: StatusPage, name: str, index: int, cells: int) -> None:
    """Move the pointer over a cell of a stream's timeline."""
    timeline = page.timeline(name)
    await timeline.scroll_into_view_if_needed()
    box = await timeline.bounding_box()
    assert box is not None
    await page.tab.mouse.move(box["x"] + (index + 0.5) * box["width"] / cells, box["y"] + box["height"] / 2)


async def test_pointing_at_a_cell_shows_its_count_its_time_and_its_kind(browser: Browser) -> None:
    scenario = scenarios.all_states()
    found = cells(scenario.process_status, "arcade sessions")
    assert 144 == len(found)
    async with open_page(browser, scenario) as page:

        async def expect_cell(name: str, index: int, kind: str, *texts: str) -> None:
            await point_at(page, name, index, 144)
            timeline = page.timeline(name)
            await expect(timeline.locator(".bubble")).to_be_visible()
            await expect(timeline).to_have_attribute("aria-valuenow", str(index))
            await expect(timeline).to_have_attribute("data-kind", kind)
            for text in texts:
                await expect(timeline.locator(".bubble")).to_contain_text(text)

        bubble = page.timeline("arcade sessions").locator(".bubble")
        await expect(bubble).to_be_hidden()
        await expect_cell("arcade sessions", 137, "published", f"{found[137][1]} records", "14:20 to 14:30")
        await expect_cell("arcade sessions", 143, "partly", f"{found[143][1]} records", "15:20 to 15:30")
        assert None is cells(scenario.process_status, "archive sessions")[3][1]
        await expect_cell("archive sessions", 3, "final", "Sat 31 Oct, 16:00 to 16:10")
        await expect(page.timeline("archive sessions").locator(".bubble b")).not_to_contain_text(re.compile(r"\d"))
        await expect(bubble).to_be_hidden()
        await expect_cell("backfill sessions", 3, "waiting")
        await expect(page.timeline("backfill sessions").locator(".bubble b")).not_to_contain_text(re.compile(r"\d"))
        await page.screenshot("selected-cell-wide-light", whole=False)


async def test_a_touched_cell_stays_selected_when_the_finger_is_lifted(browser: Browser) -> None:
    scenario = scenarios.all_states()
    async with open_page(browser, scenario, PHONE) as page:
        await page.timeline("arcade sessions").tap()
        count = cells(scenario.process_status, "arcade sessions")[72][1]
        await expect(page.timeline("arcade sessions").locator(".bubble b")).to_have_text(f"{count} records")
        await expect(page.timeline("arcade sessions").locator(".bubble")).to_be_visible()
        await page.tab.get_by_role("heading", level=1).tap()
        await expect(page.timeline("arcade sessions").locator(".bubble")).to_be_hidden()


async def test_the_keyboard_selects_cells_and_screen_readers_get_their_text(browser: Browser) -> None:
    scenario = scenarios.all_states()
    found = cells(scenario.process_status, "arcade sessions")
    async with open_page(browser, scenario, PHONE) as page:
        timeline = page.timeline("arcade sessions")
        await timeline.focus()
        await expect(timeline.locator(".bubble")).to_be_visible()
        for key, index in {"ArrowLeft": 142, "PageDown": 136, "ArrowRight": 137, "Home": 0, "End": 143}.items():
            await page.tab.keyboard.press(key)
            await expect(timeline).to_have_attribute("aria-valuenow", str(index))
            kind, count = found[index]
            text = await timeline.get_attribute("aria-valuetext") or ""
            assert text.startswith(f"{count} record")
            assert kind in text
        await page.tab.keyboard.press("Escape")
        await expect(timeline.locator(".bubble")).to_be_hidden()


async def test_every_control_is_reached_with_the_tab_key(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        reached = []
        for _ in range(26):
            await page.tab.keyboard.press("Tab")
            reached.append(
                await page.tab.evaluate(
                    """() => {
                      const { activeElement: element } = document;
                      return element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.localName;
                    }"""
                )
            )
        assert "#streams" == reached[0]
        assert "input" == reached[1]
        assert reached[2].startswith("mall sessions: ")
        assert ["summary", "api/status", "metrics", "readyz"] == reached[18:22]


async def test_the_kinds_of_cells_differ_without_colours(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        styles = await page.tab.evaluate(
            """() => ["final", "published", "partly", "waiting"].map((kind) => {
              const style = getComputedStyle(document.querySelector(`.timeline .rail-${kind}`));
              return `${style.borderTopStyle} ${style.borderTopWidth}`;
            })"""
        )
        assert 4 == len(set(styles))
        assert ["solid 5px", "solid 2px"] == styles[:2]
        legend = await page.tab.locator(".kinds .sample").evaluate_all(
            """all => all.map(getComputedStyle).map((each) => `${each.borderTopStyle} ${each.borderTopWidth}`)"""
        )
        assert styles == legend


async def test_the_focus_stays_when_the_page_refreshes_and_when_the_stream_moves(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    async with open_page(browser, scenario) as page:
        timeline = page.timeline("forum viewers")
        await timeline.focus()
        await page.tab.keyboard.press("Home")
        scenario.clock.pass_s(5)
        await page.refresh()
        await expect(timeline).to_be_focused()
        await expect(timeline).to_have_attribute("aria-valuenow", "0")

        scenario.park("forum viewers")
        await page.refresh()

        await expect(page.section("parked").get_by_role("slider")).to_be_focused()
        scenario.streams["forum viewers"].polled(
            Window(NOW, NOW), 0, 0.1, scenario.checkpoints["forum viewers"], behind=False, now=NOW
        )
        await page.refresh()
        await page.expect_summary("healthy")
        await expect(timeline).to_be_focused()


async def test_screen_readers_announce_changes_only(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    async with open_page(browser, scenario) as page:
        await page.expect_summary("healthy")
        await page.tab.evaluate(
            """() => {
              window.announced = [];
              const live = document.querySelector("[role=status]");
              const options = { childList: true, characterData: true, subtree: true };
              new MutationObserver(() => window.announced.push(live.textContent)).observe(live, options);
            }"""
        )
        for _ in range(3):
            scenario.clock.pass_s(60)
            await page.refresh()
            await expect(page.stream("arcade sessions")).to_contain_text(" behind")
        assert [] == await page.tab.evaluate("window.announced")
        assert 1 == await page.tab.locator("[role=status], [role=alert], [aria-live]").count()

        scenario.park("forum viewers")
        await page.refresh()

        await page.expect_summary("parked", "1 of 10 streams", "forum viewers")
        assert [await page.headline.inner_text()] == await page.tab.evaluate("window.announced")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=["wide", "tablet", "phone", "small phone"])
async def test_every_text_and_icon_has_enough_contrast(browser: Browser, size: tuple[int, int], scheme: Scheme) -> None:
    scenario = scenarios.all_states()
    async with open_page(browser, scenario, size, scheme) as page:
        await page.section("not_owned").locator("summary").click()
        await page.timeline("arcade sessions").hover()
        checked = await page.tab.evaluate(CONTRAST)
        assert [] == checked["failures"]
        assert checked["count"] > 150
        await page.alter(scenarios.paused_backfilled_and_refused)
        await page.tab.get_by_label("Search").fill("seemetrix")
        assert [] == (await page.tab.evaluate(CONTRAST))["failures"]
        await page.tab.get_by_label("Search").fill("")
        scenario.kafka.unavailable("no brokers", "start them")
        await page.refresh()
        await page.expect_summary("kafka_away")
        assert [] == (await page.tab.evaluate(CONTRAST))["failures"]


async def test_a_warning_has_enough_contrast(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    scenario.back_off("arcade sessions")
    for scheme in ("light", "dark"):
        async with open_page(browser, scenario, WIDE, scheme) as page:
            await page.expect_summary("backing_off", "1 of 10 streams", "arcade sessions")
            await expect(page.summary).to_have_attribute("data-tone", "warn")
            await expect(page.details).not_to_have_text("")
            assert [] == (await page.tab.evaluate(CONTRAST))["failures"]
