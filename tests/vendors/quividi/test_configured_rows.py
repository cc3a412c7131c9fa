"""Rows of types that are configured by hand: what identifies them, what is compared, and which rows are malformed."""

import json
import re
from collections import Counter
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.model import DedupMode, Record, Reject
from collector.vendors.quividi.configured_rows import ConfiguredAggregates
from collector.vendors.quividi.row_values import MAX_ROW_BYTES, RowForm
from tests.vendors.quividi.configured import (
    FORMS,
    GESTURE,
    GESTURE_FORM,
    QUEUE,
    QUEUE_FORM,
    YEAR_2026,
    Row,
    event,
    raw,
    read,
    record,
    rows_of,
    value,
)
from tests.vendors.quividi.example import ABSENT

NO_PLACE = structs.replace(QUEUE_FORM, place=None)
KEYED_GESTURE = structs.replace(GESTURE_FORM, key=("gesture",))
each_form = pytest.mark.parametrize(("form", "row"), [(form, rows[0]) for form, rows in FORMS])


def rejected(form: RowForm, given: bytes) -> Reject:
    [found] = read(form, [given])
    assert isinstance(found, Reject), found
    return found


def test_an_aggregated_row_is_published_with_its_period() -> None:
    found = record(QUEUE_FORM, QUEUE)
    got = value(QUEUE_FORM, found, 2)

    assert DedupMode.VERSIONED is rows_of(QUEUE_FORM).dedup_mode
    assert "quividi/airport/row/queues/queue/location/5120/2026-01-14T17:00:00/1h/desk=3" == got["record_id"]
    assert (2, None) == (got["revision"], got["occurrence"])
    assert ("queues", "queue", "1h") == (got["stream"], got["data_type"], got["resolution"])
    assert (5120, None, None) == (got["location_id"], got["site_id"], got["selection"])
    assert ("2026-01-14T16:00:00.000Z", "2026-01-14T17:00:00.000Z") == (got["period_start"], got["period_end"])
    assert got["started_at"] is got["started_local"] is None


def test_a_finest_row_is_published_with_its_start_and_its_occurrence() -> None:
    found = record(GESTURE_FORM, GESTURE)
    got = value(GESTURE_FORM, found, 1)

    assert DedupMode.MULTISET is rows_of(GESTURE_FORM).dedup_mode
    assert got["record_id"].startswith("quividi/airport/row/gestures/gesture/location/5120/2026-01-14T17:41:09.250/")
    assert got["record_id"].endswith("/1")
    assert (0, 1, "finest") == (got["revision"], got["occurrence"], got["resolution"])
    assert ("2026-01-14T16:41:09.250Z", "2026-01-14T17:41:09.250") == (got["started_at"], got["started_local"])
    assert got["period_start"] is got["period_end"] is got["period_start_local"] is None


@each_form
def test_the_row_is_published_as_json_with_sorted_fields_and_values_as_received(form: RowForm, row: Row) -> None:
    text = value(form, record(form, row))["row_json"]

    assert json.loads(text) == row
    assert list(json.loads(text)) == sorted(row)
    assert ("14.0" in text) == ("waiting_count" in row)


@each_form
def test_the_message_key_is_the_place(form: RowForm, row: Row) -> None:
    published = event(form, record(form, row))

    assert "5120" == published.key
    assert published.subject.startswith(f"location/5120/row/{form.stream}/{form.data_type}/")


@pytest.mark.parametrize(
    ("form", "row", "key", "fields"),
    [
        (structs.replace(QUEUE_FORM, place="site_id"), QUEUE | {"site_id": 178}, "178", {"site_id": 178}),
        (NO_PLACE, QUEUE, "user/airport", {"selection": "5e1ec7ed"}),
    ],
)
def test_a_row_may_be_about_a_site_or_about_all_that_is_selected(
    form: RowForm, row: Row, key: str, fields: dict[str, object]
) -> None:
    published = event(form, record(form, row))
    got = value(form, record(form, row))

    assert key == published.key
    assert {"location_id": None, "site_id": None, "selection": None} | fields == {
        name: got[name] for name in ("location_id", "site_id", "selection")
    }


EQUAL: list[tuple[RowForm, Row, dict[str, Any]]] = [
    (QUEUE_FORM, QUEUE, {"waiting_count": 14}),
    (QUEUE_FORM, QUEUE, {"desk": 3.0}),
    (QUEUE_FORM, QUEUE, {"desk": "3"}),
    (QUEUE_FORM, QUEUE, {"location_id": "5120"}),
    (QUEUE_FORM, QUEUE, {"location_id": 5120.0}),
    (QUEUE_FORM, QUEUE, {"desk_name": "Arrivals"}),
    (QUEUE_FORM, QUEUE, {"period_start": "2026-01-14T17:00"}),
    (QUEUE_FORM, QUEUE, {"period_start": None}),
    (QUEUE_FORM, QUEUE, {"period_start": ABSENT}),
    (QUEUE_FORM, QUEUE, {"period_start_date": ABSENT, "period_start_time": ABSENT}),
    (QUEUE_FORM, QUEUE, {"new_field": None}),
    (GESTURE_FORM, GESTURE, {"hand": {"fingers": [1.0, 2], "side": "left", "ring": None}}),
    (GESTURE_FORM, GESTURE, {"location_id": 5120}),
    (GESTURE_FORM, GESTURE, {"gesture_time": 31.0, "period_start_date": "2026-01-14"}),
]


