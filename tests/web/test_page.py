"""What somebody sees who looks at the status page: trouble first, everything in words, and nothing that is not so."""

import pytest
from playwright.async_api import Browser, expect

from collector.model import Tally
from tests.web import boards
from tests.web.boards import HOUR, NOW, Told
from tests.web.browser import PHONE, SMALL_PHONE, WIDE, Scheme, seeing

pytestmark = pytest.mark.anyio

SIZES = (WIDE, PHONE, SMALL_PHONE)
schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
sizes = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])


@schemes
@sizes
async def test_one_broken_account_among_ten_is_what_is_seen_first(
    browser: Browser, size: tuple[int, int], scheme: Scheme
) -> None:
    headline = "1 of 11 streams needs you: mall sessions is parked"
    async with seeing(browser, boards.one_parked(), size, scheme) as seen:
        await expect(seen.headline).to_have_text(headline)
        await expect(seen.page).to_have_title(f"⚠ {headline} · collector")
        await expect(seen.page.locator("link[rel=icon]")).to_have_attribute("href", "page/icon-trouble.svg")
        broken = seen.region("Needs you").get_by_role("listitem")
        for text in ("mall sessions", "parked", "HTTP 401", f"What to do: {boards.ADVICE}", "again in 5 min"):
            await expect(broken).to_contain_text(text)
            box = await broken.get_by_text(text).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] < size[1]  # without scrolling
        names = await seen.page.get_by_role("heading", level=3).all_inner_texts()
        assert ["mall sessions", "arcade sessions"] == names[:2]
        assert size[0] == await seen.width()
        kind = "wide" if size == WIDE else "phone"
        await seen.screenshot(f"one-parked-{kind}-{scheme}")
        await seen.screenshot(f"one-parked-{kind}-{scheme}-first-sight", whole=False)


async def test_when_all_is_well_that_is_all_it_says(browser: Browser) -> None:
    async with seeing(browser, boards.ten_healthy()) as seen:
        await expect(seen.headline).to_have_text("All 10 streams are well")
        await expect(seen.page).to_have_title("All 10 streams are well · collector")
        await expect(seen.details).to_have_text("")
        await expect(seen.page.locator("link[rel=icon]")).to_have_attribute("href", "page/icon.svg")
        await expect(seen.region("Running").get_by_role("listitem")).to_have_count(10)
        await expect(seen.region("Needs you")).to_have_count(0)


async def test_every_state_is_said_in_words_and_trouble_stands_before_the_rest(browser: Browser) -> None:
    async with seeing(browser, boards.all_kinds()) as seen:
        sections = await seen.page.get_by_role("heading", level=2).all_inner_texts()
        assert [
            "1 of 17 streams here needs you: mall sessions is parked",
            "Needs you",
            "Waits, and is tried again by itself",
            "Running",
            "Complete",
            "Not run here",
            "How to read the strips",
            "Kafka",
            "Exports at the vendor",
        ] == sections
        for name, state in {
            "mall sessions": "parked",
            "kiosk sessions": "backing off",
            "arcade sessions": "live",
            "backfill sessions": "catching up",
            "last_year sessions": "complete",
        }.items():
            await expect(seen.stream(name).get_by_text(state, exact=True)).to_be_visible()
        await expect(seen.stream("kiosk sessions")).to_contain_text("Nothing to do: it is tried again")
        await expect(seen.stream("backfill sessions")).to_contain_text("8 days behind")
        await expect(seen.stream("arcade sessions")).to_contain_text("2 min behind, published up to 15:21")
        await expect(seen.stream("arcade devices")).to_contain_text("Told as it is now: there is no past to show.")
        await expect(seen.stream("archive statistics")).to_contain_text("1 h a bar")
        await expect(seen.stream("arcade sessions")).to_contain_text(" events in 1 h")
        await expect(seen.region("Kafka")).to_contain_text("answers; the group is joined")
        await expect(seen.region("Kafka")).to_contain_text("11: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")
        await expect(seen.region("Kafka")).to_contain_text("just now, 15:23")
        await expect(seen.region("Exports at the vendor")).to_contain_text("court 2 of 3 in use")
        for role in ("banner", "main", "contentinfo"):
            await expect(seen.page.get_by_role(role)).to_have_count(1)


async def test_what_another_replica_runs_is_folded_and_says_what_that_means(browser: Browser) -> None:
    async with seeing(browser, boards.all_kinds()) as seen:
        folded = seen.region("Not run here")
        await expect(seen.details).to_contain_text("6 others are with another replica.")
        await expect(folded.get_by_text("other_3 sessions")).to_be_hidden()

        await folded.locator("summary").press("Enter")

        await expect(folded.get_by_text("other_3 sessions")).to_be_visible()
        await expect(folded).to_contain_text("6 streams with another replica")
        await expect(folded).to_contain_text("Another one runs these, or this one is just taking them over")


async def test_all_streams_with_another_replica_are_no_trouble(browser: Browser) -> None:
    told = Told().connected()
    told.add("mall")
    async with seeing(browser, told) as seen:
        await expect(seen.headline).to_have_text("1 stream is with another replica")
        await expect(seen.page).to_have_title("1 stream is with another replica · collector")


