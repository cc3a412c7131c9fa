"""Lists of the latest 1,000 rows, over HTTP: one request covers a window; more are sent only where rows are missing."""

import logging
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import web
from pydantic import ValidationError
from structlog.testing import capture_logs

from collector.alignment import Snapshot
from collector.errors import Park, RetryLater
from collector.fetching import fetch_whole
from collector.model import DedupMode, Record
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.vendors.quividi.status_settings import AlertsSettings
from tests.simulated import START, SimulatedClock
from tests.vendors.quividi.status import CAP, Lists, fetched, last, stream_of
from tests.vendors.quividi.vidicenter import json_response, source

pytestmark = pytest.mark.anyio


def rows(
    count: int, *, age_h: float = 0, first: int = 1, site: int = 178, location: int = 8264
) -> list[dict[str, Any]]:
    """Alerts that the vendor has had for `age_h` hours."""
    time = (START - timedelta(hours=age_h)).strftime("%Y-%m-%dT%H:%M:%S")
    common = {"alert_type": 1, "status": "raised", "timestamp": time, "age_h": age_h}
    return [common | {"id": number, "site": site, "location": location} for number in range(first, first + count)]


async def ids(vendor: Lists, hours: float) -> set[int]:
    """The ids of all alerts that are fetched for the last hours."""
    async with stream_of(vendor) as stream:
        found = await fetched(stream, last(hours))
    return {row.payload.row.id for _, records in found for row in records if isinstance(row, Record)}


@pytest.mark.parametrize(
    ("window_h", "queries"),
    [
        (0, ["?hours=1"]),
        (1 / 6, ["?hours=2"]),
        (1, ["?hours=2"]),
        (1.01, ["?hours=3"]),
        (22.9, ["?hours=24"]),
        (23, ["?hours=24"]),
        (23.1, [""]),
        (24 * 60, [""]),
    ],
)
@pytest.mark.parametrize(("name", "path"), [("alerts", "/alerts/"), ("monitoring", "/monitoring_msgs/")])
async def test_one_request_covers_the_window_and_an_hour(
    name: str, path: str, window_h: float, queries: list[str]
) -> None:
    vendor = Lists()
    async with stream_of(vendor, name) as stream:
        await fetched(stream, last(window_h))
    assert [path + query for query in queries] == vendor.calls


async def test_a_request_that_is_repeated_later_still_covers_the_start_of_its_window() -> None:
    vendor = Lists()
    window = last(1)
    vendor.clock.pass_s(5 * 3600)
    async with stream_of(vendor) as stream:
        await fetched(stream, window)
    assert ["/alerts/?hours=7"] == vendor.calls


async def test_the_stream_compares_versions_on_a_clock_that_may_be_a_day_from_utc() -> None:
    async with stream_of(Lists()) as stream:
        assert (DedupMode.VERSIONED, timedelta(days=1)) == (stream.dedup_mode, stream.max_clock_offset)
        assert "everything that the user may see" == stream.selection


async def test_a_result_names_its_rows_size_and_the_vendors_clock() -> None:
    async with stream_of(Lists(rows(3))) as stream:
        [(result, records)] = await fetched(stream, last(1))
    assert (3, 3, 0, START) == (result.rows, len(records), result.cut, result.vendor_now)
    assert result.size > 100


@pytest.mark.parametrize("count", [CAP - 1, CAP + 1, 5000])
async def test_any_other_number_than_1000_is_the_whole_list(count: int) -> None:
    vendor = Lists(rows(count), cap=10_000)
    assert count == len(await ids(vendor, 1))
    assert ["/alerts/?hours=2"] == vendor.calls


async def test_exactly_1000_rows_are_requested_for_fewer_hours_if_that_covers_the_window() -> None:
    vendor = Lists([*rows(400), *rows(800, age_h=1.5, first=5001)])
    assert set(range(1, 401)) <= await ids(vendor, 1)
    assert ["/alerts/?hours=2", "/alerts/?hours=1"] == vendor.calls


async def test_then_sites_are_requested_and_then_the_locations_of_a_site() -> None:
    vendor = Lists(
        [*rows(900, first=1), *rows(900, first=2001, location=8866), *rows(5, first=9001, site=9, location=1)]
    )
    vendor.locations = [{"id": 8866, "site_id": 178}, {"id": 8264, "site_id": 178}, {"id": 1, "site_id": 9}, {"id": 77}]

    assert {*range(1, 901), *range(2001, 2901), *range(9001, 9006)} == await ids(vendor, 1)
    assert ["/alerts/?hours=2", "/alerts/?hours=1", "/locations/"] == vendor.calls[:3]
    assert {
        "/site/9/alerts/?hours=2",
        "/site/178/alerts/?hours=2",
        "/site/178/alerts/?hours=1",
        "/location/8264/alerts/?hours=2",
        "/location/8866/alerts/?hours=2",
        "/location/77/alerts/?hours=2",
    } == set(vendor.calls[3:])
    assert 9 == len(vendor.calls)