@pytest.mark.parametrize(("form", "row", "changes"), EQUAL)
def test_rows_are_equal_whatever_their_form(form: RowForm, row: Row, changes: dict[str, Any]) -> None:
    before, after = record(form, row), record(form, row, **changes)

    assert (before.key, before.fingerprint) == (after.key, after.fingerprint)


@pytest.mark.parametrize(
    ("form", "row", "changes", "is_same_record"),
    [
        (QUEUE_FORM, QUEUE, {"waiting_count": 15}, True),
        (QUEUE_FORM, QUEUE, {"waiting_count": None}, True),
        (QUEUE_FORM, QUEUE, {"new_field": 0}, True),
        (QUEUE_FORM, QUEUE, {"desk": 4}, False),
        (QUEUE_FORM, QUEUE, {"desk": None}, False),
        (QUEUE_FORM, QUEUE, {"desk": ""}, False),
        (QUEUE_FORM, QUEUE, {"location_id": 5121}, False),
        (QUEUE_FORM, QUEUE, {"period_start": "2026-01-14 18:00:00"}, False),
        (GESTURE_FORM, GESTURE, {"confidence": 0.5}, True),
        (GESTURE_FORM, GESTURE, {"gesture": 8}, False),
        (GESTURE_FORM, GESTURE, {"new_field": 0}, False),
        (KEYED_GESTURE, GESTURE, {"new_field": 0}, True),
        (KEYED_GESTURE, GESTURE, {"confidence": 0.5}, True),
        (KEYED_GESTURE, GESTURE, {"gesture": 8}, False),
        (KEYED_GESTURE, GESTURE, {"period_start": "2026-01-14T17:41:09.251"}, False),
    ],
)
def test_which_fields_identify_a_row_and_which_are_compared(
    form: RowForm, row: Row, changes: dict[str, Any], is_same_record: bool
) -> None:
    before, after = record(form, row), record(form, row, **changes)

    assert is_same_record == (before.key == after.key)
    assert is_same_record == (value(form, before)["record_id"] == value(form, after)["record_id"])
    if is_same_record:
        assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": "other"},
        {"data_type": "other"},
        {"key": ("desk", "wait_time")},
        {"resolution": "1d"},
        {"options": "/arguments=5"},
    ],
)
def test_what_the_table_selects_is_part_of_the_identity(changes: dict[str, Any]) -> None:
    midnight = {"period_start": "2026-01-14 00:00:00"}
    before = record(QUEUE_FORM, QUEUE, **midnight)
    after = record(structs.replace(QUEUE_FORM, **changes), QUEUE, **midnight)

    assert before.key != after.key


@each_form
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"period_start": ABSENT, "period_start_date": ABSENT, "begin": "2026-01-14"}, "field `period_start`"),
        ({"period_start": "yesterday"}, r"\$.period_start"),
        ({"period_start": 1_768_410_000}, r"\$.period_start"),
        ({"period_start": "2026-01-14T17:00:00Z"}, r"without a zone - at `\$.period_start"),
        ({"location_id": ABSENT, "place": 5120}, "field `location_id`"),
        ({"location_id": None}, "field `location_id`"),
        ({"location_id": "lobby"}, r"Expected an id - at `\$.location_id"),
        ({"location_id": True}, r"Expected an id - at `\$.location_id"),
        ({"location_id": -1}, r"Expected an id - at `\$.location_id"),
    ],
)
def test_a_row_without_its_time_or_its_place_is_a_dead_letter(
    form: RowForm, row: Row, changes: dict[str, Any], error: str
) -> None:
    found = rejected(form, raw(row, **changes))

    assert re.search(error, found.error), found.error
    assert ("5120" if "location_id" not in changes else None) == found.key


def test_a_renamed_time_field_makes_every_row_a_dead_letter() -> None:
    renamed = [
        raw({("begin" if name.startswith("period") else name): QUEUE[name] for name in QUEUE}, desk=desk)
        for desk in range(30)
    ]

    assert {"Object missing required field `period_start`"} == {
        found.error for found in read(QUEUE_FORM, renamed) if isinstance(found, Reject)
    }
    renamed_form = structs.replace(QUEUE_FORM, time="begin")
    assert all(isinstance(found, Record) for found in read(renamed_form, [raw(QUEUE, begin="2026-01-14 17:00:00")]))


