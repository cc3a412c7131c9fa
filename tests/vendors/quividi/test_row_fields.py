"""Every field that VidiCenter documents is known, and each type reports what it does not know."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from collector.model import FieldSample, Window
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST
from collector.vendors.quividi.rows import finest_rows
from collector.vendors.row_fields import RowFields
from tests.rows import export_rows
from tests.simulator.export_fields import FORMS, Form
from tests.vendors.quividi.aggregated import ALL_EXAMPLES, BY_DEMOGRAPHICS, PLACEHOLDERS, aggregates, row
from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.finest import MIXED_CAR, MIXED_PERSON, RESPONSES, VISITOR, raw
from tests.vendors.quividi.test_export_requests import lobby
from tests.vendors.quividi.vidicenter import VidiCenter

EXAMPLES: Mapping[str, bytes] = {**RESPONSES, **ALL_EXAMPLES}
NEW: Mapping[str, object] = {"added": 1}


def fields_of(stream: str, resolution: str = "1h") -> RowFields:
    is_aggregated = EXPORT_TYPES[stream].is_aggregated
    found = aggregates(stream, resolution).fields if is_aggregated else finest_rows(stream, PARIS).fields
    assert found is not None
    return found


def stream_of(form: Form) -> str:
    [stream] = (
        name
        for name, each in EXPORT_TYPES.items()
        if each.data_type == form.data_type and each.is_aggregated == (form.resolution != FINEST)
    )
    return stream


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.data_type} {form.resolution}")
def test_every_field_of_2026_is_known_and_what_is_expected_is_among_them(form: Form) -> None:
    fields, documented = fields_of(stream_of(form), form.resolution), {*form.fields, *form.optional}
    assert set() == documented - fields.known
    assert fields.expected <= documented


@pytest.mark.parametrize("stream", EXPORT_TYPES)
def test_no_example_of_a_vendors_document_has_an_unknown_field(stream: str) -> None:
    got = fields_of(stream).sample(export_rows(EXAMPLES[stream]) or ())
    assert (True, ()) == (got.rows > 0, got.unknown)


def test_groups_are_known_also_where_rows_are_not_grouped() -> None:
    assert () == fields_of("viewers_aggregated").sample(export_rows(BY_DEMOGRAPHICS) or ()).unknown


@pytest.mark.parametrize("stream", EXPORT_TYPES)
def test_a_field_that_is_added_is_unknown(stream: str) -> None:
    rows = [msgspec.json.encode(each | NEW) for each in msgspec.json.decode(EXAMPLES[stream])["data"]]
    assert ("added",) == fields_of(stream).sample(rows).unknown


@pytest.mark.parametrize(
    ("stream", "path"),
    [("viewers_apc", "contents[].added"), ("retail_analytics_footfall", "visits[].timings[].added")],
)
def test_a_field_that_is_added_within_a_list_is_unknown(stream: str, path: str) -> None:
    [first, *_] = msgspec.json.decode(EXAMPLES[stream])["data"]
    item = first["contents"][0] if stream == "viewers_apc" else first["visits"][0]["timings"][0]
    item.update(NEW)
    assert (path,) == fields_of(stream).sample([msgspec.json.encode(first)]).unknown


@pytest.mark.parametrize(
    ("stream", "newest", "former"),
    [
        ("viewers", "dwell_time_in_tenths_of_sec", "dwell_time"),
        ("viewers", "footfall_id", "person_id"),
        ("viewers_apc", "period_start", "start_time"),
        ("vehicles", "vehicle_impressions", "impressions"),
        ("vehicles_footfall", "vehicle_impressions", "impressions"),
        ("pmp_sales_by_demographics", "age_bracket", "age"),
        ("viewers_aggregated", "attention_time_in_tenths_of_sec", "attention_time"),
        ("footfall_aggregated", "footfall_impressions", "person_count"),
        ("compass", "ots_count_impressions", "ots_count"),
        ("content_plays", "plays", "play_count"),
        ("proof_of_play_by_site", "dwell_time_in_tenths_of_sec", "total_dwell_time"),
        ("proof_of_play_by_site", "dwell_time_in_tenths_of_sec", "total_dwell_time_in_tenths_of_sec"),
    ],
)
def test_a_former_name_counts_as_the_newest_one(stream: str, newest: str, former: str) -> None:
    got = fields_of(stream).sample([msgspec.json.encode({"vr_id": 1, former: 1})])
    assert (1, 0) == (got.present[newest], got.present.get(former, 0))
    assert former not in got.unknown


def test_the_names_that_lived_for_days_are_no_unknown_fields() -> None:
    renamed = raw({"location_id": 1, "gender": 1}, person_id=3, person_start="2025-10-02T10:00:00")
    assert () == fields_of("viewers").sample([renamed]).unknown


def test_rows_of_placeholders_do_not_count() -> None:
    rows = export_rows(PLACEHOLDERS) or ()
    assert (1, 2) == (fields_of("ots").sample(rows).rows, len(rows))


@pytest.mark.parametrize(
    ("stream", "resolutions", "field"),
    [
        ("ots", {"1h", "1d", "7d", "1M"}, "effective_ots_count"),
        ("ots", {"15m"}, "status"),
        ("pmp_sales_by_demographics_aggregated", {*AGGREGATES}, "masked"),
        ("pmp_sales_funnel_aggregated", {*AGGREGATES}, "watcher_count"),
        ("pmp_sales_funnel_aggregated", set(), "poi_by_passers"),
        ("gate", set(), "duration"),
    ],
)
def test_a_field_is_expected_where_the_vendor_documents_it(stream: str, resolutions: set[str], field: str) -> None:
    assert resolutions == {each for each in AGGREGATES if field in fields_of(stream, each).expected}


def test_the_absence_of_an_expected_field_shows_in_the_sample() -> None:
    got = fields_of("ots", "15m").sample([row("ots", status=ABSENT)])
    assert (1, {"status"}, 0) == (got.rows, got.expected, got.present.get("status", 0))


@pytest.mark.parametrize(
    ("stream", "rows"),
    [
        ("vehicles_footfall", (MIXED_CAR, MIXED_PERSON)),
        ("retail_analytics_footfall", (VISITOR, {"location_id": 5120, "footfall_presence_time": 31})),
    ],
)
def test_fields_that_only_some_rows_have_are_not_compared(stream: str, rows: tuple[dict[str, Any], ...]) -> None:
    sparse = {
        "vehicles_footfall": {"vr_id", "watcher_id", "watcher_start", "tracking_mode"},
        "retail_analytics_footfall": {"nb_visits", "nb_clips", "nb_doorpass", "visits", "clips", "doorpass"},
    }
    got = fields_of(stream).sample([raw(each) for each in rows])
    assert (2, set(), ()) == (got.rows, sparse[stream] & got.present.keys(), got.unknown)


@pytest.mark.anyio
async def test_the_result_of_an_export_has_the_sample() -> None:
    vendor = VidiCenter()
    data = msgspec.json.encode([msgspec.json.decode(raw(VISITOR)) | NEW] * 3)
    vendor.data = lambda _: data
    start = datetime(2026, 1, 14, tzinfo=UTC)
    async with lobby(vendor, {"retail_analytics_footfall": {}}) as [one]:
        [sample] = await _samples(one.fetch(Window(start, start + timedelta(days=1))))

    assert sample is not None
    assert (3, ("added",)) == (sample.rows, sample.unknown)


async def _samples(results: AsyncGenerator[Any, None]) -> list[FieldSample | None]:
    return [each.sample async for each in results]
