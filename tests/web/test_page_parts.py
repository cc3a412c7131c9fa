"""What the status page shows beside states and errors: owners, groups, scales, notices and sources; and the search."""

import re

import pytest
from playwright.async_api import Browser, expect

from collector.model import Tally
from tests.web import scenarios
from tests.web.browser import PHONE, SIZES, SMALL_PHONE, Scheme, open_page
from tests.web.scenarios import HOSTILE, MINUTE, NOW

pytestmark = pytest.mark.anyio

schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
WORDS_OF_NAMES = """() => [...document.querySelectorAll(".stream h4")].flatMap((name) =>
  [...name.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((word) => {
    const range = document.createRange();
    range.selectNode(word);
    return [word.data, new Set([...range.getClientRects()].map((box) => box.top)).size];
  }))"""
"""The parts of the names between which a line may be broken, and on how many lines each of them is."""


async def test_streams_of_other_replicas_are_listed_on_demand(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        section = page.section("not_owned")
        await expect(page.details).to_contain_text("collector-1 owns 3 other streams and collector-2 owns 2")
        await expect(page.details).to_contain_text("1 other stream without an owner")
        await expect(section.get_by_text("other_3 sessions")).to_be_hidden()

        await section.locator("summary").press("Enter")

        await expect(section.get_by_text("other_3 sessions")).to_be_visible()
        await expect(section.locator("summary")).to_contain_text("6 streams")
        await expect(section.locator(".explanation")).to_be_visible()
        titles = await section.locator("dt").all_inner_texts()
        assert ["no owner yet (1)", "collector-1 (3)", "collector-2 (2)"] == titles


@schemes
async def test_a_replica_that_owns_no_streams_is_on_standby_and_names_the_owner(
    browser: Browser, scheme: Scheme
) -> None:
    scenario = scenarios.standby()
    async with open_page(browser, scenario, scheme=scheme) as page:
        await page.expect_summary("none_owned", "standby")
        await expect(page.summary).to_have_attribute("data-tone", "wait")
        await expect(page.tab.locator("link[rel=icon]")).to_have_attribute("href", "page/icon-neutral.svg")
        await expect(page.details).to_contain_text("collector-1 owns 2 streams")
        await expect(page.section("not_owned").get_by_text("mall devices")).to_be_visible()
        await page.screenshot(f"standby-wide-{scheme}")
        scenario.kafka.owners_unknown("no response in time")
        await page.refresh()
        await expect(page.details).to_contain_text("2 streams: the owner is not known (no response in time)")
        await expect(page.section("kafka")).to_contain_text("not known: no response in time")


async def test_a_replica_is_not_green_while_another_one_owns_a_stream(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    async with open_page(browser, scenario) as page:
        await page.expect_summary("healthy", "All 10 streams are healthy")
        await expect(page.summary).to_have_attribute("data-tone", "good")
        scenario.add("other")
        scenario.elsewhere(other="collector-1")
        await page.refresh()
        await page.expect_summary("healthy", "All 10 streams of this replica are healthy")
        await expect(page.summary).to_have_attribute("data-tone", "wait")
        await expect(page.details).to_contain_text("collector-1 owns 1 other stream. ")


async def test_streams_of_a_source_with_the_same_error_share_a_card(browser: Browser) -> None:
    scenario = scenarios.one_parked()
    for stream in ("attention", "emotions"):
        scenario.live("mall", stream)
        scenario.park(f"mall {stream}")
    scenario.park("arcade sessions", "HTTP 403", "allow the key to read sessions")
    async with open_page(browser, scenario) as page:
        await expect(page.section("parked").locator(".group")).to_have_count(2)
        card = page.group(f"T{scenarios.ADVICE[1:]}")
        names = await card.get_by_role("heading", level=4).all_text_contents()
        assert ["mall sessions", "mall attention", "mall emotions"] == names


async def test_a_timeline_has_a_scale_of_round_times_that_ends_now(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        scale = page.timeline("mall sessions").locator(".scale")
        assert ["18:00", "00:00", "06:00", "12:00"] == await scale.locator(".tick").all_inner_texts()
        await expect(scale.locator(".now")).to_have_text("now")


async def test_paused_streams_backfills_and_a_refused_configuration_are_shown(browser: Browser) -> None:
    async with open_page(browser, scenarios.ten_healthy()) as page:
        await page.alter(scenarios.paused_backfilled_and_refused)

        await page.expect_summary("config_refused")
        await expect(page.summary).to_have_attribute("data-tone", "warn")
        await expect(page.details).to_contain_text("11 of 12 streams healthy · 1 catching up · 1 paused")
        await expect(page.section("config")).to_contain_text("refused at 15:03 (20 min ago)")
        await expect(page.section("config")).to_contain_text("sources.mall.user_id: missing")
        paused = page.section("paused").locator(".stream")
        await expect(paused.locator(".notes")).to_have_text(
            "Paused by ops@laptop since 13:00 until 17:00: the key is rotated"
        )
        backfill = page.section("catching_up").locator(".stream")
        await expect(backfill).to_contain_text("Older data from Sat 1 Aug, 02:00 to Sat 31 Oct, 01:00 · 42 %")
        await expect(backfill.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "42")
        await expect(page.timeline("bazaar sessions backfill")).to_have_count(0)
        waiting = page.section("live").locator(".stream").filter(has_text="attention backfill")
        await expect(waiting).to_contain_text("· 100 % · waits for late records until Sat 7 Nov, 01:00")


async def test_the_search_finds_streams_by_name_vendor_host_and_state(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states()) as page:
        search, shown = page.tab.get_by_label("Search"), page.tab.locator("li.stream:visible")
        for query, names in {
            "QUIVIDI live": ["court viewers", "forum viewers", "island viewers"],
            "arcade": ["arcade devices", "arcade sessions"],
            "catching seemetrix.example": ["backfill sessions", "arcade devices"],
            "parked": ["mall sessions"],
        }.items():
            await search.fill(query)
            assert names == await shown.get_by_role("heading", level=4).all_text_contents()
        await expect(page.section("live")).to_be_hidden()
        await expect(page.tab.locator("#found")).to_have_text("1 of 24 streams")
        await expect(page.announcement).to_have_text("1 of 24 streams")
        await page.refresh()
        await expect(shown).to_have_count(1)  # a refresh keeps the search
        await search.fill("collector-2")
        await expect(page.section("not_owned").get_by_text("other_1 sessions")).to_be_visible()
        await search.fill("nothing like this")
        await expect(page.tab.locator("#none-found")).to_be_visible()
        await search.press("Escape")
        await expect(shown).to_have_count(18)


async def test_notices_dead_letters_and_missing_records_are_shown_with_their_stream(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    telemetry, checkpoint = scenario.streams["arcade sessions"], scenario.checkpoints["arcade sessions"]
    telemetry.since_ignored(NOW, checkpoint)
    telemetry.committed(Tally({"rejected": 3}, {}, {"malformed": 3}), checkpoint, 1, NOW)
    telemetry.missing_records(2, ())
    async with open_page(browser, scenario) as page:
        notes = page.stream("arcade sessions")
        notice = page.section("notices").locator("li")
        await expect(notice).to_have_text(f"arcade sessions{telemetry._status.notices[0]}")
        await expect(notes).to_contain_text("3 dead letters")
        await expect(notes).to_contain_text("2 numbered records")


async def test_a_notice_of_a_source_is_shown_once(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    scenario.live("arcade", "attention")
    scenario.source("arcade").notices = ["its zone is doubtful"]
    async with open_page(browser, scenario) as page:
        await expect(page.tab.get_by_text("its zone is doubtful")).to_have_count(1)
        await expect(page.section("notices").locator("li")).to_have_text("arcadeits zone is doubtful")
        await expect(page.tab.locator("#to-notices")).to_have_text("1 notice")
        await page.expect_summary("healthy")


async def test_the_proxy_of_a_source_is_shown_beside_its_name(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    long = f"proxy_of_the_{'very_' * 20}large_shopping_centre.example:3128 (HTTPS_PROXY)"
    scenario.exports("<b>museum</b>", 0, long)
    scenario.exports("library", 0, "proxy.example:3128 (HTTPS_PROXY)")
    async with open_page(browser, scenario, PHONE) as page:
        library = page.section("sources").locator("li", has_text="library")
        await expect(library).to_contain_text(
            "library quividi · quividi.example:8443 · by the proxy proxy.example:3128 (HTTPS_PROXY)"
        )
        await expect(page.section("sources")).to_contain_text("<b>museum</b>")
        await expect(page.section("sources").get_by_text("by the proxy")).to_have_count(2)
        for size in SIZES:
            await page.resize(size)
            assert size[0] == await page.width()
            await page.screenshot(f"proxies-{size[0]}-light")


async def test_the_places_of_a_source_are_counted_and_the_worst_ones_listed(browser: Browser) -> None:
    async with open_page(browser, scenarios.all_states(), PHONE) as page:
        places = page.section("sources").locator("li", has_text="lobby")
        await expect(places).to_contain_text("Places: 2,317 uploading, 1 late, 1 silent, 4 inactive, 1 unknown")
        worst = places.locator(".worst li")
        await expect(worst).to_have_count(3)
        await expect(worst.first).to_have_text(f"5121 {HOSTILE.rstrip()} : silent, last upload 31 h ago")
        await expect(worst.last).to_have_text("5122: unknown, no known upload")
        for size in SIZES:
            await page.resize(size)
            assert size[0] == await page.width()
            await page.screenshot(f"places-{size[0]}-light")


async def test_without_places_and_proxies_none_are_shown(browser: Browser) -> None:
    async with open_page(browser, scenarios.ten_healthy()) as page:
        await expect(page.section("sources")).to_contain_text("arcade")
        await expect(page.section("sources")).not_to_contain_text(re.compile("Places|proxy"))


async def test_the_name_of_a_shard_is_not_broken_inside_a_word(browser: Browser) -> None:
    scenario = scenarios.ten_healthy()
    scenario.live("court", "viewers@America/Argentina/Buenos_Aires", "quividi", settle=45 * MINUTE)
    async with open_page(browser, scenario, SMALL_PHONE) as page:
        words = await page.tab.evaluate(WORDS_OF_NAMES)
        assert {"viewers@", "America/", "Argentina/", "Buenos_", "Aires"} <= {word for word, _ in words}
        assert {1} == {lines for _, lines in words}
