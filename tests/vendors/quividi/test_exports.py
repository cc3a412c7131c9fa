"""An export is built once, found again after troubles, rebuilt seldom, and never taken for newer than it is."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.model import Window
from tests.simulated import START, SimulatedClock
from tests.vendors.quividi.example import EXPERT
from tests.vendors.quividi.vidicenter import (
    HOUR,
    TOKEN,
    USER,
    VidiCenter,
    ask,
    assert_keeps_the_account,
    records,
    viewers,
)

pytestmark = pytest.mark.anyio

QUERY = "data_type=viewers&time_resolution=finest&start=2018-01-29T01:00:00&end=2018-01-29T01:59:59&locations=1056"
LOCATIONS_AND_SITES = {"locations": [1056], "sites": [178]}


def center(*, builds_for: float = 5) -> VidiCenter:
    vendor = VidiCenter(builds_for=timedelta(seconds=builds_for))
    vendor.data = lambda _: b"[" + b",".join(EXPERT) + b"]"
    return vendor


def broken() -> web.Response:
    return web.Response(status=500, text=f"{USER} {TOKEN}")


async def test_an_export_that_nobody_asked_for_is_built_once_and_polled_until_it_is_there() -> None:
    vendor = center(builds_for=60)
    async with viewers(vendor) as lobby:
        assert 2 == len(records(await ask(lobby, HOUR)))

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert timedelta(minutes=1) < vendor.clock.now() - START < timedelta(minutes=2)


async def test_an_old_export_is_rebuilt_once_and_a_poll_never_forces_another_rebuild() -> None:
    vendor = center(builds_for=60)
    vendor.build(QUERY, ends=START)
    vendor.clock.pass_s(3600)
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert [QUERY, f"{QUERY}&force_rebuild=1", QUERY] == vendor.queries[:3]
    assert (1, 2) == (vendor.forced, len(vendor.builds))
    assert START + timedelta(hours=1) == answer.vendor_now


async def test_an_export_that_another_replica_started_is_taken_for_no_newer_than_its_window() -> None:
    vendor = center()
    vendor.build(QUERY)
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert HOUR.end - timedelta(seconds=1) == answer.vendor_now


async def test_such_an_export_is_taken_for_no_newer_than_its_window_also_when_the_clock_was_set_back() -> None:
    window = Window(datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 15, tzinfo=UTC))
    vendor = VidiCenter(SimulatedClock(window.end))
    vendor.build(
        QUERY.replace("2018-01-29T01:00:00", "2026-10-25T01:00:00").replace(
            "2018-01-29T01:59:59", "2026-10-25T03:14:59"
        )
    )
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, window)

    assert 1 == len(vendor.builds)
    assert window.end - timedelta(seconds=1) == answer.vendor_now


async def test_an_export_that_nobody_asked_about_for_long_is_taken_for_no_newer_than_its_window() -> None:
    vendor = center(builds_for=3600)
    vendor.trouble = {2: broken}
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater):
            await ask(lobby, HOUR)
        vendor.clock.pass_s(601)
        [answer] = await ask(lobby, HOUR)

    assert 1 == len(vendor.builds)
    assert HOUR.end - timedelta(seconds=1) == answer.vendor_now


async def test_the_exports_of_the_account_s_old_owner_are_waited_for_without_an_error() -> None:
    vendor = center()
    for name in "abc":
        vendor.build(name, ends=START + timedelta(minutes=5))
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert vendor.refused > 1
    assert (0, 4, 3) == (vendor.forced, len(vendor.builds), vendor.most_running)
    assert answer.vendor_now is not None
    assert answer.vendor_now <= vendor.builds[3].began
    assert vendor.builds[3].began >= START + timedelta(minutes=5)


async def test_a_vendor_that_throttles_for_ever_is_trouble_in_the_end() -> None:
    vendor = center()
    for name in "abc":
        vendor.build(name, ends=START + timedelta(days=1))
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater, match="HTTP 429") as raised:
            await ask(lobby, HOUR)

    assert raised.value.throttled
    assert timedelta(minutes=10) < vendor.clock.now() - START < timedelta(minutes=40)


async def test_as_long_as_the_vendor_asks_to_wait_is_waited() -> None:
    vendor = center()
    vendor.trouble = {0: lambda: web.Response(status=429, headers={"Retry-After": "400"})}
    async with viewers(vendor) as lobby:
        await ask(lobby, HOUR)

    assert vendor.builds[0].began >= START + timedelta(seconds=400)


async def test_after_a_poll_that_fails_the_same_export_is_found_again_and_no_other_is_started() -> None:
    vendor = center(builds_for=600)
    vendor.trouble = {2: broken, 5: broken}
    async with viewers(vendor) as lobby:
        for _ in range(2):
            with pytest.raises(RetryLater, match="HTTP 500") as raised:
                await ask(lobby, HOUR)
            assert_keeps_the_account(raised.value)
            vendor.clock.pass_s(120)
        [answer] = await ask(lobby, HOUR)

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert START == answer.vendor_now


async def test_a_rebuild_that_was_not_heard_of_is_taken_or_made_again_but_never_for_newer_than_it_is() -> None:
    vendor = center()
    vendor.build(QUERY, ends=START)
    vendor.trouble = {1: broken}
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater):
            await ask(lobby, HOUR)
        vendor.clock.pass_s(60)
        [answer] = await ask(lobby, HOUR)

    assert START + timedelta(seconds=60) == answer.vendor_now


@pytest.mark.parametrize("outcome", ["failed", "no list"])
async def test_an_export_that_fails_is_rebuilt_a_few_times_and_then_is_the_operator_s_case(outcome: str) -> None:
    vendor = center()
    vendor.outcome = lambda _: outcome
    async with viewers(vendor) as lobby:
        with pytest.raises(Park, match="the export failed 3 times") as raised:
            await ask(lobby, HOUR)

    assert 3 == vendor.forced
    assert "Quividi" in raised.value.advice
    assert_keeps_the_account(raised.value)
    assert timedelta(seconds=370) < vendor.clock.now() - START < timedelta(seconds=430)


async def test_an_export_that_fails_once_is_rebuilt_and_taken() -> None:
    vendor = center()
    vendor.outcome = lambda _: "finished" if vendor.builds else "failed"
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert (1, 2) == (vendor.forced, len(vendor.builds))
    assert vendor.builds[1].began == answer.vendor_now


async def retried(vendor: VidiCenter, hours: int, every_s: float, **settings: object) -> None:
    """The stream is parked, and tried again, for so long."""
    async with viewers(vendor, **settings) as lobby:
        while vendor.clock.now() < START + timedelta(hours=hours):
            with pytest.raises(Park):
                await ask(lobby, HOUR)
            vendor.clock.pass_s(every_s)


async def test_an_export_that_always_fails_is_rebuilt_once_an_hour() -> None:
    vendor = center()
    vendor.outcome = lambda _: "failed"

    await retried(vendor, hours=8, every_s=400)

    assert 3 + 6 <= vendor.forced <= 3 + 8


async def test_an_export_that_always_fails_is_rebuilt_once_an_hour_also_when_others_are_asked_for_before_it() -> None:
    """The longest wait of a parked stream is ten minutes, and then the parts before this one take their time."""
    vendor = center()
    vendor.outcome = lambda query: "failed" if "sites" in query else "finished"

    await retried(vendor, hours=4, every_s=700, **LOCATIONS_AND_SITES)

    assert sum("sites" in query and "force_rebuild" in query for query in vendor.queries) <= 3 + 4


async def test_a_part_that_fails_does_not_have_the_parts_before_it_rebuilt_each_time() -> None:
    vendor = center()
    vendor.trouble = {"sites": broken}
    async with viewers(vendor, **LOCATIONS_AND_SITES) as lobby:
        for _ in range(5):
            with pytest.raises(RetryLater):
                await ask(lobby, HOUR)
            vendor.clock.pass_s(60)

    assert 0 == vendor.forced


async def test_a_part_that_was_taken_before_a_failure_is_taken_again_and_is_no_newer_than_it_was() -> None:
    vendor = center()
    vendor.trouble = {"sites": broken}
    async with viewers(vendor, **LOCATIONS_AND_SITES) as lobby:
        with pytest.raises(RetryLater):
            await ask(lobby, HOUR)
        vendor.clock.pass_s(3600)
        vendor.trouble = {}
        first, second = await ask(lobby, HOUR)

    assert (START, vendor.builds[1].began) == (first.vendor_now, second.vendor_now)
    assert (2, 2) == (first.rows, second.rows)


async def test_a_window_that_is_asked_for_again_is_built_anew() -> None:
    vendor = center()
    async with viewers(vendor) as lobby:
        for _ in range(3):
            [answer] = await ask(lobby, HOUR)
            assert vendor.builds[-1].began == answer.vendor_now

    assert (2, 3) == (vendor.forced, len(vendor.builds))


async def test_an_answer_that_is_too_large_leaves_nothing_running() -> None:
    vendor = center()
    vendor.data = lambda _: b"[" + b" " * 2000 + b"]"
    async with viewers(vendor, max_response_bytes=1024) as lobby:
        for hours in range(1, 6):
            with pytest.raises(Split):
                await ask(lobby, Window(HOUR.start, HOUR.start + timedelta(hours=hours)))

    assert (0, 5) == (vendor.forced, len(vendor.builds))
    assert vendor.clock.now() - START < timedelta(minutes=1)
