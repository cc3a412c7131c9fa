"""A malformed row is a reject with a reason and a path, and does not affect other rows."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Record, Reject
from collector.vendors.quividi.events import explode_viewer
from collector.vendors.quividi.viewers import Viewer, read_viewer
from tests.rows import export_rows, read_viewers
from tests.vendors.quividi.example import ABSENT, EXPERT, PARIS, finished_export, record, reject, row

DEEP = b"[" * 1_000_000 + b"]" * 1_000_000  # Python 3.14 limits the depth by the size of the stack
TEN_YEARS = 10 * 366 * 864_000  # in tenths of seconds
FIELDS = [name for name in Viewer.__struct_fields__ if name != "location_id"]
INT64 = st.integers(-(2**63), 2**63 - 1)


def json(numbers: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Any JSON of these numbers."""
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text() | st.datetimes().map(str),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
        max_leaves=6,
    )


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"period_start": ABSENT}, "`period_start`"),
        ({"period_start": None}, "`period_start`"),
        ({"period_start": ""}, "`period_start`"),
        ({"period_start": "never"}, "$.period_start"),
        ({"period_start": ABSENT, "start_time": "never"}, "$.period_start"),
        ({"period_start": "2018-02-29T00:00:00"}, "$.period_start"),
        ({"period_start": "2018-01-29T25:00:00"}, "$.period_start"),
        ({"period_start": "0000-01-01T00:00:00"}, "$.period_start"),
        ({"period_start": "10000-01-01T00:00:00"}, "$.period_start"),
        ({"period_start": "29/01/2018 01:28:52"}, "$.period_start"),
        ({"period_start": "2018-01-29"}, "$.period_start"),
        ({"period_start": "2018-W05-1T01:28:52"}, "$.period_start"),
        ({"period_start": "2018-01-29x01:28:52"}, "$.period_start"),
        ({"period_start": 1517189332}, "$.period_start"),
        ({"period_start": ["2018-01-29T01:28:52"]}, "$.period_start"),
        ({"period_start": "2018-01-29T01:28:52Z"}, "without a zone - at `$.period_start`"),
        ({"period_start": "2018-01-29T01:28:52+01:00"}, "without a zone - at `$.period_start`"),
        ({"period_start": "2018-01-29 01:28:52-00:00"}, "without a zone - at `$.period_start`"),
        ({"gender": ABSENT}, "required field `gender`"),
        ({"age": ABSENT}, "required field `age`"),
        ({"dwell_time": ABSENT}, "required field `dwell_time_in_tenths_of_sec`"),
        ({"attention_time": ABSENT}, "required field `attention_time_in_tenths_of_sec`"),
        ({"dwell_time": -1}, "$.dwell_time"),
        ({"dwell_time": -0.1}, "$.dwell_time"),
        ({"dwell_time_in_tenths_of_sec": -1}, "$.dwell_time_in_tenths_of_sec"),
        ({"dwell_time": TEN_YEARS + 1}, "$.dwell_time"),
        ({"dwell_time": "24"}, "$.dwell_time"),
        ({"attention_time": -1}, "$.attention_time"),
        ({"attention_time": [8]}, "$.attention_time"),
        ({"gender": "2"}, "$.gender"),
        ({"gender": 1.5}, "$.gender"),
        ({"gender": True}, "$.gender"),
        ({"gender": 2**63}, "$.gender"),
        ({"gender": 2**70}, "$.gender"),
        ({"age": -(2**63) - 1}, "$.age"),
    ],
)
def test_a_reject_names_the_path_and_the_location(changes: dict[str, object], place: str) -> None:
    got = reject(**changes)

    assert place in got.error
    assert row(**changes) == got.payload
    assert "8866" == got.key


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (ABSENT, "`location_id`"),
        (None, "$.location_id"),
        (-1, "$.location_id"),
        ("8866", "$.location_id"),
        (2**63, "$.location_id"),
        (True, "$.location_id"),
    ],
)
def test_a_reject_with_an_invalid_location_has_no_key(location: object, place: str) -> None:
    got = reject(location_id=location)

    assert place in got.error
    assert got.key is None


def test_a_rejects_key_is_that_of_its_viewer() -> None:
    """A viewer of the location 8866.0 is published under the key 8866: its rejects belong to the same partition."""
    assert "8866" == reject(location_id=8866.0, period_start="never").key


@pytest.mark.parametrize("raw", [b"null", b"[]", b"1", b'"a"', b"{}", b"true", b'"\xff"', b'{"location_id":"\xff"}'])
def test_a_value_that_is_not_a_viewer_is_a_reject(raw: bytes) -> None:
    got = read_viewer(raw, PARIS)

    assert isinstance(got, Reject)
    assert (raw, None) == (got.payload, got.key)
    assert got.error