async def test_what_else_there_is_to_know_of_a_stream_stands_with_it(browser: Browser) -> None:
    told = boards.ten_healthy()
    telemetry, checkpoint = told.streams["arcade sessions"], told.checkpoints["arcade sessions"]
    telemetry.since_ignored(NOW, checkpoint)
    telemetry.committed(Tally({"rejected": 3}, {}, {"malformed": 3}), checkpoint, 1, NOW)
    telemetry.missing_records(2, ())
    async with seeing(browser, told) as seen:
        notes = seen.stream("arcade sessions")
        await expect(notes).to_contain_text(telemetry._status.notices[0])
        await expect(notes).to_contain_text("3 rows could not be understood: see the topic collector.dead_letters")
        await expect(notes).to_contain_text("2 numbered records have not been received so far")


async def test_nothing_configured_says_what_to_do(browser: Browser) -> None:
    async with seeing(browser, Told().connected()) as seen:
        await expect(seen.headline).to_have_text("No stream is configured")
        await expect(seen.details).to_contain_text("Add a source to config.toml")


async def test_kafka_away_stands_on_top_with_the_reason(browser: Browser) -> None:
    async with seeing(browser, boards.kafka_away()) as seen:
        await expect(seen.headline).to_have_text("Kafka is away")
        await expect(seen.page).to_have_title("⚠ Kafka is away · collector")
        await expect(seen.details).to_contain_text("no broker answers at kafka.example:9092: Connection refused")
        await expect(seen.details).to_contain_text("nothing is lost: it goes on by itself. Since 15:23, for 5 min.")
        await expect(seen.region("Kafka")).to_contain_text("does not answer")
        folded = seen.region("Not run here")
        await folded.locator("summary").click()
        await expect(folded).to_contain_text(
            "Without Kafka nobody knows who runs them. They go on from where they were."
        )
        await seen.screenshot("kafka-away-wide-light")


async def test_what_the_process_waits_for_is_said_while_it_begins(browser: Browser) -> None:
    told = Told()
    told.add("mall")
    async with seeing(browser, told) as seen:
        await expect(seen.headline).to_have_text("Connecting to Kafka …")
        told.kafka.topics_refused("the topic seemetrix.sessions is missing", "create it with 6 partitions")
        await seen.refresh()
        await expect(seen.headline).to_have_text("Kafka needs you")
        await expect(seen.details).to_contain_text("seemetrix.sessions is missing; create it with 6 partitions")
        told.kafka.topics_ready()
        await seen.refresh()
        await expect(seen.headline).to_have_text("Joining the other replicas …")
        told.kafka.assigned([1])
        told.kafka.coordinator_unavailable("")
        await seen.refresh()
        await expect(seen.headline).to_have_text("Kafka's group coordinator does not answer")


async def test_a_stream_whose_state_is_read_shows_how_much_of_it(browser: Browser) -> None:
    told = boards.ten_healthy()
    told.add("library").restoring(0.427)
    async with seeing(browser, told) as seen:
        await expect(seen.headline).to_have_text("Restoring 1 of 11 streams: library sessions")
        await expect(seen.stream("library sessions")).to_contain_text("restoring · 42 %")
        await expect(seen.stream("library sessions")).to_contain_text("Its state is being read.")
        await seen.screenshot("restoring-wide-light", whole=False)


async def test_an_answer_that_does_not_come_makes_what_is_shown_old_and_says_since_when(browser: Browser) -> None:
    async with seeing(browser, boards.one_parked(), PHONE) as seen:
        await seen.lose()
        await expect(seen.headline).to_have_text("The collector does not answer")
        await expect(seen.page).to_have_title("⚠ The collector does not answer · collector")
        await expect(seen.details).to_contain_text("No answer since ")
        await expect(seen.details).to_contain_text("is old")
        await expect(seen.stream("mall sessions")).to_contain_text("HTTP 401")
        await seen.screenshot("lost-phone-light", whole=False)
        assert {"Failed to load resource: net::ERR_FAILED"} == set(seen.complaints)
        seen.complaints.clear()

        await seen.page.unroute("**/api/status")
        await seen.refresh()

        await expect(seen.headline).to_have_text("1 of 11 streams needs you: mall sessions is parked")


async def test_two_hundred_streams_with_long_and_hostile_texts_fit_and_do_nothing(browser: Browser) -> None:
    async with seeing(browser, boards.many()) as seen:
        await expect(seen.headline).to_have_text("2 of 200 streams need you")
        await expect(seen.details).to_contain_text("3 more are backing off, and will be tried again.")
        await expect(seen.page.get_by_role("heading", level=3)).to_have_count(200)
        await expect(seen.page.get_by_text(boards.HOSTILE.strip()).first).to_be_visible()
        assert 0 == await seen.page.locator("img, main script").count()
        for size in SIZES:
            await seen.resize(size)
            assert size[0] == await seen.width()
            await seen.screenshot(f"many-{size[0]}-light", whole=False)


async def test_nothing_stands_out_of_a_phone(browser: Browser) -> None:
    async with seeing(browser, boards.all_kinds(), PHONE) as seen:
        await seen.region("Not run here").locator("summary").click()
        for size in (PHONE, SMALL_PHONE):
            await seen.resize(size)
            await seen.day("archive statistics").hover()
            assert size[0] == await seen.width()
            await seen.screenshot(f"all-kinds-{size[0]}-light")


async def test_how_long_ago_is_by_the_clock_of_the_collector(browser: Browser) -> None:
    told = boards.ten_healthy()
    async with seeing(browser, told) as seen:
        told.clock.pass_s(3 * 3600)
        await seen.refresh()
        await expect(seen.stream("arcade sessions")).to_contain_text("3 h behind")
        await expect(seen.region("Kafka")).to_contain_text(f"3 h ago, {(NOW + HOUR):%H:%M}")