@pytest.mark.parametrize(
    ("locations", "cut"),
    [([{"id": 8264, "site_id": 178}], 1), ([{"id": 8264}], 1), ([], 1), ([{"id": 8264}, {"id": 8866}], 2)],
    ids=["location of a site", "location without a site", "no locations", "two locations"],
)
async def test_where_even_a_location_has_1000_rows_it_is_reported_and_the_rest_is_published(
    locations: list[dict[str, Any]], cut: int
) -> None:
    vendor = Lists([*rows(1100), *rows(1100, first=2001, location=8866)])
    vendor.locations = locations
    async with stream_of(vendor) as stream:
        found = await fetched(stream, last(1))
    assert [0] * (len(found) - 1) + [cut] == [result.cut for result, _ in found]
    assert (0, []) == (found[-1][0].rows, found[-1][1])


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_part_of_the_account_that_is_refused_costs_only_its_own_rows(status: int) -> None:
    vendor = Lists([*rows(900), *rows(900, first=2001, site=9, location=1)])
    vendor.locations = [{"id": 8264, "site_id": 178}, {"id": 1, "site_id": 9}, {"id": 77}]
    vendor.refused = {"/location/77": status, "/site/9": status}
    async with stream_of(vendor) as stream:
        found = await fetched(stream, last(1))
    published = {row.payload.row.id for _, records in found for row in records if isinstance(row, Record)}
    assert set(range(1, 901)) <= published
    assert 2 == found[-1][0].cut


async def test_a_part_for_which_the_token_is_refused_parks_the_stream() -> None:
    vendor = Lists(rows(1100))
    vendor.refused = {"/site/178": 401}
    async with stream_of(vendor) as stream:
        with pytest.raises(Park):
            await fetched(stream, last(1))


async def test_the_notice_reaches_the_log() -> None:
    vendor = Lists(rows(1100))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as lines:
        telemetry = StreamTelemetry(Metrics(), StreamStatus("quividi", "lobby", "alerts"), [])
        async with stream_of(vendor) as stream:
            async for result in fetch_whole(stream, last(1), telemetry):
                assert result.rows in (0, CAP)
    [line] = [each for each in lines if each["event"] == "rows_cut"]
    assert (1, "warning") == (line["lists"], line["log_level"])


async def test_after_more_than_a_day_the_latest_rows_of_any_age_are_fetched_and_the_last_day_as_a_whole() -> None:
    vendor = Lists([*rows(600, age_h=2), *rows(600, age_h=40, first=2001)])
    assert {*range(1, 601), *range(2001, 2401)} == await ids(vendor, 72)
    assert ["/alerts/", "/alerts/?hours=24"] == vendor.calls


async def test_a_list_of_a_place_is_not_requested_without_hours() -> None:
    vendor = Lists([*rows(600, age_h=2), *rows(600, age_h=2, first=2001, location=8866)])
    await ids(vendor, 72)
    assert {"/alerts/", "/alerts/?hours=24", "/locations/", "/site/178/alerts/?hours=24"} < set(vendor.calls)
    assert [] == [call for call in vendor.calls if "hours" not in call and call not in ("/alerts/", "/locations/")]


async def test_a_sweep_is_one_request_however_many_rows_there_are() -> None:
    vendor = Lists([*rows(1100), *rows(1100, first=2001, location=8866)])
    async with stream_of(vendor) as stream:
        await fetched(stream, last(1))
        vendor.calls.clear()
        [(result, _)] = await fetched(stream, last(24 * 60))
    assert (["/alerts/"], 0) == (vendor.calls, result.cut)


async def test_a_window_that_failed_is_not_taken_for_a_sweep() -> None:
    vendor = Lists(rows(3))
    vendor.override = lambda: json_response(503, {})
    async with stream_of(vendor) as stream:
        with pytest.raises(RetryLater):
            await fetched(stream, last(1))
        vendor.override = None
        await fetched(stream, last(1))
    assert ["/alerts/?hours=2"] * 2 == vendor.calls


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"results": []}, RetryLater),
        (200, None, RetryLater),
        (401, {"message": "Unauthorized", "error": 401}, Park),
        (403, {"message": "Forbidden", "error": 403}, Park),
        (429, {}, RetryLater),
    ],
)
async def test_anything_but_a_list_fails(status: int, body: object, error: type[Exception]) -> None:
    vendor = Lists()

    def override() -> web.Response:
        return json_response(status, body)

    vendor.override = override
    async with stream_of(vendor) as stream:
        with pytest.raises(error):
            await fetched(stream, last(1))


@pytest.mark.parametrize("name", ["alerts", "monitoring"])
def test_a_table_needs_an_interval_below_its_lateness(name: str) -> None:
    table = {"interval": "2d", "allowed_lateness": "1d"}
    with pytest.raises(ValidationError, match=r"interval \(.*\) must be below allowed_lateness"):
        source("https://localhost", streams={name: table})


def test_alerts_are_remembered_for_two_months_and_swept_once_a_day() -> None:
    policy = AlertsSettings().policy(None)
    assert (Snapshot(), timedelta(minutes=10)) == (policy.alignment, policy.interval)
    assert (timedelta(days=60), timedelta(days=1)) == (policy.allowed_lateness, policy.sweep_every)


async def test_seen_at_is_the_time_of_the_request() -> None:
    clock = SimulatedClock()
    window = last(1)
    clock.pass_s(90)
    async with stream_of(Lists(rows(1), clock=clock)) as stream:
        [(_, [record])] = await fetched(stream, window)
    assert isinstance(record, Record)
    [event] = stream.explode(record, "d" * 32, 0)
    assert "2026-11-01T00:01:30.000Z" == event.time
