"""Decoding of finest viewers: every field under old and new names, keys and fingerprints."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collector.model import Record
from collector.steps import at_once
from collector.vendors.quividi import wire
from collector.vendors.quividi.viewers import Viewer, read_viewer
from tests.rows import export_rows, read_viewers
from tests.vendors.quividi.example import (
    ABSENT,
    APC,
    EXPERT,
    EXPERT_RESPONSE,
    IN_PROGRESS,
    PARIS,
    PRO,
    PRO_RESPONSE,
    STARTED,
    finished_export,
    record,
    record_of,
    row,
)

START_MS = 1517185732000  # 2018-01-29T01:28:52 in Paris: 00:28:52 UTC
LOCAL_S = 1517189332  # the same digits, read as UTC

# The documented name, and the one observed in newer versions.
RENAMED = [("dwell_time", "dwell_time_in_tenths_of_sec"), ("attention_time", "attention_time_in_tenths_of_sec")]


def test_documented_pro_response() -> None:
    first, second = read_viewers(export_rows(PRO_RESPONSE), PARIS)

    assert isinstance(first, Record)
    assert (1517180427000, 1517180431100, 1517184027) == (first.start_ms, first.end_ms, first.vendor_local_s)
    assert (False, None) == (first.payload.ambiguous, first.payload.link.start_ms)
    assert (
        Viewer(location_id=8264, period_start="2018-01-29T00:00:27", gender=1, age=3, dwell_time=41, attention_time=16)
        == first.payload.row
    )
    assert record_of(PRO[1]) == second


def test_documented_expert_response() -> None:
    first, second = read_viewers(export_rows(EXPERT_RESPONSE), PARIS)

    assert isinstance(first, Record)
    assert (START_MS, START_MS + 2400, LOCAL_S) == (first.start_ms, first.end_ms, first.vendor_local_s)
    assert isinstance(second, Record)
    assert (
        Viewer(
            location_id=8866,
            period_start="2018-01-29T00:25:18",
            gender=1,
            age=3,
            dwell_time=37,
            attention_time=3,
            age_value=57,
            very_happy=0.0,
            happy=49.80392156862745,
            neutral=0.39215686274509665,
            unhappy=49.80392156862745,
            very_unhappy=0.0,
            glasses=3,
            mustache=2,
            beard=2,
        )
        == second.payload.row
    )


def test_a_viewer_with_contents_is_decoded_as_a_viewer() -> None:
    got = record_of(APC)

    assert 38918 == got.payload.row.location_id
    assert 1515918114000 == got.start_ms


@pytest.mark.parametrize(
    ("body", "state"), [(STARTED, "started"), (IN_PROGRESS, "in_progress"), (PRO_RESPONSE, "finished")]
)
def test_documented_responses_have_a_state(body: bytes, state: str) -> None:
    assert state == at_once(wire.decode_export(body)).state


@pytest.mark.parametrize("data", [ABSENT, None, {}, {"rows": []}, 1, "[]"])
def test_a_response_without_a_list_of_rows_has_none(data: object) -> None:
    fields = {"state": "finished"} | ({} if data is ABSENT else {"data": data})

    assert export_rows(msgspec.json.encode(fields)) is None
    none = export_rows(finished_export())
    assert none is not None
    assert not none


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_old_and_new_names_are_equivalent(old: str, new: str) -> None:
    renamed = record(**{old: ABSENT, new: msgspec.json.decode(row())[old]})

    assert (record().key, record().fingerprint, record().end_ms) == (renamed.key, renamed.fingerprint, renamed.end_ms)


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_the_new_name_has_precedence_unless_it_is_null(old: str, new: str) -> None:
    assert record(**{old: 77}).key == record(**{old: 5, new: 77}).key
    assert record(**{old: 5}).key == record(**{old: 5, new: None}).key
    assert record(**{old: 0}).key == record(**{old: 5, new: 0}).key


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2018-01-29T01:28:52", START_MS),
        ("2018-01-29 01:28:52", START_MS),
        ("2018-01-29T01:28:52.250", START_MS + 250),
        ("2018-07-29T01:28:52", 1532820532000),
        ("1969-12-31T23:00:00", -7_200_000),
    ],
)
@pytest.mark.parametrize("name", ["period_start", "start_time"])
def test_local_times_may_have_a_t_or_a_space(name: str, text: str, ms: int) -> None:
    got = record(**{"period_start": ABSENT, name: text})

    assert ms == got.start_ms


@pytest.mark.parametrize(
    ("zone", "offset_s"), [("UTC", 0), ("America/New_York", -18000), ("Asia/Kathmandu", 20700), ("Pacific/Apia", 50400)]
)
def test_the_zone_changes_the_instant_but_not_the_key(zone: str, offset_s: int) -> None:
    got = record_of(row(), ZoneInfo(zone))

    assert (LOCAL_S - offset_s) * 1000 == got.start_ms
    assert (record().key, LOCAL_S) == (got.key, got.vendor_local_s)


# Fields that depend on the licence or the version of the API: none of them makes another viewer.
OPTIONAL_FIELDS: list[dict[str, object]] = [
    {"age_value": 20},
    {"age_value": None},
    {"glasses": 2, "mustache": None, "beard": ABSENT},
    {"happy": None, "neutral": None, "unhappy": None, "very_happy": None, "very_unhappy": None},
    {"happy": 100.0, "neutral": 0.0, "very_happy": 0.0},
    {"vr_id": 17},
    {"vr_id": "17"},
    {"footfall_id": 4, "footfall_start": "2018-01-29T01:28:50"},
]


def test_optional_fields_change_the_fingerprint_but_not_the_key() -> None:
    variants = [record(), *(record(**changes) for changes in OPTIONAL_FIELDS)]

    assert {record().key} == {each.key for each in variants}
    assert len(variants) == len({each.fingerprint for each in variants})


EQUIVALENT: list[dict[str, object]] = [
    {"period_start": "2018-01-29 01:28:52"},
    {"period_start": ABSENT, "start_time": "2018-01-29T01:28:52"},
    {"period_start_date": "2018-01-29", "period_start_time": "01:28:52"},
    {"dwell_time": 24.0, "attention_time": 8.0},
    {"location_id": 8866.0, "gender": 2.0, "age": 2.0, "glasses": 1.0, "age_value": 19.0},
    {"happy": 0, "unhappy": -0.0},
    {"vr_id": None, "footfall_id": None, "footfall_start": None},
    {"neutral": 66.66666666666667, "very_happy": 33.33333333333333},
    {"neutral": 66.6668, "very_happy": 33.3329, "happy": 0.0004},
    {"new": {"location_id": 1}, "contents": [{"dwell_time": 15}], "app_id": "x"},
]


@pytest.mark.parametrize("changes", EQUIVALENT)
def test_equivalent_rows_have_equal_keys_and_fingerprints(changes: dict[str, object]) -> None:
    got = record(**changes)

    assert (record().key, record().fingerprint) == (got.key, got.fingerprint)


def test_the_format_of_footfall_start_does_not_matter() -> None:
    fingerprints = (record(footfall_start=f"2018-01-29{between}01:28:50").fingerprint for between in "T ")

    assert 1 == len(set(fingerprints))


def test_fields_that_every_box_sends_are_the_key() -> None:
    others: list[dict[str, object]] = [
        {"location_id": 8867},
        {"period_start": "2018-01-29T01:28:53"},
        {"gender": 1},
        {"gender": None},
        {"gender": 0},
        {"age": 0},
        {"age": None},
        {"dwell_time": 25},
        {"dwell_time": 24.5},
        {"dwell_time": None},
        {"dwell_time": 0},
        {"attention_time": 9},
        {"attention_time": None},
        {"dwell_time": 8, "attention_time": 24},
    ]

    assert 1 + len(others) == len({record().key, *(record(**other).key for other in others)})


def test_keys_and_fingerprints_are_stable_across_releases() -> None:
    """Ledgers of running collectors contain them. A change needs another FIELDS_VERSION."""
    more = {"vr_id": 7, "footfall_id": "f", "footfall_start": "2018-01-29T01:28:50"}
    got = record(**more)

    numbers = b"".join(number.to_bytes(8, "big") for number in (8866, LOCAL_S * 1000, 2, 2, 2400, 800))
    assert b"quividi.viewer" + numbers == got.key
    fields = [7, "f", "2018-01-29T01:28:50", 19, 1, 1, 1, 33.333, 0.0, 66.667, 0.0, 0.0]
    assert fields == msgspec.msgpack.decode(got.fingerprint)


def test_nan_is_null() -> None:
    body = finished_export(
        row().replace(b'"age_value":19', b'"age_value":NaN').replace(b'"glasses":1', b'"glasses":-Infinity')
    )
    [got] = read_viewers(export_rows(body), PARIS)

    assert record(age_value=None, glasses=None) == got


@pytest.mark.parametrize(
    ("tenths", "ms"),
    [(0, 0), (41, 4100), (41.0, 4100), (41.5, 4150), (0.04, 4), (0.29, 29), (None, None)],
)
def test_tenths_of_seconds_become_milliseconds_or_null(tenths: object, ms: int | None) -> None:
    viewer = record(dwell_time=tenths, attention_time=tenths).payload.row

    assert (ms, ms) == (viewer.dwell_ms, viewer.attention_ms)


@pytest.mark.parametrize("name", ["gender", "age", "age_value", "happy", "glasses", "mustache", "beard"])
@pytest.mark.parametrize(("value", "kept"), [(0, 0), (None, None)])
def test_zero_is_kept_and_missing_is_none(name: str, value: object, kept: int | None) -> None:
    got = getattr(record(**{name: value}).payload.row, name)

    assert (kept, type(kept)) == (got, type(got))


IMPLAUSIBLE: list[dict[str, Any]] = [
    {"happy": 90.0, "neutral": 90.0},
    {"happy": 0.0, "neutral": 0.0, "very_happy": 0.0},
    {"attention_time": 542, "dwell_time": 15},
    {"gender": 9, "age": -1, "glasses": 77},
    {"age_value": 19.5},
]


@pytest.mark.parametrize("changes", IMPLAUSIBLE)
def test_implausible_values_are_kept(changes: dict[str, Any]) -> None:
    got = record(**changes).payload.row

    assert changes == {name: getattr(got, name) for name in changes}


PLACEHOLDER: dict[str, object] = {"gender": None, "age": None, "dwell_time": None, "attention_time": None}


def test_a_placeholder_gives_no_record() -> None:
    placeholder = row(**PLACEHOLDER)

    assert read_viewer(placeholder, PARIS) is None
    assert 2 == len(read_viewers([EXPERT[0], placeholder, PRO[0]], PARIS))


@pytest.mark.parametrize("name", PLACEHOLDER)
def test_a_row_with_one_zero_is_not_a_placeholder(name: str) -> None:
    assert isinstance(read_viewer(row(**(PLACEHOLDER | {name: 0})), PARIS), Record)


def test_whitespace_and_field_order_do_not_matter() -> None:
    backwards = msgspec.json.encode(dict(reversed(msgspec.json.decode(EXPERT[0]).items())))

    assert record() == record_of(backwards) == record_of(EXPERT[0])
