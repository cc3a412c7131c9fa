"""Requests of every export type are as documented, and their rows become events of the declared types."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
import pytest

from collector.errors import Split
from collector.model import DedupMode, Record, Window
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi import VENDOR
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.settings import Streams
from collector.vendors.quividi.streams import ExportStream, streams
from tests.vendors.loopback import serving
from tests.vendors.quividi.aggregated import ALL_EXAMPLES, row
from tests.vendors.quividi.test_contents import TWO_CONTENTS
from tests.vendors.quividi.vidicenter import VidiCenter, source

pytestmark = pytest.mark.anyio

MORNING = Window(datetime.fromisoformat("2018-01-29T01:00:00Z"), datetime.fromisoformat("2018-01-29T04:00:00Z"))
"""From two to five o'clock in Paris."""
TWO_IDS = "content_ids=b%26c,content%20one"
HOURS = "start=2018-01-29T02:00:00&end=2018-01-29T04:59:59"


@asynccontextmanager
async def lobby(
    vendor: VidiCenter, tables: dict[str, dict[str, Any]], **settings: object
) -> AsyncIterator[list[ExportStream[Any]]]:
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        found = streams("lobby", source(url, streams=tables, **settings), client, standalone_telemetry())
        yield [each for each in found if isinstance(each, ExportStream)]


async def query_of(stream: str, table: dict[str, Any], window: Window = MORNING, **settings: object) -> str:
    """The query of the requests, which are all equal."""
    vendor = VidiCenter()
    async with lobby(vendor, {stream: table}, **settings) as [one]:
        assert [0] == [result.rows async for result in one.fetch(window)]
    [call] = set(vendor.calls)
    return call.partition("?")[2]


@pytest.mark.parametrize(
    ("stream", "table", "expected"),
    [
        ("viewers_aggregated", {}, f"data_type=viewers&time_resolution=1h&{HOURS}&locations=1056"),
        (
            "viewers_aggregated",
            {"group_by_demographics": True},
            f"data_type=viewers&time_resolution=1h&{HOURS}&locations=1056&group_by_demographics=1",
        ),
        ("ots", {"resolution": "5m"}, f"data_type=ots&time_resolution=5m&{HOURS}&locations=1056"),
        ("gate", {}, f"data_type=gate&time_resolution=1h&{HOURS}&locations=1056"),
        (
            "proof_of_play_by_location",
            {},
            f"data_type=proof_of_play_by_location&time_resolution=1h&{HOURS}&locations=1056",
        ),
        (
            "proof_of_play_by_location",
            {"content_ids": ["content one", "b&c"]},
            f"data_type=proof_of_play_by_location&time_resolution=1h&{HOURS}&locations=1056&{TWO_IDS}",
        ),
        (
            "viewers_apc",
            {"content_ids": ["a"]},
            f"data_type=viewers_apc&time_resolution=finest&{HOURS}&locations=1056&content_ids=a",
        ),
        (
            "proof_of_play_by_location",
            {"group_by_demographics": True},
            f"data_type=proof_of_play_by_location&time_resolution=1h&{HOURS}&locations=1056&group_by_demographics=1",
        ),
        (
            "im",
            {"average_content_duration": "15s"},
            f"data_type=im&time_resolution=1h&{HOURS}&locations=1056&average_content_duration=15",
        ),
        (
            "extrapolated_ots",
            {"extrapolation_amount": 250},
            f"data_type=extrapolated_ots&time_resolution=1h&{HOURS}&locations=1056&extrapolation_amount=250",
        ),
        (
            "extrapolated_watchers",
            {"extrapolation_amount": ""},
            f"data_type=extrapolated_watchers&time_resolution=1h&{HOURS}&locations=1056&extrapolation_amount=",
        ),
        *(
            (stream, {}, f"data_type={data_type}&time_resolution=1h&{HOURS}&locations=1056")
            for stream, data_type in (
                ("proof_of_play_by_location_footfall_faces", "proof_of_play_by_location_footfall_faces"),
                ("proof_of_play_vehicle_person_by_location", "proof_of_play_vehicle_person_by_location"),
                ("content_plays", "content_plays"),
                ("footfall_aggregated", "footfall"),
                ("vehicles_aggregated", "vehicles"),
                ("vehicles_footfall_aggregated", "vehicles_footfall"),
                ("im", "im"),
                ("im_nobackup", "im_nobackup"),
                ("im_ots", "im_ots"),
                ("im_ots_nobackup", "im_ots_nobackup"),
                ("targeted_im", "targeted_im"),
                ("compass", "compass"),
                ("retail_analytics_footfall_aggregated", "retail_analytics_footfall_aggregated"),
                ("pmp_sales_by_demographics_aggregated", "pmp_sales_by_demographics"),
                ("pmp_sales_funnel_aggregated", "pmp_sales_funnel"),
            )
        ),
    ],
)
async def test_a_request_is_as_documented(stream: str, table: dict[str, Any], expected: str) -> None:
    assert expected == await query_of(stream, table)


