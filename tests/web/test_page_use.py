"""The status page is used: pointed at, walked along with the keys, read out, looked at in both schemes."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from collector.model import Window
from collector.telemetry.status import ProcessStatus
from tests.web import boards
from tests.web.boards import NOW
from tests.web.browser import PHONE, SMALL_PHONE, WIDE, Scheme, Seen, seeing

pytestmark = pytest.mark.anyio

CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")


def cells(process_status: ProcessStatus, name: str) -> list[tuple[str, int | None]]:
    """What the status says of a stream's strip: of each cell, of what kind it is and how many records."""
    rows: Any = process_status.as_json(NOW)["streams"]
    (row,) = (each for each in rows if f"{each['source']} {each['stream']}" == name)
    kinds = [kind for many, kind in row["strip"]["kinds"] for _ in range(many)]
    return list(zip(kinds, row["strip"]["counts"], strict=True))


async def point_at(seen: Seen, name: str, nth: int, of: int) -> None:
    strip = seen.day(name)
    await strip.scroll_into_view_if_needed()
    box = await strip.bounding_box()
    assert box is not None
    await seen.page.mouse.move(box["x"] + (nth + 0.5) * box["width"] / of, box["y"] + box["height"] / 2)


async def test_pointing_at_a_cell_shows_its_number_its_time_and_how_sure_that_is(browser: Browser) -> None:
    told = boards.all_kinds()
    found = cells(told.process_status, "arcade sessions")
    assert 144 == len(found)
    async with seeing(browser, told) as seen:
        bubble = seen.day("arcade sessions").locator(".bubble")
        await expect(bubble).to_be_hidden()
        await point_at(seen, "arcade sessions", 137, 144)
        await expect(bubble).to_be_visible()
        await expect(bubble).to_have_text(
            f"{found[137][1]} records14:20 to 14:30 · published: late ones may still come"
        )
        await point_at(seen, "arcade sessions", 143, 144)
        await expect(bubble).to_contain_text(f"{found[143][1]} records")
        await expect(bubble).to_contain_text("15:20 to 15:30 · asked for in part, or just now: more may come")
        await point_at(seen, "archive sessions", 3, 144)
        await expect(bubble).to_be_hidden()
        await expect(seen.day("archive sessions").locator(".bubble")).to_contain_text(
            "number no longer knownSat 31 Oct, 16:00 to 16:10 · final: nothing more is expected"
        )
        await point_at(seen, "backfill sessions", 3, 144)
        await expect(seen.day("backfill sessions")).to_contain_text("nothing yet")
        await expect(seen.day("backfill sessions")).to_contain_text("not asked for yet")
        await seen.screenshot("pointed-at-wide-light", whole=False)


async def test_what_a_finger_points_at_stays_shown_when_it_is_lifted(browser: Browser) -> None:
    told = boards.all_kinds()
    async with seeing(browser, told, PHONE) as seen:
        await seen.day("arcade sessions").tap()
        count = cells(told.process_status, "arcade sessions")[72][1]
        await expect(seen.day("arcade sessions").locator(".bubble b")).to_have_text(f"{count} records")
        await expect(seen.day("arcade sessions").locator(".bubble")).to_be_visible()
        await seen.page.get_by_role("heading", level=1).tap()
        await expect(seen.day("arcade sessions").locator(".bubble")).to_be_hidden()


async def test_the_keys_walk_along_a_strip_and_say_each_cell(browser: Browser) -> None:
    told = boards.all_kinds()
    found = cells(told.process_status, "arcade sessions")
    async with seeing(browser, told, PHONE) as seen:
        strip = seen.day("arcade sessions")
        await strip.focus()
        await expect(strip.locator(".bubble")).to_be_visible()
        for key, nth in {"ArrowLeft": 142, "PageDown": 136, "ArrowRight": 137, "Home": 0, "End": 143}.items():
            await seen.page.keyboard.press(key)
            await expect(strip).to_have_attribute("aria-valuenow", str(nth))
            kind, count = found[nth]
            text = await strip.get_attribute("aria-valuetext") or ""
            assert text.startswith(f"{count} record")
            assert kind in text.replace("asked for in part", "partly")
        await seen.page.keyboard.press("Escape")
        await expect(strip.locator(".bubble")).to_be_hidden()


