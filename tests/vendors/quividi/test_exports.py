"""An export is built once, continued after failures, rarely rebuilt, and its age is never overstated."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.model import Window
from collector.vendors.http import http
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import serving, wait_until
from tests.vendors.quividi.example import EXPERT
from tests.vendors.quividi.vidicenter import (
    HOUR,
    TOKEN,
    USER,
    VidiCenter,
    assert_no_account,
    fetch_all,
    records,
    stream,
    viewers,
)

pytestmark = pytest.mark.anyio

QUERY = "data_type=viewers&time_resolution=finest&start=2018-01-29T01:00:00&end=2018-01-29T01:59:59&locations=1056"
LOCATIONS_AND_SITES = {"locations": [1056], "sites": [178]}


def center(*, builds_for: float = 5) -> VidiCenter:
    vendor = VidiCenter(builds_for=timedelta(seconds=builds_for))
    vendor.data = lambda _: b"[" + b",".join(EXPERT) + b"]"
    return vendor


def server_error() -> web.Response:
    return web.Response(status=500, text=f"{USER} {TOKEN}")


async def test_a_new_export_is_built_once_and_polled() -> None:
    vendor = center(builds_for=60)
    async with viewers(vendor) as lobby:
        assert 2 == len(records(await fetch_all(lobby, HOUR)))

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert timedelta(minutes=1) < vendor.clock.now() - START < timedelta(minutes=2)


async def test_a_cached_export_is_rebuilt_once() -> None:
    vendor = center(builds_for=60)
    vendor.build(QUERY, ends=START)
    vendor.clock.pass_s(3600)
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert [QUERY, f"{QUERY}&force_rebuild=1", QUERY] == vendor.queries[:3]
    assert (1, 2) == (vendor.forced, len(vendor.builds))
    assert START + timedelta(hours=1) == result.vendor_now


async def test_an_export_of_another_replica_is_as_old_as_its_window() -> None:
    vendor = center()
    vendor.build(QUERY)
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert HOUR.end - timedelta(seconds=1) == result.vendor_now


async def test_an_export_of_another_replica_is_as_old_as_its_window_when_clocks_change() -> None:
    window = Window(datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 15, tzinfo=UTC))
    vendor = VidiCenter(SimulatedClock(window.end))
    vendor.build(
        QUERY.replace("2018-01-29T01:00:00", "2026-10-25T01:00:00").replace(
            "2018-01-29T01:59:59", "2026-10-25T03:14:59"
        )
    )
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, window)

    assert 1 == len(vendor.builds)
    assert window.end - timedelta(seconds=1) == result.vendor_now


async def test_an_abandoned_export_is_as_old_as_its_window() -> None:
    vendor = center(builds_for=3600)
    vendor.overrides = {2: server_error}
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater):
            await fetch_all(lobby, HOUR)
        vendor.clock.pass_s(601)
        [result] = await fetch_all(lobby, HOUR)

    assert 1 == len(vendor.builds)
    assert HOUR.end - timedelta(seconds=1) == result.vendor_now


async def test_exports_of_the_previous_owner_are_waited_for() -> None:
    vendor = center()
    for name in "abc":
        vendor.build(name, ends=START + timedelta(minutes=5))
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert vendor.rejected > 1
    assert (0, 4, 3) == (vendor.forced, len(vendor.builds), vendor.max_running)
    assert result.vendor_now is not None
    assert result.vendor_now <= vendor.builds[3].started_at
    assert vendor.builds[3].started_at >= START + timedelta(minutes=5)


async def test_endless_throttling_raises_retry_later() -> None:
    vendor = center()
    for name in "abc":
        vendor.build(name, ends=START + timedelta(days=1))
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater) as raised:
            await fetch_all(lobby, HOUR)

    assert ("http_429", True) == (raised.value.code, raised.value.throttled)
    assert timedelta(minutes=10) < vendor.clock.now() - START < timedelta(minutes=40)


async def test_retry_after_is_respected() -> None:
    vendor = center()
    vendor.overrides = {0: lambda: web.Response(status=429, headers={"Retry-After": "400"})}
    async with viewers(vendor) as lobby:
        await fetch_all(lobby, HOUR)

    assert vendor.builds[0].started_at >= START + timedelta(seconds=400)


async def test_a_failed_poll_continues_with_the_same_export() -> None:
    vendor = center(builds_for=600)
    vendor.overrides = {2: server_error, 3: server_error}
    async with viewers(vendor) as lobby:
        for _ in range(2):
            with pytest.raises(RetryLater) as raised:
                await fetch_all(lobby, HOUR)
            assert "http_500" == raised.value.code
            assert_no_account(raised.value)
            vendor.clock.pass_s(120)
        [result] = await fetch_all(lobby, HOUR)

    assert (0, 1) == (vendor.forced, len(vendor.builds))
    assert START == result.vendor_now


async def test_a_rebuild_whose_response_was_lost_is_not_overstated() -> None:
    vendor = center()
    vendor.build(QUERY, ends=START)
    vendor.overrides = {1: server_error}
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater):
            await fetch_all(lobby, HOUR)
        vendor.clock.pass_s(60)
        [result] = await fetch_all(lobby, HOUR)

    assert START + timedelta(seconds=60) == result.vendor_now


@pytest.mark.parametrize("outcome", ["failed", "no list"])
async def test_an_export_that_keeps_failing_is_parked(outcome: str) -> None:
    vendor = center()
    async with viewers(vendor) as lobby:
        await fetch_all(lobby, Window(HOUR.start - (HOUR.end - HOUR.start), HOUR.start))
        started_at, vendor.outcome = vendor.clock.now(), lambda _: outcome
        with pytest.raises(Park, match="3 times") as raised:
            await fetch_all(lobby, HOUR)

    assert 3 == vendor.forced
    assert "export_failed" == raised.value.code
    assert "Quividi" in raised.value.advice
    assert_no_account(raised.value)
    assert timedelta(seconds=370) < vendor.clock.now() - started_at < timedelta(seconds=430)


async def test_a_failed_export_takes_no_slot_until_it_is_rebuilt() -> None:
    vendor = center()
    vendor.outcome = lambda query: "finished" if query.endswith("=7") else "failed"
    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:

        async def fail(number: int) -> None:
            with pytest.raises(Park):
                await fetch_all(stream(url, client, None, locations=[number]), HOUR)

        for number in range(3):
            tasks.start_soon(fail, number)
        await wait_until(lambda: vendor.forced >= 6)
        await fetch_all(stream(url, client, None, locations=[7]), HOUR)
        assert all(each.outcome == "failed" or each.ends <= vendor.clock.now() for each in vendor.builds)
        assert 3 * 3 > vendor.forced, "the failed exports are still to be rebuilt"


async def test_an_export_that_fails_once_is_rebuilt_and_used() -> None:
    vendor = center()
    vendor.outcome = lambda _: "finished" if vendor.builds else "failed"
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert (1, 2) == (vendor.forced, len(vendor.builds))
    assert vendor.builds[1].started_at == result.vendor_now


async def retried(vendor: VidiCenter, hours: int, every_s: float, **settings: object) -> None:
    """The parked stream is retried for this many hours."""
    async with viewers(vendor, **settings) as lobby:
        while vendor.clock.now() < START + timedelta(hours=hours):
            with pytest.raises(Park):
                await fetch_all(lobby, HOUR)
            vendor.clock.pass_s(every_s)


async def test_an_export_that_always_fails_is_rebuilt_once_an_hour() -> None:
    vendor = center()
    vendor.outcome = lambda _: "failed"

    await retried(vendor, hours=8, every_s=400)

    assert 3 + 6 <= vendor.forced <= 3 + 8


async def test_an_export_that_always_fails_is_rebuilt_once_an_hour_behind_others() -> None:
    """A parked stream waits at most ten minutes; then the exports before this one take some time."""
    vendor = center()
    vendor.outcome = lambda query: "failed" if "sites" in query else "finished"

    await retried(vendor, hours=4, every_s=700, **LOCATIONS_AND_SITES)

    assert sum("sites" in query and "force_rebuild" in query for query in vendor.queries) <= 3 + 4


async def test_a_failing_export_does_not_rebuild_those_before_it() -> None:
    vendor = center()
    vendor.overrides = {"sites": server_error}
    async with viewers(vendor, **LOCATIONS_AND_SITES) as lobby:
        for _ in range(5):
            with pytest.raises(RetryLater):
                await fetch_all(lobby, HOUR)
            vendor.clock.pass_s(60)

    assert 0 == vendor.forced


async def test_an_export_fetched_before_a_failure_is_used_again_with_its_age() -> None:
    vendor = center()
    vendor.overrides = {"sites": server_error}
    async with viewers(vendor, **LOCATIONS_AND_SITES) as lobby:
        with pytest.raises(RetryLater):
            await fetch_all(lobby, HOUR)
        vendor.clock.pass_s(3600)
        vendor.overrides = {}
        first, second = await fetch_all(lobby, HOUR)

    assert (START, vendor.builds[1].started_at) == (first.vendor_now, second.vendor_now)
    assert (2, 2) == (first.rows, second.rows)


async def test_a_window_fetched_again_is_rebuilt() -> None:
    vendor = center()
    async with viewers(vendor) as lobby:
        for _ in range(3):
            [result] = await fetch_all(lobby, HOUR)
            assert vendor.builds[-1].started_at == result.vendor_now

    assert (2, 3) == (vendor.forced, len(vendor.builds))


async def test_a_response_that_is_too_large_leaves_no_running_export() -> None:
    vendor = center()
    vendor.data = lambda _: b"[" + b" " * 2000 + b"]"
    async with viewers(vendor, max_response_bytes=1024) as lobby:
        for hours in range(1, 6):
            with pytest.raises(Split):
                await fetch_all(lobby, Window(HOUR.start, HOUR.start + timedelta(hours=hours)))

    assert (0, 5) == (vendor.forced, len(vendor.builds))
    assert vendor.clock.now() - START < timedelta(minutes=1)
