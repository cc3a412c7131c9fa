"""Types of export that are configured by hand: their tables, their requests, and errors that name the key."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.alignment import AnySecond, Periods
from collector.commands.streams import select_stream
from collector.config import Settings, load
from collector.errors import UserError
from collector.model import DedupMode, FetchResult, Record, Reject, Window
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.streams import ExportStream, streams
from tests.vendors.loopback import serving
from tests.vendors.quividi.configured import GESTURES, QUEUES, Row, raw
from tests.vendors.quividi.vidicenter import VidiCenter, source

pytestmark = pytest.mark.anyio

AIRPORT = """
[sources.airport]
vendor = "quividi"
username = "airport"
token = "t0ken"
timezone = "Europe/Paris"
"""
LOCATIONS, SITES = "locations = [8264]\n", "sites = [178]\n"
QUEUE = 'data_type = "queue"\nresolution = "1h"\n'
GESTURE = 'data_type = "gesture"\nresolution = "finest"\n'
QUEUES_TABLE: Mapping[str, Any] = {
    "data_type": "queue",
    "resolution": "1h",
    "key": ["desk"],
    "ignore": ["desk_name"],
    "arguments": {"lanes": "1,2", "group": ""},
}
GESTURES_TABLE: Mapping[str, Any] = {"data_type": "gesture", "resolution": "finest"}
AFTERNOON = Window(datetime.fromisoformat("2026-01-14T16:00:00Z"), datetime.fromisoformat("2026-01-14T18:00:00Z"))
"""From five to seven o'clock in Paris."""
HOURS = "start=2026-01-14T17:00:00&end=2026-01-14T18:59:59&locations=1056"


def loaded(folder: Path, stream: str, keys: str, places: str = LOCATIONS, more: str = "") -> Settings:
    path = folder / "config.toml"
    path.write_text(f"{AIRPORT}{places}[sources.airport.rows.{stream}]\n{keys}\n{more}", "utf-8")
    return load(path)


def error_of(folder: Path, stream: str, keys: str, places: str = LOCATIONS, more: str = "") -> str:
    with pytest.raises(UserError) as raised:
        loaded(folder, stream, keys, places, more)
    return str(raised.value)


def test_a_type_needs_a_name_and_a_resolution_only(tmp_path: Path) -> None:
    airport = loaded(tmp_path, "queues", QUEUE).sources["airport"]
    assert isinstance(airport, QuividiSource)
    [(export_type, settings)] = airport.exports

    assert ["queues"] == list(airport.chosen)
    assert ("queues", "queue", True) == (export_type.stream, export_type.data_type, export_type.is_aggregated)
    assert ("location_id", {}) == (export_type.place, settings.options)
    assert (timedelta(minutes=45), timedelta(days=7)) == (settings.settle, settings.allowed_lateness)


def test_the_streams_that_the_collector_knows_run_beside_it_if_they_have_tables(tmp_path: Path) -> None:
    airport = loaded(tmp_path, "queues", QUEUE, more="[sources.airport.streams.ots]").sources["airport"]

    assert ["ots", "queues"] == list(airport.chosen)


def test_all_types_share_one_topic(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "queues", QUEUE, more=f"[sources.airport.rows.gestures]\n{GESTURE}")

    assert {"quividi.rows", "collector.dead_letters", "collector.progress"} == settings.topics().keys()
    assert settings.compacted_topics() == {"collector.progress"}


@pytest.mark.parametrize(
    ("stream", "keys", "expected"),
    [
        ("viewers", QUEUE, "sources.airport.rows.viewers: the collector has a stream of this name"),
        ("Queues", QUEUE, "sources.airport.rows.Queues: expected a name of a-z, 0-9 and _"),
        ('"queues@Asia/Tokyo"', QUEUE, "expected a name of a-z, 0-9 and _"),
        ("queues", 'resolution = "1h"', "sources.airport.rows.queues.data_type: missing"),
        ("queues", 'data_type = "queue"', "sources.airport.rows.queues.resolution: missing"),
        ("queues", 'data_type = "a&b"\nresolution = "1h"', "data_type: expected only letters, digits"),
        ("queues", 'data_type = "queue"\nresolution = "2h"', 'resolution: expected "finest", "5m"'),
        ("queues", f'{QUEUE}place = "zone_id"', "place: expected 'location_id', 'site_id' or ''"),
        ("queues", f'{QUEUE}time = ""', "time: expected a string that is not empty"),
        ("queues", f'{QUEUE}key = [""]', "key: expected names of fields that are not empty"),
        ("queues", f'{QUEUE}key = ["location_id"]', "key: location_id is time or place already"),
        ("queues", f'{QUEUE}ignore = ["period_start_date"]', "ignore: period_start_date is time or place already"),
        ("queues", f'{QUEUE}key = ["a"]\nignore = ["a", "b"]', "ignore: a is in key"),
        ("queues", f'{QUEUE}time = "location_id"', "time: expected another field than place"),
        ("queues", f"{QUEUE}arguments = {{ lanes = 3 }}", "arguments.lanes: expected a string, got an integer"),
        ("queues", f'{QUEUE}arguments = {{ "a&b" = "3" }}', "arguments.a&b: expected only letters, digits"),
        ("queues", f'{QUEUE}arguments = {{ lanes = "{"x" * 1000}" }}', "arguments: expected at most 1000"),
        ("queues", f'{QUEUE}content_ids = ["a"]', "sources.airport.rows.queues.content_ids: unknown key"),
        ("queues", f'{QUEUE}intervall = "1h"', "intervall: unknown key (did you mean interval?)"),
        (
            "queues",
            'data_type = "queue"\nresolution = "1M"\nanchor = 2018-01-31',
            "anchor: expected a day up to the 28th",
        ),
        *(
            ("queues", f'{QUEUE}arguments = {{ {name} = "" }}', f"arguments: the collector sets {name.lower()} itself")
            for name in (
                *("force_rebuild", "status_only", "data_type", "time_resolution", "start", "end", "Force_Rebuild"),
                *("locations", "sites", "location_tags", "site_tags"),
            )
        ),
    ],
)
def test_a_wrong_table_is_an_error_that_names_the_key(tmp_path: Path, stream: str, keys: str, expected: str) -> None:
    assert expected in error_of(tmp_path, stream, keys)


