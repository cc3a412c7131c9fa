"""What all finest types have in common: times, keys and fingerprints, placeholders, malformed rows."""

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.model import DedupMode, Record, Reject
from collector.vendors.quividi.rows import finest_rows
from tests.vendors.quividi.example import ABSENT, PARIS
from tests.vendors.quividi.finest import (
    CAR,
    DIGEST,
    FUNNEL,
    MIXED_CAR,
    PERSON,
    ROWS,
    SALE,
    VISITOR,
    Row,
    events,
    raw,
    read,
    record,
    value,
)

each_stream = pytest.mark.parametrize("stream", ROWS)
MAIN: dict[str, list[str]] = {
    "footfall": ["footfall_presence_time"],
    "vehicles": ["type", "vehicle_presence_time"],
    "vehicles_footfall": ["type", "vehicle_presence_time", "footfall_presence_time"],
    "retail_analytics_footfall": ["footfall_presence_time"],
    "pmp_sales_by_demographics": ["product", "product_touches", "put_back", "gender", "age_bracket"],
    "pmp_sales_funnel": [
        *("product", "product_touches", "put_back", "gender", "age"),
        *("dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"),
    ],
}
"""The fields in the key, which every version of the API sends."""
EACH_MAIN = [(stream, name) for stream, names in MAIN.items() for name in names]
SIDE: dict[str, list[str]] = {
    "footfall": ["vr_id", "tracking_mode", "watcher_start"],
    "vehicles": ["color", "vehicle_impressions", "impressions_per_vehicle"],
    "vehicles_footfall": ["vr_id", "color", "vehicle_impressions", "tracking_mode"],
    "retail_analytics_footfall": ["vr_id", "nb_visits", "nb_clips", "nb_doorpass"],
    "pmp_sales_by_demographics": ["estimated_sales"],
    "pmp_sales_funnel": ["estimated_sales"],
}
EACH_SIDE = [(stream, name) for stream, names in SIDE.items() for name in names]


def first(stream: str) -> Row:
    return ROWS[stream][0]


@each_stream
def test_equal_rows_are_counted(stream: str) -> None:
    assert DedupMode.MULTISET is finest_rows(stream, PARIS).dedup_mode


@each_stream
def test_the_zone_decides_the_instant_but_not_the_identity(stream: str) -> None:
    row = first(stream)
    paris, apia = value(stream, row), value(stream, row, ZoneInfo("Pacific/Apia"))

    assert row["period_start"] == paris["started_local"] == apia["started_local"]
    assert (3600, 46800) == (paris["utc_offset_s"], apia["utc_offset_s"])
    assert paris["started_at"] == "2026-01-14T16" + row["period_start"][13:] + ".000Z"
    assert (paris["record_id"], record(stream, row).key) == (
        apia["record_id"],
        record(stream, row, ZoneInfo("Pacific/Apia")).key,
    )