@pytest.mark.parametrize(
    "stream",
    [
        "proof_of_play_by_site",
        "proof_of_play_by_site_footfall_faces",
        "proof_of_play_vehicle_person_by_site",
    ],
)
async def test_types_by_site_are_requested_by_sites(stream: str) -> None:
    expected = f"data_type={stream}&time_resolution=1h&{HOURS}&sites=178"
    assert expected == await query_of(stream, {}, locations=None, sites=[178])


async def test_the_repeated_hour_is_requested_once_and_whole() -> None:
    twice = Window(datetime.fromisoformat("2026-10-25T00:00:00Z"), datetime.fromisoformat("2026-10-25T02:00:00Z"))

    expected = "data_type=ots&time_resolution=1h&start=2026-10-25T02:00:00&end=2026-10-25T02:59:59&locations=1056"
    assert expected == await query_of("ots", {}, twice)


@pytest.mark.parametrize("stream", ALL_EXAMPLES)
async def test_documented_responses_become_events_of_the_declared_type(stream: str) -> None:
    vendor = VidiCenter()
    data = msgspec.json.encode(msgspec.json.decode(ALL_EXAMPLES[stream])["data"])
    vendor.data = lambda _: data
    year = Window(datetime.fromisoformat("2017-12-31T23:00:00Z"), datetime.fromisoformat("2018-12-31T23:00:00Z"))
    places = {"locations": None, "sites": [178]} if EXPORT_TYPES[stream].place == "site_id" else {}
    table = {"extrapolation_amount": ""} if stream.startswith("extrapolated") else {}
    async with lobby(vendor, {stream: table}, **places) as [one]:
        [(rows, size, records)] = [(each.rows, each.size, tuple(each.records)) async for each in one.fetch(year)]
        published = [each for each in records if isinstance(each, Record) and not each.only_if_known]
        found = [event for each in published for event in one.explode(each, "f" * 32, 0)]

    assert rows == len(found) == len(msgspec.json.decode(data))
    assert size > len(data)
    assert {*EXPORT_TYPES[stream].events} == {event.type for event in found}


async def test_viewers_with_contents_become_events_of_two_types() -> None:
    vendor = VidiCenter()
    vendor.data = lambda _: b"[" + TWO_CONTENTS + b"]"
    async with lobby(vendor, {"viewers_apc": {}}) as [one]:
        [records] = [tuple(each.records) async for each in one.fetch(MORNING)]
        assert DedupMode.MULTISET is one.dedup_mode
        events = [event for each in records if isinstance(each, Record) for event in one.explode(each, "f" * 32, 0)]

    assert ["viewer_apc", "viewer_content", "viewer_content"] == [event.id.split("/")[1] for event in events]


async def test_an_export_of_too_many_rows_is_not_requested() -> None:
    vendor = VidiCenter()
    months = Window(datetime.fromisoformat("2017-12-31T23:00:00Z"), datetime.fromisoformat("2018-12-31T23:00:00Z"))
    table = {"viewers_aggregated": {"resolution": "5m", "group_by_demographics": True}}
    async with lobby(vendor, table, locations=list(range(1, 14))) as [one]:
        with pytest.raises(Split, match=r"20498400.*20000000"):
            await anext(one.fetch(months))
        assert [] == vendor.calls
        async for _ in one.fetch(Window(months.start, datetime.fromisoformat("2018-12-20T23:00:00Z"))):
            pass
    assert vendor.calls


async def test_an_export_with_the_maximum_of_rows_raises_split_and_is_rebuilt() -> None:
    vendor = VidiCenter()
    vendor.data = lambda _: b"[" + b",".join([row("ots")] * 5) + b"]"
    async with lobby(vendor, {"ots": {}}) as [one]:
        one._max_rows = 5
        with pytest.raises(Split, match="5 rows"):
            await anext(one.fetch(MORNING))
        one._max_rows = 6
        assert [5] == [result.rows async for result in one.fetch(MORNING)]
    assert 2 == len(vendor.builds)


async def test_selection_names_resolution_and_options() -> None:
    async def selection(stream: str, **table: Any) -> str:  # noqa: ANN401
        async with lobby(VidiCenter(), {stream: table}) as [one]:
            return one.selection

    assert (await selection("viewers")).startswith("locations ")
    assert (await selection("ots")).startswith("locations, 1h ")
    assert (await selection("viewers_aggregated", group_by_demographics=True)).startswith(
        "locations, 1h, group_by_demographics "
    )
    assert await selection("viewers_apc", content_ids=["a"]) != await selection("viewers_apc", content_ids=["b"])
    assert await selection("viewers_apc", content_ids=["a", "b"]) == await selection(
        "viewers_apc", content_ids=["b", "a"]
    )


def test_the_vendor_declares_the_event_types_of_every_stream() -> None:
    assert VENDOR.event_types.keys() == Streams.model_fields.keys()
    assert {name: kind.events for name, kind in EXPORT_TYPES.items()}.items() <= dict(VENDOR.event_types).items()
    names = [each.name for kinds in VENDOR.event_types.values() for each in kinds]
    topics = [each.topic for kinds in VENDOR.event_types.values() for each in kinds]
    assert len(names) == len(set(names)) == len(set(topics))
