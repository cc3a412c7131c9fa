"""What the status page shows: errors first, each state in words, and reasons and advice as text."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.web import scenarios
from tests.web.browser import PHONE, SIZES, WIDE, Scheme, open_page
from tests.web.scenarios import HOUR, NOW, Scenario

pytestmark = pytest.mark.anyio

schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
sizes = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])


@schemes
@sizes
async def test_a_parked_stream_among_ten_healthy_ones_is_shown_first(
    browser: Browser, size: tuple[int, int], scheme: Scheme
) -> None:
    async with open_page(browser, scenarios.one_parked(), size, scheme) as page:
        await page.expect_summary("parked", "1 of 11 streams", "mall sessions")
        await expect(page.summary).to_have_attribute("data-tone", "bad")
        await expect(page.tab.locator("link[rel=icon]")).to_have_attribute("href", "page/icon-error.svg")
        parked = page.section("parked").locator(".group")
        heading = parked.get_by_role("heading", level=3)
        await expect(heading).to_have_text(f"T{scenarios.ADVICE[1:]}")  # a single one, which says what to do
        for text in ("mall · seemetrix · seemetrix.example:8443", "parked", "HTTP 401", "in 5 min"):
            await expect(parked).to_contain_text(text)
            box = await parked.get_by_text(text).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < size[1]  # visible without scrolling
        names = await page.tab.get_by_role("heading", level=4).all_text_contents()
        assert ["mall sessions", "arcade sessions"] == names[:2]
        assert size[0] == await page.width()
        kind = "wide" if size == WIDE else "phone"
        await page.screenshot(f"one-parked-{kind}-{scheme}")
        await page.screenshot(f"one-parked-{kind}-{scheme}-first-screen", whole=False)


async def test_when_all_streams_are_healthy_nothing_else_is_shown(browser: Browser) -> None:
    async with open_page(browser, scenarios.ten_healthy()) as page:
        await page.expect_summary("healthy")
        await expect(page.summary).to_have_attribute("data-tone", "good")
        await expect(page.details).to_have_text("")
        await expect(page.tab.locator("link[rel=icon]")).to_have_attribute("href", "page/icon.svg")
        await expect(page.section("live").locator(".stream")).to_have_count(10)
        for name in ("parked", "backing_off", "restoring", "catching_up", "paused", "complete", "not_owned", "notices"):
            await expect(page.section(name)).to_be_hidden()


async def test_streams_that_catch_up_are_counted_in_the_headline(browser: Browser) -> None:
    async with open_page(browser, scenarios.ten_healthy(more={"mall": 3 * HOUR})) as page:
        await page.expect_summary("healthy", "1 catching up")


async def test_every_state_is_shown_in_words_and_errors_come_first(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        await page.expect_summary("parked", "1 of 18 streams of this replica", "mall sessions")
        shown = await page.tab.locator("section").evaluate_all(
            "all => all.filter((each) => each.checkVisibility()).map((each) => each.id)"
        )
        expected = [
            "summary",
            "parked",
            "backing_off",
            "catching_up",
            "paused",
            "live",
            "complete",
            "not_owned",
            "legend",
            "kafka",
            "sources",
        ]
        assert expected == shown
        headings = await page.tab.get_by_role("heading", level=2).all_inner_texts()
        assert len(expected) == len(set(headings)), "each section has a heading of its own"
        for name, state in {
            "mall sessions": "parked",
            "kiosk sessions": "backing off",
            "arcade sessions": "live",
            "backfill sessions": "catching up",
            "atrium sessions": "paused",
            "last_year sessions": "complete",
        }.items():
            await expect(page.stream(name)).to_have_attribute("data-state", state.replace(" ", "_"))
            await expect(page.stream(name).get_by_text(state, exact=True)).to_be_visible()
        await expect(page.group("No response within the timeout of 60 s").locator(".advice")).to_be_visible()
        await expect(page.stream("backfill sessions")).to_contain_text("8 days behind")
        await expect(page.stream("arcade sessions")).to_contain_text("2 min behind, published up to 15:21")
        await expect(page.stream("arcade sessions")).to_contain_text(" events in 1 h")
        await expect(page.timeline("arcade devices")).to_have_count(0)
        await expect(page.stream("arcade devices").locator(".placeholder")).to_be_visible()
        await expect(page.stream("archive statistics").locator(".cell-length")).to_have_text("1 h per bar")
        await expect(page.section("kafka")).to_have_attribute("data-state", "ready")
        await expect(page.section("kafka")).to_contain_text("11: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")
        await expect(page.section("kafka")).to_contain_text("just now, 15:23")
        await expect(page.section("kafka")).to_contain_text("kafka-1.example:9092")
        await expect(page.section("kafka")).to_contain_text("collector-0 (this host) 11, collector-1 3, collector-2 2")
        court = page.section("sources").locator("li", has_text="court")
        await expect(court).to_contain_text("quividi · quividi.example:8443")
        await expect(court).to_contain_text("2 of 3 exports running")
        for role in ("banner", "main", "contentinfo"):
            await expect(page.tab.get_by_role(role)).to_have_count(1)


async def test_without_streams_the_page_shows_how_to_add_one(browser: Browser) -> None:
    async with open_page(browser, Scenario().connected()) as page:
        await page.expect_summary("no_streams")
        await expect(page.details).to_contain_text("config.toml")


async def test_an_outage_of_kafka_is_shown_first_with_its_reason(browser: Browser) -> None:
    async with open_page(browser, scenarios.kafka_away()) as page:
        await page.expect_summary("kafka_away")
        await expect(page.summary).to_have_attribute("data-tone", "bad")
        await expect(page.details).to_contain_text("no broker responds at kafka.example:9092: Connection refused")
        await expect(page.details).to_contain_text("since 15:23 (5 min)")
        await expect(page.section("kafka")).to_have_attribute("data-state", "away")
        section = page.section("not_owned")
        await section.locator("summary").click()
        await expect(section.locator(".explanation")).to_contain_text("Kafka")
        await expect(section.get_by_role("heading", level=2)).to_have_text("Not running here (10)")
        await page.screenshot("kafka-away-wide-light")


async def test_the_steps_of_a_start_are_shown_one_after_the_other(browser: Browser) -> None:
    scenario = Scenario()
    scenario.add("mall")
    async with open_page(browser, scenario) as page:
        await page.expect_summary("kafka_connecting")
        scenario.kafka.topics_refused("the topic seemetrix.sessions is missing", "create it with 6 partitions")
        await page.refresh()
        await page.expect_summary("kafka_refused")
        await expect(page.details).to_contain_text("seemetrix.sessions is missing; create it with 6 partitions")
        scenario.kafka.topics_ready()
        await page.refresh()
        await page.expect_summary("kafka_joining")
        scenario.kafka.assigned([1])
        scenario.kafka.coordinator_unavailable()
        await page.refresh()
        await page.expect_summary("kafka_no_coordinator")


async def test_a_stream_that_is_restored_shows_the_share_of_its_state_that_is_read(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    scenario.add("library").restoring(0.427)
    async with open_page(browser, scenario) as page:
        await page.expect_summary("restoring", "1 of 11 streams", "library sessions")
        await expect(page.stream("library sessions")).to_contain_text("The state is being restored · 42 %")
        bar = page.stream("library sessions").get_by_role("progressbar")
        await expect(bar).to_have_attribute("aria-valuenow", "42")
        await page.screenshot("restoring-wide-light", whole=False)


async def test_without_a_response_the_last_status_is_shown_as_out_of_date(browser: Browser) -> None:
    async with open_page(browser, scenarios.one_parked(), PHONE) as page:
        received = re.search(r"\d\d:\d\d:\d\d", await page.tab.locator("#updated").inner_text())
        assert received is not None
        await page.disconnect()
        await page.expect_summary("unreachable")
        await expect(page.summary).to_have_attribute("data-tone", "bad")
        await expect(page.details).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d"))
        await expect(page.details).to_contain_text(received[0])
        await expect(page.tab.locator("body.stale")).to_have_count(1)
        await expect(page.section("parked")).to_contain_text("HTTP 401")
        await page.screenshot("unreachable-phone-light", whole=False)
        assert {"Failed to load resource: net::ERR_FAILED"} == set(page.console_messages)
        page.console_messages.clear()

        await page.reconnect()

        await page.expect_summary("parked", "1 of 11 streams", "mall sessions")
        await expect(page.tab.locator("body.stale")).to_have_count(0)


async def test_two_hundred_streams_with_long_and_hostile_texts_fit_and_execute_nothing(browser: Browser) -> None:
    async with open_page(browser, scenarios.two_hundred_streams()) as page:
        await page.expect_summary("parked", "2 of 200 streams")
        await expect(page.details).to_contain_text("3 other streams")
        await expect(page.tab.get_by_role("heading", level=4)).to_have_count(200)
        await expect(page.tab.get_by_text(scenarios.HOSTILE.strip()).first).to_be_visible()
        assert 0 == await page.tab.locator("img, main script").count()
        for size in SIZES:
            await page.resize(size)
            assert size[0] == await page.width()
            await page.screenshot(f"two-hundred-streams-{size[0]}-light", whole=False)


@schemes
async def test_the_page_fits_every_size(browser: Browser, scheme: Scheme) -> None:
    async with open_page(browser, scenarios.all_states(), PHONE, scheme) as page:
        await page.alter(scenarios.paused_backfilled_and_refused)
        await page.section("not_owned").locator("summary").click()
        for size in SIZES:
            await page.resize(size)
            await page.timeline("archive statistics").hover()
            assert size[0] == await page.width()
            await page.screenshot(f"all-states-{size[0]}-{scheme}")


async def test_ages_are_computed_with_the_clock_of_the_collector(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    async with open_page(browser, scenario) as page:
        scenario.clock.pass_s(3 * 3600)
        await page.refresh()
        await expect(page.stream("arcade sessions")).to_contain_text("3 h behind")
        await expect(page.section("kafka")).to_contain_text(f"3 h ago, {(NOW + HOUR):%H:%M}")