FORMS: list[dict[str, object]] = [
    {"period_start": "2026-01-14 17:41:09"},
    {"period_start": ABSENT, "start_time": "2026-01-14T17:41:09"},
    {"period_start": None, "period_start_date": "2026-01-14", "period_start_time": "17:41:09"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
@each_stream
def test_the_start_may_have_any_form(stream: str, form: dict[str, object]) -> None:
    without = {"period_start_date": ABSENT, "period_start_time": ABSENT}
    expected = record(stream, first(stream), period_start="2026-01-14T17:41:09", **without)
    got = record(stream, first(stream), **(without | form))

    assert (expected.key, expected.start_ms, expected.vendor_local_s) == (got.key, got.start_ms, got.vendor_local_s)


@each_stream
def test_the_seconds_of_a_start_are_optional(stream: str) -> None:
    parts = {"period_start": ABSENT, "period_start_date": "2026-01-14", "period_start_time": "17:41"}

    assert "2026-01-14T17:41:00" == value(stream, first(stream), **parts)["started_local"]


@each_stream
def test_the_hour_that_occurs_twice_is_ambiguous(stream: str) -> None:
    got = value(stream, first(stream), period_start="2025-10-26T02:30:00", watcher_start=None, watcher_id=0)

    assert (True, 7200) == (got["ambiguous"], got["utc_offset_s"])


@pytest.mark.parametrize(
    "start",
    [ABSENT, None, "", "yesterday", "2026-01-14", "2026-01-14T17:41:09Z", 1768408869, "9999-12-31T23:59:59.9999"],
)
@each_stream
def test_a_row_without_a_valid_start_is_rejected(stream: str, start: object) -> None:
    parts = {"period_start_date": ABSENT, "period_start_time": ABSENT}
    zone = ZoneInfo("America/New_York")
    got = read(stream, raw(first(stream), period_start=start, **parts), zone)

    assert isinstance(got, Reject)
    assert "period_start" in got.error
    assert "5120" == got.key


@pytest.mark.parametrize(("stream", "name"), EACH_MAIN)
def test_a_main_field_is_part_of_the_key(stream: str, name: str) -> None:
    changed: object = "Other" if name == "product" else 4
    keys = {record(stream, first(stream), **change).key for change in ({}, {name: changed}, {name: None})}

    assert 3 == len(keys)


@pytest.mark.parametrize(("stream", "name"), EACH_MAIN)
def test_a_row_without_a_main_field_is_rejected(stream: str, name: str) -> None:
    """Another version of the API may have renamed it: numbers must not become nulls."""
    got = read(stream, raw(first(stream), **{name: ABSENT}))

    assert isinstance(got, Reject)
    assert name in got.error


@pytest.mark.parametrize("bad", [[], {}, "x" * 9, -1, 1e30])
@pytest.mark.parametrize(
    ("stream", "name"), [each for each in EACH_MAIN if each[1] not in ("product", "gender", "age", "age_bracket")]
)
def test_a_row_with_a_malformed_number_is_rejected(stream: str, name: str, bad: object) -> None:
    if name == "type" and bad == -1:
        assert "unknown" == value(stream, first(stream), type=-1)["vehicle_type"]
        return
    got = read(stream, raw(first(stream), **{name: bad}))

    assert isinstance(got, Reject)
    assert name in got.error


@pytest.mark.parametrize(("stream", "name"), EACH_SIDE)
def test_a_side_field_that_cannot_be_understood_is_null_and_counted(stream: str, name: str) -> None:
    ignored = Counter[str]()
    got = record(stream, first(stream), PARIS, ignored, **{name: {"new": 1}})

    assert {name: 1} == ignored
    assert record(stream, first(stream), **{name: None}).fingerprint == got.fingerprint


@pytest.mark.parametrize(("stream", "name"), EACH_SIDE)
def test_a_side_field_may_be_absent(stream: str, name: str) -> None:
    ignored = Counter[str]()
    absent = record(stream, first(stream), PARIS, ignored, **{name: ABSENT})

    assert not ignored
    assert record(stream, first(stream)).key == absent.key
    assert record(stream, first(stream), **{name: None}) == absent


@each_stream
def test_whole_floats_are_integers(stream: str) -> None:
    floats = {
        name: float(each)
        for name, each in first(stream).items()
        if isinstance(each, int) and not isinstance(each, bool)
    }
    expected, got = record(stream, first(stream)), record(stream, first(stream), **floats)

    assert (expected.key, expected.fingerprint, expected.end_ms) == (got.key, got.fingerprint, got.end_ms)
    assert value(stream, first(stream)) == value(stream, first(stream), **floats)


@each_stream
def test_a_placeholder_gives_no_record(stream: str) -> None:
    kept = ("location_id", "period_start", "product")
    nulls: dict[str, Any] = {name: None for name in first(stream) if name not in kept}

    assert read(stream, raw(first(stream), **nulls)) is None


@each_stream
def test_unknown_fields_are_ignored(stream: str) -> None:
    assert record(stream, first(stream)) == record(stream, first(stream), brand_new={"location_id": 1})


@each_stream
def test_events_are_named_by_kind_and_keyed_by_location(stream: str) -> None:
    event = events(stream, first(stream))[0]
    kind = event.type.name.removeprefix("quividi.").removesuffix(".v1")

    assert (f"{DIGEST}/{kind}/0", f"location/5120/{kind}/{DIGEST}", "5120") == (event.id, event.subject, event.key)
    assert value(stream, first(stream))["record_id"].startswith(f"quividi/acme/{kind}/5120/2026-01-14T17:41:")


STABLE: dict[str, tuple[Row, bytes, list[int], bytes]] = {
    "footfall": (PERSON, b"footfall", [15600], b""),
    "vehicles": (CAR, b"vehicle", [1, 8400], b""),
    "vehicles_footfall": (MIXED_CAR, b"vehicle_or_person", [1, 8400, 0], b""),
    "retail_analytics_footfall": (VISITOR, b"retail_visitor", [15600], b""),
    "pmp_sales_by_demographics": (SALE, b"pmp_sales_by_demographics", [2, 3, 3, 2], b"Espresso beans, 1 kg"),
    "pmp_sales_funnel": (FUNNEL, b"pmp_sales_funnel", [2, 3, 3, 2, 43100, 12000], b"Espresso beans, 1 kg"),
}


@each_stream
def test_keys_are_stable_across_releases(stream: str) -> None:
    """Ledgers of running collectors contain them. A change needs another version of the field lists."""
    row, kind, numbers, text = STABLE[stream]
    got = record(stream, row)
    packed = b"".join(each.to_bytes(8, "big") for each in (5120, got.vendor_local_s * 1000, *numbers))

    assert b"quividi." + kind + packed + text == got.key


def test_a_malformed_row_affects_no_other() -> None:
    rows = [raw(PERSON), b"{", raw(PERSON, location_id="x"), raw(PERSON, vr_id=9)]
    found = list(finest_rows("footfall", PARIS).read(rows, *([None] * 2)))  # type: ignore[arg-type]

    assert [Record, Reject, Reject, Record] == [type(each) for each in found]