@pytest.mark.parametrize("raw", [DEEP, row()[:-1] + b',"new":' + DEEP + b"}"], ids=["a row", "a field"])
def test_a_deeply_nested_row_is_a_reject(raw: bytes) -> None:
    got = read_viewer(raw, PARIS)

    assert isinstance(got, Reject)
    assert raw == got.payload
    assert got.error


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("footfall_start", "2018-01-29T01:28:50Z"),
        ("footfall_start", "00:00:20"),
        ("footfall_start", ""),
        ("footfall_start", 20),
        ("footfall_start", "0001-01-01T00:00:00"),
        ("glasses", 2**64),
        ("vr_id", 2**63),
        ("vr_id", 1.5),
        ("footfall_id", []),
        ("happy", "50"),
        ("happy", {}),
        ("age_value", 2**67),
        ("age_value", "nineteen"),
    ],
)
def test_a_side_field_that_cannot_be_understood_is_null_and_counted(name: str, value: object) -> None:
    ignored = Counter[str]()
    got = read_viewer(row(**{name: value}), PARIS, ignored)
    expected = read_viewer(row(**{name: None}), PARIS)

    assert isinstance(got, Record)
    assert isinstance(expected, Record)
    assert (expected.key, expected.fingerprint) == (got.key, got.fingerprint)
    assert next(explode_viewer(expected, "f" * 32, 0, "acme")) == next(explode_viewer(got, "f" * 32, 0, "acme"))
    assert {name: 1} == ignored


def test_a_viewer_whose_times_are_renamed_is_malformed() -> None:
    """It must not be published again as another viewer, without times."""
    renamed = {"dwell_time": ABSENT, "attention_time": ABSENT, "dwell_ms": 2400, "attention_ms": 800}

    assert "required field `dwell_time_in_tenths_of_sec`" in reject(**renamed).error


def test_a_deeply_nested_list_of_rows_is_a_reject() -> None:
    rows = export_rows(finished_export(DEEP))

    assert [Reject] == [type(one) for one in read_viewers(rows, PARIS)]


@pytest.mark.parametrize(
    ("zone_time", "dwell"), [("0001-01-01T00:00:00", 0), ("9999-12-31T23:59:59", 50_000), ("9999-12-31T23:59:59", None)]
)
def test_times_outside_the_calendar_are_rejects(zone_time: str, dwell: int | None) -> None:
    """In UTC, the first hour of year 1 in Paris is outside the calendar; the last hour of 9999 is inside."""
    if dwell is None:
        assert (
            "9999-12-31T22:59:59.000Z" == next(explode_viewer(record(period_start=zone_time), "f" * 32, 0, "acme")).time
        )
        return
    got = reject(period_start=zone_time, dwell_time=dwell)

    assert "outside the years 1 to 9999 - at `$.period_start`" == got.error
    assert "8866" == got.key


def test_rejects_do_not_affect_other_rows() -> None:
    body = finished_export(row(dwell_time=1), b"null", row(gender="male"), b'"\xff"', row(dwell_time=3))

    got = read_viewers(export_rows(body), PARIS)

    assert [Record, Reject, Reject, Reject, Record] == [type(one) for one in got]
    assert [1, 3] == [one.payload.row.dwell_time for one in got if isinstance(one, Record)]


def test_nan_in_a_required_field_rejects_one_row() -> None:
    body = finished_export(row(), row().replace(b'"location_id":8866', b'"location_id":NaN'))

    assert [Record, Reject] == [type(one) for one in read_viewers(export_rows(body), PARIS)]


@pytest.mark.parametrize("changes", [{"gender": 2**67}, {"age": -(2**67)}, {"dwell_time": 2**64}])
def test_an_integer_beyond_64_bits_rejects_one_row(changes: dict[str, object]) -> None:
    assert isinstance(read_viewer(row(**changes), PARIS), Reject)


def check(raw: bytes) -> None:
    """The row is a reject with a reason, a viewer whose event can be encoded, or a placeholder."""
    got = read_viewer(raw, PARIS)
    if isinstance(got, Record):
        [event] = explode_viewer(got, "f" * 32, 0, "acme")
        assert msgspec.json.encode(event.data)
    elif got is not None:
        assert got.error


@given(st.sampled_from([*FIELDS, "location_id"]), json(INT64 | st.floats(-1e15, 1e15)))
def test_any_value_of_a_field_gives_an_event_or_a_reject(name: str, value: object) -> None:
    check(row(**{name: value}))


def test_any_number_in_a_field_gives_an_event_or_a_reject() -> None:
    for number in (0, 1.5, 1e300, 2**63, 2**64, 2**80, -(2**63) - 1, -(2**64)):
        for name in (*FIELDS, "location_id"):
            check(row(**{name: number}))
            check(row(**{"gender": 2.0, name: number}))


@given(json(st.integers(-(2**70), 2**70) | st.floats()))
def test_any_other_value_as_a_row_is_a_reject(value: object) -> None:
    assert isinstance(read_viewer(msgspec.json.encode(str(value) if isinstance(value, int) else value), PARIS), Reject)


@given(st.integers(0, len(EXPERT[0]) - 1), st.integers(0, 255))
def test_a_corrupted_byte_never_raises(place: int, byte: int) -> None:
    check(EXPERT[0][:place] + bytes([byte]) + EXPERT[0][place + 1 :])