@pytest.mark.parametrize(
    ("form", "given", "error"),
    [
        (QUEUE_FORM, raw(QUEUE, desk=ABSENT), "Object missing required field `desk`"),
        (QUEUE_FORM, raw(QUEUE).replace(b'"desk": 3', rb'"desk": "\ud800"'), "$.desk"),
        (QUEUE_FORM, raw(QUEUE).replace(b'"desk": 3', b'"desk": 1e999'), "$.desk"),
        (GESTURE_FORM, raw(GESTURE).replace(b'"gesture": 7', b'"gesture": 18446744073709551616'), "$.gesture"),
        (KEYED_GESTURE, raw(GESTURE, gesture=ABSENT), "Object missing required field `gesture`"),
        (QUEUE_FORM, raw(QUEUE, note="x" * MAX_ROW_BYTES), "longer than"),
        (QUEUE_FORM, raw(QUEUE, note=0).replace(b'"note": 0', b'"note": ' + b"[" * 2000 + b"]" * 2000), "deeply"),
        (QUEUE_FORM, b"[]", "Expected `object`"),
        (QUEUE_FORM, raw(QUEUE, period_start="2026-01-14 17:30:00"), "No period of 1h starts at"),
        (GESTURE_FORM, raw(GESTURE, period_start="0001-01-01T00:00:00"), "outside the years"),
    ],
    ids=range(10),
)
def test_malformed_rows_are_dead_letters(form: RowForm, given: bytes, error: str) -> None:
    assert error in rejected(form, given).error


def test_a_dead_letter_of_a_row_without_a_place_names_the_account_and_the_selection() -> None:
    found = rejected(NO_PLACE, raw(QUEUE, period_start="never"))

    assert ("user/airport", "5e1ec7ed") == (found.key, found.place)


@pytest.mark.parametrize(
    ("form", "row", "name", "given"),
    [
        (QUEUE_FORM, QUEUE, "waiting_count", rb'"\ud800"'),
        (QUEUE_FORM, QUEUE, "waiting_count", b"18446744073709551616"),
        (QUEUE_FORM, QUEUE, "waiting_count", b'{"all": [1e999]}'),
        (GESTURE_FORM, GESTURE, "model", rb'"\ud800"'),
    ],
)
def test_a_value_that_cannot_be_understood_is_null_and_counted(
    form: RowForm, row: Row, name: str, given: bytes
) -> None:
    ignored = Counter[str]()
    written = json.dumps({name: row[name]})[1:-1].encode()
    [found] = read(form, [raw(row).replace(written, b'"%b": %b' % (name.encode(), given))], ignored=ignored)

    assert isinstance(found, Record)
    assert {name: 1} == ignored
    assert json.loads(found.payload.text)[name] is None


def test_a_finest_row_without_any_value_is_not_published() -> None:
    empty = dict.fromkeys(GESTURE) | {name: GESTURE[name] for name in ("location_id", "period_start", "model")}

    assert [None] == read(GESTURE_FORM, [raw(empty)])


def test_an_aggregated_row_whose_values_have_gone_is_a_revision() -> None:
    before, after = record(QUEUE_FORM, QUEUE), record(QUEUE_FORM, QUEUE, waiting_count=None, wait_time=None)

    assert before.key == after.key
    assert before.fingerprint != after.fingerprint


def test_an_aggregated_row_without_any_value_may_lack_the_key() -> None:
    found = record(QUEUE_FORM, QUEUE, desk=ABSENT, waiting_count=None, wait_time=None)

    assert value(QUEUE_FORM, found)["record_id"].endswith("/1h/desk")


def test_rows_that_the_key_does_not_distinguish_are_dead_letters() -> None:
    form = structs.replace(QUEUE_FORM, key=())
    first, same, other = read(form, [raw(QUEUE), raw(QUEUE), raw(QUEUE, desk=4)])

    assert isinstance(first, Record)
    assert isinstance(same, Record)
    assert (first.key, first.fingerprint) == (same.key, same.fingerprint)
    assert isinstance(other, Reject)
    assert "`key`" in other.error


def test_the_two_passes_of_the_repeated_hour_are_two_records() -> None:
    hour = "2026-10-25 02:00:00"
    found = read(
        QUEUE_FORM, [raw(QUEUE, period_start=hour), raw(QUEUE, period_start=hour), raw(QUEUE, period_start=hour)]
    )
    records = [each for each in found if isinstance(each, Record)]

    assert 2 == len(records) == len({each.key for each in records})
    assert 2 == len({value(QUEUE_FORM, each)["record_id"] for each in records})
    assert all(value(QUEUE_FORM, each)["ambiguous"] for each in records)
    assert isinstance(found[2], Reject)


def test_a_period_outside_the_window_is_not_read() -> None:
    assert [None] == read(QUEUE_FORM, [raw(QUEUE, period_start="2027-01-01 00:00:00")])


def test_periods_of_days_are_counted_from_the_anchor() -> None:
    rows = ConfiguredAggregates(structs.replace(QUEUE_FORM, resolution="7d"), date(2026, 1, 7), ZoneInfo("Asia/Tokyo"))
    [found] = rows.read([raw(QUEUE, period_start="2026-01-14 00:00:00")], *YEAR_2026)

    assert isinstance(found, Record)
    assert 7 * 86_400_000 == found.end_ms - found.start_ms
