"""A viewer that cannot be understood says why and where, and costs its neighbours nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Record, Reject
from collector.vendors.quividi import wire
from collector.vendors.quividi.events import explode_viewer
from collector.vendors.quividi.wire import read, read_viewer
from tests.vendors.quividi.example import EXPERT, LEFT_OUT, PARIS, answer, record, reject, row

DEEP = b"[" * 100_000 + b"]" * 100_000
TEN_YEARS = 10 * 366 * 864_000  # in tenths of seconds
FIELDS = [name for name in wire.Viewer.__struct_fields__ if name != "location_id"]
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
        ({"period_start": LEFT_OUT}, "`period_start`"),
        ({"period_start": None}, "`period_start`"),
        ({"period_start": ""}, "`period_start`"),
        ({"period_start": "never"}, "$.period_start"),
        ({"period_start": LEFT_OUT, "start_time": "never"}, "$.period_start"),
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
        ({"footfall_start": "2018-01-29T01:28:50Z"}, "without a zone - at `$.footfall_start`"),
        ({"footfall_start": "before"}, "$.footfall_start"),
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
        ({"glasses": 2**64}, "$.glasses"),
        ({"vr_id": 2**63}, "$.vr_id"),
        ({"vr_id": 1.5}, "$.vr_id"),
        ({"happy": "50"}, "$.happy"),
        ({"happy": {}}, "$.happy"),
    ],
)
def test_it_says_what_is_wrong_and_where_and_of_which_location(changes: dict[str, object], place: str) -> None:
    got = reject(**changes)

    assert place in got.error
    assert row(**changes) == got.payload
    assert "8866" == got.key


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (LEFT_OUT, "`location_id`"),
        (None, "$.location_id"),
        (-1, "$.location_id"),
        ("8866", "$.location_id"),
        (2**63, "$.location_id"),
        (True, "$.location_id"),
    ],
)
def test_a_location_that_cannot_be_read_is_no_key(location: object, place: str) -> None:
    got = reject(location_id=location)

    assert place in got.error
    assert got.key is None


def test_a_location_is_read_as_in_a_viewer() -> None:
    """A viewer of the location 8866.0 is published under the key 8866: its rejects belong beside it."""
    assert "8866" == reject(location_id=8866.0, period_start="never").key


@pytest.mark.parametrize("raw", [b"null", b"[]", b"1", b'"a"', b"{}", b"true", b'"\xff"', b'{"location_id":"\xff"}'])
def test_what_is_no_viewer_at_all_is_a_reject(raw: bytes) -> None:
    got = read_viewer(raw, PARIS)

    assert isinstance(got, Reject)
    assert (raw, None) == (got.payload, got.key)
    assert got.error


@pytest.mark.parametrize("raw", [DEEP, row()[:-1] + b',"new":' + DEEP + b"}"], ids=["a row", "a field"])
def test_what_is_nested_too_deeply_is_a_reject(raw: bytes) -> None:
    got = read_viewer(raw, PARIS)

    assert isinstance(got, Reject)
    assert raw == got.payload
    assert got.error


def test_an_answer_that_is_nested_too_deeply_is_none_at_all() -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode_export(answer(DEEP))


@pytest.mark.parametrize(
    ("zone_time", "dwell"), [("0001-01-01T00:00:00", 0), ("9999-12-31T23:59:59", 50_000), ("9999-12-31T23:59:59", None)]
)
def test_what_no_calendar_can_write_is_a_reject_and_its_neighbour_is_not(zone_time: str, dwell: int | None) -> None:
    """In Paris the first hour of the year 1 lies before it in UTC; the last hour of 9999 does not lie after it."""
    if dwell is None:
        assert "9999-12-31T22:59:59.000Z" == next(explode_viewer(record(period_start=zone_time), "f" * 32, 0, "x")).time
        return
    got = reject(period_start=zone_time, dwell_time=dwell)

    assert "range" in got.error or "years" in got.error
    assert "8866" == got.key


def test_its_neighbours_are_still_viewers() -> None:
    body = answer(row(dwell_time=1), b"null", row(gender="male"), b'"\xff"', row(dwell_time=3))

    got = list(read(wire.rows(wire.decode_export(body)) or (), PARIS))

    assert [Record, Reject, Reject, Reject, Record] == [type(one) for one in got]
    assert [1, 3] == [one.payload.row.dwell_time for one in got if isinstance(one, Record)]


def test_not_a_number_where_something_must_stand_costs_one_row() -> None:
    body = answer(row(), row().replace(b'"location_id":8866', b'"location_id":NaN'))

    assert [Record, Reject] == [type(one) for one in read(wire.rows(wire.decode_export(body)) or (), PARIS)]


@pytest.mark.parametrize(
    "changes", [{"age_value": 2**67}, {"age_value": -(2**67)}, {"happy": 2**64}, {"happy": 1e300, "gender": 2.0}]
)
def test_an_integer_beyond_64_bits_costs_one_row_also_where_fractions_may_stand(changes: dict[str, object]) -> None:
    assert isinstance(read_viewer(row(**changes), PARIS), Reject)


def holds(raw: bytes) -> None:
    """It is a reject with a reason, or a viewer whose event can be written, or nothing."""
    got = read_viewer(raw, PARIS)
    if isinstance(got, Record):
        [event] = explode_viewer(got, "f" * 32, 0, "lobby")
        assert msgspec.json.encode(event.data)
    elif got is not None:
        assert got.error


@given(st.sampled_from([*FIELDS, "location_id"]), json(INT64 | st.floats(-1e15, 1e15)))
def test_whatever_stands_in_a_field_it_is_a_viewer_that_becomes_an_event_or_a_reject(name: str, value: object) -> None:
    holds(row(**{name: value}))


def test_whatever_number_stands_in_a_field_it_is_a_viewer_that_becomes_an_event_or_a_reject() -> None:
    for number in (0, 1.5, 1e300, 2**63, 2**64, 2**80, -(2**63) - 1, -(2**64)):
        for name in (*FIELDS, "location_id"):
            holds(row(**{name: number}))
            holds(row(**{"gender": 2.0, name: number}))


@given(json(st.integers(-(2**70), 2**70) | st.floats()))
def test_whatever_stands_for_a_row_is_a_reject(value: object) -> None:
    assert isinstance(read_viewer(msgspec.json.encode(str(value) if isinstance(value, int) else value), PARIS), Reject)


@given(st.integers(0, len(EXPERT[0]) - 1), st.integers(0, 255))
def test_no_broken_byte_is_an_error(place: int, byte: int) -> None:
    holds(EXPERT[0][:place] + bytes([byte]) + EXPERT[0][place + 1 :])