async def test_everything_that_can_be_used_is_reached_with_the_tab_key(browser: Browser) -> None:
    async with seeing(browser, boards.all_kinds()) as seen:
        reached = []
        for _ in range(22):
            await seen.page.keyboard.press("Tab")
            reached.append(
                await seen.page.evaluate(
                    "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText"
                )
            )
        assert ["Skip to the streams", "mall sessions: records of the last 24 h"] == reached[:2]
        assert ["6 streams with another replica", "Status as JSON", "Metrics", "Ready?"] == reached[16:20]


async def test_the_kinds_of_cells_are_told_apart_without_colours(browser: Browser) -> None:
    async with seeing(browser, boards.all_kinds()) as seen:
        looks = await seen.page.evaluate(
            """() => ["final", "published", "partly", "waiting"].map((kind) => {
              const style = getComputedStyle(document.querySelector(`.strip .rail-${kind}`));
              return `${style.borderTopStyle} ${style.borderTopWidth}`;
            })"""
        )
        assert 4 == len(set(looks))
        assert ["solid 5px", "solid 2px"] == looks[:2]
        legend = await seen.page.locator(".kinds .sample").evaluate_all(
            """all => all.map(getComputedStyle).map((each) => `${each.borderTopStyle} ${each.borderTopWidth}`)"""
        )
        assert looks == legend


async def test_the_focus_stays_where_it_is_over_refreshes_and_when_the_stream_moves(browser: Browser) -> None:
    told = boards.ten_healthy()
    async with seeing(browser, told) as seen:
        strip = seen.day("forum viewers")
        await strip.focus()
        await seen.page.keyboard.press("Home")
        told.clock.pass_s(5)
        await seen.refresh()
        await expect(strip).to_be_focused()
        await expect(strip).to_have_attribute("aria-valuenow", "0")

        told.park("forum viewers")
        await seen.refresh()

        await expect(seen.region("Needs you").get_by_role("slider")).to_be_focused()
        told.streams["forum viewers"].polled(
            Window(NOW, NOW), 0, 0.1, told.checkpoints["forum viewers"], behind=False, now=NOW
        )
        await seen.refresh()
        await expect(seen.headline).to_have_text("All 10 streams are well")
        await expect(strip).to_be_focused()


async def test_only_what_changed_is_read_out(browser: Browser) -> None:
    told = boards.ten_healthy()
    async with seeing(browser, told) as seen:
        await expect(seen.page.get_by_role("status")).to_have_text("All 10 streams are well")
        await seen.page.evaluate(
            """() => {
              window.said = [];
              const live = document.querySelector("[role=status]");
              const options = { childList: true, characterData: true, subtree: true };
              new MutationObserver(() => window.said.push(live.textContent)).observe(live, options);
            }"""
        )
        for _ in range(3):
            told.clock.pass_s(60)
            await seen.refresh()
            await expect(seen.stream("arcade sessions")).to_contain_text(" behind")
        assert [] == await seen.page.evaluate("window.said")
        assert 1 == await seen.page.locator("[role=status], [role=alert], [aria-live]").count()

        told.park("forum viewers")
        await seen.refresh()

        headline = "1 of 10 streams needs you: forum viewers is parked"
        await expect(seen.page.get_by_role("status")).to_have_text(headline)
        assert [headline] == await seen.page.evaluate("window.said")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, SMALL_PHONE], ids=["wide", "small phone"])
async def test_every_text_and_mark_has_contrast(browser: Browser, size: tuple[int, int], scheme: Scheme) -> None:
    told = boards.all_kinds()
    async with seeing(browser, told, size, scheme) as seen:
        await seen.region("Not run here").locator("summary").click()
        await seen.day("arcade sessions").hover()
        judged = await seen.page.evaluate(CONTRAST)
        assert [] == judged["found"]
        assert judged["looked"] > 150
        await seen.screenshot(f"all-kinds-{'wide' if size == WIDE else 'phone'}-{scheme}")
        told.kafka.unavailable("no brokers", "start them")
        await seen.refresh()
        await expect(seen.headline).to_have_text("Kafka is away")
        assert [] == (await seen.page.evaluate(CONTRAST))["found"]


async def test_a_warning_has_contrast_too(browser: Browser) -> None:
    told = boards.ten_healthy()
    told.back_off("arcade sessions")
    for scheme in ("light", "dark"):
        async with seeing(browser, told, WIDE, scheme) as seen:
            await expect(seen.headline).to_have_text("1 of 10 streams is backing off: arcade sessions")
            await expect(seen.details).to_contain_text("Nothing for you to do: what failed is tried again.")
            assert [] == (await seen.page.evaluate(CONTRAST))["found"]
