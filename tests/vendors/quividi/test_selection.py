"""What the shards of a stream request: which places, at which local times, and what the list of locations decides."""

import logging
from collections.abc import Iterator, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from collector.errors import CollectorError, Park, RetryLater
from collector.model import Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import SourceStatus
from collector.telemetry.vendor import VendorTelemetry
from tests.vendors.quividi.chain import DAY, HOUR, MORNING, NEW_YORK, NOW, TOKYO, ZONES, Chain, place, requested, shards

pytestmark = pytest.mark.anyio


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log lines of the test."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines


SWEEP = Window(NOW - 30 * HOUR, NOW - 2 * HOUR, swept_at=NOW - 24 * HOUR)


async def test_each_zone_requests_its_places_at_its_local_time() -> None:
    vendor, found = Chain(), {}
    async with shards(vendor, zones=ZONES) as streams:
        for name, shard in streams.items():
            assert [] == [row async for result in shard.fetch(MORNING) for row in result.records]
            found[name] = vendor.take_requests()

    assert {
        "viewers": [("locations", "4", "2026-07-15T10:00:00", "2026-07-15T11:59:59")],
        "viewers@America/New_York": [("locations", "1,2", "2026-07-15T04:00:00", "2026-07-15T05:59:59")],
        "viewers@Asia/Tokyo": [("locations", "3", "2026-07-15T17:00:00", "2026-07-15T18:59:59")],
    } == found
    assert ["/locations/"] == vendor.lists  # it is shared


async def test_a_source_of_fixed_ids_in_one_zone_does_not_depend_on_the_list() -> None:
    vendor = Chain()
    vendor.status = 403
    async with shards(vendor, locations=[8, 7], sites=[3]) as streams:
        assert [("locations", "7,8"), ("sites", "3")] == await requested(vendor, streams["viewers"])
        assert [] == vendor.lists
        assert [("locations", "7,8"), ("sites", "3")] == await requested(vendor, streams["viewers"], SWEEP)
        assert ["/locations/"] == vendor.lists


async def test_fixed_ids_in_several_zones_are_requested_by_location() -> None:
    vendor = Chain()
    async with shards(vendor, locations=[4, 99], sites=[20], zones=ZONES) as streams:
        assert [("locations", "4,99")] == await requested(vendor, streams["viewers"])
        assert [("locations", "2")] == await requested(vendor, streams[f"viewers@{NEW_YORK}"])


async def test_a_zone_without_places_requests_nothing_and_its_window_is_complete() -> None:
    vendor = Chain()
    async with shards(vendor, locations=[4], zones=ZONES) as streams:
        assert [] == await requested(vendor, streams[f"viewers@{TOKYO}"])


async def test_tags_in_several_zones_are_looked_up_in_their_networks() -> None:
    vendor = Chain()
    vendor.tables = {
        "/location_tags/": [
            {"id": 5, "label": "a", "network_id": 2},
            {"id": 6, "label": "b", "network_id": 3},
            {"id": 7, "label": "a", "network_id": 4},
        ],
        "/network/2/location_tags/": [
            {"id": 5, "locations": [{"id": 1}, {"id": 4}]},
            {"id": 8, "locations": [{"id": 3}]},
        ],
        "/network/3/location_tags/": [{"id": 6, "locations": [{"id": 3}, {"id": 1}]}],
    }
    async with shards(vendor, locations=None, location_tags=[5, 6], zones=ZONES) as streams:
        found = {name: await requested(vendor, shard) for name, shard in streams.items()}

    assert {
        "viewers": [("locations", "4")],
        f"viewers@{NEW_YORK}": [("locations", "1")],
        f"viewers@{TOKYO}": [("locations", "3")],
    } == found
    assert ["/locations/", "/location_tags/", "/network/2/location_tags/", "/network/3/location_tags/"] == vendor.lists


@pytest.mark.parametrize(
    ("tags", "of_network"),
    [([], []), ([{"id": 5, "network_id": None}], []), ([{"id": 5, "network_id": 2}], [{"id": 6, "locations": []}])],
)
async def test_a_tag_in_several_zones_that_the_account_does_not_have_completes_no_window(
    tags: list[dict[str, Any]], of_network: list[dict[str, Any]]
) -> None:
    vendor = Chain()
    vendor.tables = {"/location_tags/": tags, "/network/2/location_tags/": of_network}
    async with shards(vendor, locations=None, location_tags=[5], zones=ZONES) as streams:
        with pytest.raises(Park, match="location_tags: 5") as raised:
            await requested(vendor, streams["viewers"])
    assert "unknown_ids" == raised.value.code


async def test_tags_in_one_zone_are_left_to_the_vendor() -> None:
    vendor = Chain()
    async with shards(vendor, locations=None, location_tags=[5]) as streams:
        assert [("location_tags", "5")] == await requested(vendor, streams["viewers"])
        assert [("location_tags", "5")] == await requested(vendor, streams["viewers"], SWEEP)