@pytest.mark.parametrize(
    ("keys", "places", "expected"),
    [
        ('place = "site_id"', LOCATIONS, "rows.queues needs sites or site_tags alone"),
        ('place = ""', f"{LOCATIONS}{SITES}", "rows.queues needs a selection that fits into one request"),
        (
            'place = ""',
            f"locations = {list(range(10_000, 12_000))}\n",
            "rows.queues needs a selection that fits into one",
        ),
    ],
)
def test_the_selection_must_fit_the_place_of_rows(tmp_path: Path, keys: str, places: str, expected: str) -> None:
    assert expected in error_of(tmp_path, "queues", f"{QUEUE}{keys}", places)


async def fetched(
    table: Mapping[str, Any], rows: Sequence[Row] = (), window: Window = AFTERNOON, **settings: object
) -> tuple[list[str], ExportStream[Any], list[FetchResult[Any]], list[Record[Any] | Reject | None]]:
    """The queries, the stream, its results and their records."""
    vendor = VidiCenter()
    vendor.data = lambda _: b"[" + b",".join(map(raw, rows)) + b"]"
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        [one] = streams("lobby", source(url, rows={"queues": table}, **settings), client, standalone_telemetry())
        assert isinstance(one, ExportStream)
        results: list[FetchResult[Any]] = []
        records: list[Record[Any] | Reject | None] = []
        async for result in one.fetch(window):
            results.append(result)
            records.extend(result.records)
    return [call.partition("?")[2] for call in vendor.calls], one, results, records


async def test_a_request_has_the_type_the_resolution_and_the_further_arguments() -> None:
    queries, *_ = await fetched(QUEUES_TABLE)
    finest, *_ = await fetched(GESTURES_TABLE)

    assert {f"data_type=queue&time_resolution=1h&{HOURS}&group=&lanes=1,2"} == {
        query.replace("%2C", ",") for query in queries
    }
    assert {f"data_type=gesture&time_resolution=finest&{HOURS}"} == set(finest)


@pytest.mark.parametrize(
    ("table", "rows", "mode", "alignment"),
    [
        (QUEUES_TABLE, QUEUES, DedupMode.VERSIONED, Periods),
        (GESTURES_TABLE, GESTURES, DedupMode.MULTISET, AnySecond),
    ],
)
async def test_rows_become_events(
    table: Mapping[str, Any], rows: Sequence[Row], mode: DedupMode, alignment: type
) -> None:
    _, stream, results, records = await fetched(table, rows)
    found = [each for each in records if isinstance(each, Record)]

    assert [len(rows)] == [result.rows for result in results]
    assert ("queues", mode) == (stream.name, stream.dedup_mode)
    assert isinstance(stream.policy.alignment, alignment)
    assert {"quividi.row.v1"} == {event.type.name for each in found for event in stream.explode(each, "f" * 32, 0)}
    assert len(rows) == len({each.key for each in found})


async def test_each_time_zone_has_a_shard() -> None:
    zones = [{"timezone": "Asia/Tokyo", "locations": [7]}]
    async with http(VidiCenter().clock) as client:
        given = source("https://localhost", rows={"queues": QUEUES_TABLE}, zones=zones)
        found = streams("lobby", given, client, standalone_telemetry())

    assert ["queues", "queues@Asia/Tokyo"] == [each.name for each in found]


async def test_what_identifies_rows_is_part_of_the_selection() -> None:
    async def selection(**changes: object) -> str:
        _, stream, *_ = await fetched({**QUEUES_TABLE, **changes})
        return stream.selection

    found = [await selection(), await selection(data_type="other"), await selection(key=[]), await selection(ignore=[])]
    found.append(await selection(arguments={"lanes": "1"}))

    assert len(found) == len(set(found))
    assert found[0].startswith("locations, queue, 1h, ")
    assert found[0] == await selection(arguments={"group": "", "lanes": "1,2"})


async def test_the_advice_for_malformed_rows_names_the_table(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "queues", QUEUE)
    async with http(VidiCenter().clock) as client:
        assert "sources.airport.rows.queues" in select_stream(settings, client, "airport", "queues").format_advice


async def test_commands_find_the_stream_by_its_name(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "queues", QUEUE)
    async with http(VidiCenter().clock) as client:
        assert "queues" == select_stream(settings, client, "airport", "queues").name
        with pytest.raises(UserError, match="queues"):
            select_stream(settings, client, "airport", "queue")