async def test_numbers_of_whole_sites_are_requested_by_site() -> None:
    vendor, stream = Chain(), "proof_of_play_by_site"
    zones = [{"timezone": NEW_YORK, "sites": [20]}]
    async with shards(vendor, stream=stream, zones=zones) as streams:
        assert [("sites", "10,30")] == await requested(vendor, streams[stream])
        assert [("sites", "20")] == await requested(vendor, streams[f"{stream}@{NEW_YORK}"])
    vendor = Chain()
    vendor.tables = {
        "/site_tags/": [{"id": 9, "network_id": 2}],
        "/network/2/site_tags/": [{"id": 9, "sites": [{"id": 20}, {"id": 10}]}],
    }
    async with shards(vendor, stream=stream, zones=zones, locations=None, site_tags=[9]) as streams:
        assert [("sites", "10")] == await requested(vendor, streams[stream])
        assert [("sites", "20")] == await requested(vendor, streams[f"{stream}@{NEW_YORK}"])


async def test_a_new_location_is_requested_after_ten_minutes_and_one_that_is_gone_no_longer(
    logs: list[MutableMapping[str, Any]],
) -> None:
    vendor = Chain(place(1), place(2))
    async with shards(vendor, VendorTelemetry(Metrics(), "lobby")) as streams:
        assert [("locations", "1,2")] == await requested(vendor, streams["viewers"])
        vendor.places = [place(2), place(3)]
        assert [("locations", "1,2")] == await requested(vendor, streams["viewers"])
        vendor.clock.pass_s(600)
        assert [("locations", "2,3")] == await requested(vendor, streams["viewers"])
        vendor.clock.pass_s(600)
        await requested(vendor, streams["viewers"])

    assert [([3], [1])] == [(line["added"], line["removed"]) for line in logs if line["event"] == "places_changed"]


async def test_a_location_that_is_no_longer_active_is_requested_while_it_may_have_late_data() -> None:
    vendor = Chain(place(1, active=False, silent=2 * DAY), place(2, active=False, silent=400 * DAY), place(3))
    async with shards(vendor) as streams:
        assert [("locations", "1,3")] == await requested(vendor, streams["viewers"])


@pytest.mark.parametrize("settings", [{}, {"locations": None, "sites": [30], "zones": ZONES}])
async def test_an_empty_list_completes_no_window(settings: dict[str, Any]) -> None:
    """Otherwise, one such response while a stream catches up would skip its history."""
    vendor = Chain()
    vendor.places, places = [], vendor.places
    async with shards(vendor, **settings) as streams:
        stream = streams[f"viewers@{TOKYO}" if settings else "viewers"]
        with pytest.raises(RetryLater) as raised:
            await requested(vendor, stream)
        assert "no_locations" == raised.value.code
        vendor.places = places
        expected = await requested(vendor, stream)
        assert [] != expected
        vendor.places = []
        vendor.clock.pass_s(600)
        assert expected == await requested(vendor, stream)


async def test_an_account_without_active_locations_requests_nothing() -> None:
    vendor = Chain(place(1, active=False, silent=400 * DAY))
    async with shards(vendor) as streams:
        assert [] == await requested(vendor, streams["viewers"])


@pytest.mark.parametrize(
    ("silent", "is_requested"),
    [
        (None, True),  # the vendor does not say
        (timedelta(0), True),
        (24 * HOUR, True),
        (38 * HOUR, True),  # its clock may be 14 hours behind
        (38 * HOUR + timedelta(seconds=1), False),
    ],
)
@pytest.mark.parametrize(
    "settings", [{}, {"locations": [1, 2]}, {"locations": [1, 2], "zones": [{"timezone": TOKYO, "sites": [9]}]}]
)
async def test_a_sweep_leaves_out_places_that_cannot_have_uploaded_since_the_last_one(
    silent: timedelta | None, settings: dict[str, Any], *, is_requested: bool
) -> None:
    vendor = Chain(place(1, silent=silent), place(2, silent=timedelta(0)))
    vendor.clock.pass_s(-30 * 3600)
    async with shards(vendor, **settings) as streams:
        assert [("locations", "1,2")] == await requested(vendor, streams["viewers"])
        vendor.clock.pass_s(30 * 3600)
        assert [("locations", "1,2" if is_requested else "2")] == await requested(vendor, streams["viewers"], SWEEP)
        assert [("locations", "1,2")] == await requested(vendor, streams["viewers"])  # a live pass requests all


async def test_a_sweep_leaves_out_no_place_that_no_earlier_one_contained() -> None:
    vendor = Chain(place(1, silent=9 * DAY))
    async with shards(vendor) as streams:
        assert [("locations", "1")] == await requested(vendor, streams["viewers"], SWEEP)  # the process has just begun
        vendor.clock.pass_s(3600)
        vendor.places = [place(1, silent=9 * DAY), place(2, silent=9 * DAY)]
        sweep = Window(SWEEP.start, SWEEP.end, swept_at=NOW + HOUR / 2)
        assert [("locations", "2")] == await requested(vendor, streams["viewers"], sweep)
        vendor.clock.pass_s(3600)
        sweep = Window(SWEEP.start, SWEEP.end, swept_at=NOW + 3 * HOUR / 2)
        assert [] == await requested(vendor, streams["viewers"], sweep)


async def test_the_first_sweep_with_a_place_that_has_returned_does_not_leave_it_out() -> None:
    vendor, silent = Chain(place(1, silent=9 * DAY), place(2)), place(1, silent=9 * DAY)
    async with shards(vendor) as streams:
        await requested(vendor, streams["viewers"])
        vendor.places = [place(2)]
        vendor.clock.pass_s(24 * 3600)
        sweep = Window(SWEEP.start, SWEEP.end, swept_at=NOW + HOUR)
        assert [("locations", "2")] == await requested(vendor, streams["viewers"], sweep)
        vendor.places = [silent, place(2)]
        vendor.clock.pass_s(24 * 3600)
        sweep = Window(SWEEP.start, SWEEP.end, swept_at=NOW + 24 * HOUR)
        assert [("locations", "1,2")] == await requested(vendor, streams["viewers"], sweep)
        vendor.clock.pass_s(24 * 3600)
        sweep = Window(SWEEP.start, SWEEP.end, swept_at=NOW + 49 * HOUR)
        assert [("locations", "2")] == await requested(vendor, streams["viewers"], sweep)


async def test_a_sweep_leaves_out_a_site_only_if_all_of_its_locations_are_silent() -> None:
    vendor = Chain(
        place(1, 10, silent=9 * DAY), place(2, 10, silent=9 * DAY), place(3, 20, silent=9 * DAY), place(4, 20)
    )
    vendor.clock.pass_s(-30 * 3600)
    async with shards(vendor, stream="proof_of_play_by_site", locations=None, sites=[10, 20]) as streams:
        [stream] = streams.values()
        assert [("sites", "10,20")] == await requested(vendor, stream)
        vendor.clock.pass_s(30 * 3600)
        assert [("sites", "20")] == await requested(vendor, stream, SWEEP)


@pytest.mark.parametrize(
    ("status", "error"), [(500, RetryLater), (429, RetryLater), (401, Park), (403, Park), (404, Park)]
)
async def test_without_a_list_a_stream_that_needs_it_waits(status: int, error: type[CollectorError]) -> None:
    vendor = Chain()
    vendor.status = status
    async with shards(vendor) as streams:
        with pytest.raises(error) as raised:
            await requested(vendor, streams["viewers"])
        assert f"http_{status}" == raised.value.code
        assert [] == vendor.calls
        vendor.status = 200
        assert [("locations", "1,2,3,4")] == await requested(vendor, streams["viewers"])


async def test_the_last_list_is_used_for_a_day_while_the_vendor_sends_no_other() -> None:
    vendor = Chain()
    async with shards(vendor) as streams:
        await requested(vendor, streams["viewers"])
        vendor.status = 500
        vendor.clock.pass_s(23 * 3600)
        assert [("locations", "1,2,3,4")] == await requested(vendor, streams["viewers"])
        vendor.clock.pass_s(3600)
        with pytest.raises(RetryLater):
            await requested(vendor, streams["viewers"])


async def test_an_account_that_may_not_list_locations_any_more_parks_the_stream() -> None:
    vendor = Chain()
    async with shards(vendor) as streams:
        await requested(vendor, streams["viewers"])
        vendor.status = 403
        vendor.clock.pass_s(600)
        with pytest.raises(Park):
            await requested(vendor, streams["viewers"])


async def test_a_malformed_list_is_no_list() -> None:
    vendor = Chain()
    vendor.places = [{"id": "one"}]
    async with shards(vendor) as streams:
        with pytest.raises(RetryLater, match="/locations/"):
            await requested(vendor, streams["viewers"])


async def test_a_zone_that_disagrees_is_reported_once_and_shown_until_it_agrees(
    logs: list[MutableMapping[str, Any]],
) -> None:
    disagreeing = {**place(3, 30, silent=HOUR), "last_timezone": 32400}
    vendor, status = Chain(disagreeing, place(4)), SourceStatus("quividi", "lobby")
    async with shards(vendor, VendorTelemetry(Metrics(), "lobby", status)) as streams:
        for _ in range(2):
            await requested(vendor, streams["viewers"])
            vendor.clock.pass_s(600)
        [notice] = status.notices
        vendor.places = [place(3, 30), place(4)]
        await requested(vendor, streams["viewers"])

    assert "location 3 uploads with the offset +09:00, but Europe/Paris has +02:00" in notice
    assert ["zone_disagrees", "zones_agree"] == [line["event"] for line in logs if line["event"].startswith("zone")]
    assert [] == status.notices


async def test_a_place_in_the_right_zone_does_not_disagree(logs: list[MutableMapping[str, Any]]) -> None:
    vendor = Chain({**place(3, 30, silent=HOUR), "last_timezone": 32400})
    async with shards(vendor, VendorTelemetry(Metrics(), "lobby"), zones=ZONES) as streams:
        await requested(vendor, streams["viewers"])

    assert [] == [line for line in logs if line["event"].startswith("zone")]
