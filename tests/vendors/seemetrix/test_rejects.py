"""A malformed row is a reject with a reason and a path, and does not affect other rows."""

from collections import Counter
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.instants import MAX_MS, MIN_MS, to_ms
from collector.model import Record, Reject
from collector.vendors.seemetrix import wire
from collector.vendors.seemetrix.events import explode_session
from collector.vendors.seemetrix.wire import read, read_session
from tests.rows import session_rows
from tests.vendors.seemetrix.example import ABSENT, SESSION, record, reject, row

LONG_MS = wire.MAX_DURATION_MS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("adeiosbv"), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"at": [{"a": 1, "d": 1}, {"a": 1, "d": "x"}]}, "$.at[1].d"),
        ({"at": [{"a": 1, "d": -1}]}, "$.at[0].d"),
        ({"at": [{"a": 1, "d": 64.5}]}, "$.at[0].d"),
        ({"at": [{"a": 2, "d": 1}]}, "$.at[0].a"),
        ({"at": [{"a": -1, "d": 1}]}, "$.at[0].a"),
        ({"at": [{"a": None, "d": 1}]}, "$.at[0].a"),
        ({"at": [{"a": True, "d": 1}]}, "$.at[0].a"),
        ({"at": [{"d": 1}]}, "$.at[0]"),
        ({"at": {"a": 1, "d": 1}}, "$.at"),
        ({"at": [None]}, "$.at[0]"),
        ({"em": [{"d": 1, "e": 0}, {"e": 0}]}, "$.em[1]"),
        ({"em": [{"d": -5, "e": 0}]}, "$.em[0].d"),
        ({"v": [{"d": 1, "i": 1, "s": 0}, {"d": -1, "i": 1, "s": 0}]}, "$.v[1].d"),
        ({"v": [{"d": 1, "i": None, "s": 0}]}, "$.v[0].i"),
        ({"v": [{"d": 1, "i": 1, "s": 2**63}]}, "$.v[0].s"),
        ({"v": [{"d": 1, "i": 1}]}, "$.v[0]"),
        ({"v": "8482"}, "$.v"),
        ({"i": -1}, "$.i"),
        ({"i": 2**80}, "$.i"),
        ({"o": -1}, "$.o"),
        ({"o": 2**63}, "$.o"),
        ({"o": None}, "$.o"),
        ({"o": ABSENT}, "`o`"),
        ({"b": ABSENT}, "`b`"),
        ({"b": None}, "$.b"),
        ({"b": ""}, "$.b"),
        ({"b": "2019-07-01"}, "$.b"),
        ({"b": "2019-02-29T00:00:00"}, "$.b"),
        ({"b": "2019-07-01T25:00:00"}, "$.b"),
        ({"b": "2017/09/15 08:00:00"}, "$.b"),
        ({"b": "Fri, 15 Sep 2017 07:36:38 GMT"}, "$.b"),
        ({"b": 1561979767}, "$.b"),
        ({"b": 1561979767.0}, "$.b"),
        ({"e": ABSENT}, "`e`"),
        ({"e": "never"}, "$.e"),
    ],
)
def test_a_reject_names_the_path_and_the_device(changes: dict[str, object], place: str) -> None:
    got = reject(**changes)

    assert place in got.error
    assert row(**changes) == got.payload
    assert "5315" == got.key


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("a", {"a": 2**63}),
        ("a", {"a": "1"}),
        ("s", {"s": -(2**63) - 1}),
        ("s", {"s": [0]}),
        ("e", {"em": [{"d": 1, "e": "happy"}]}),
    ],
)
def test_a_code_that_cannot_be_understood_is_null_and_counted(field: str, changes: dict[str, object]) -> None:
    ignored = Counter[str]()
    got = read_session(row(**changes), ignored)
    nulls: dict[str, object] = {"em": [{"d": 1, "e": None}]} if field == "e" else {field: None}

    assert read_session(row(**nulls)) == got
    assert {field: 1} == ignored


@pytest.mark.parametrize(
    ("device", "place"), [(ABSENT, "`d`"), (None, "$.d"), (-1, "$.d"), ("5315", "$.d"), (2**63, "$.d")]
)
def test_a_reject_with_an_invalid_device_has_no_key(device: object, place: str) -> None:
    got = reject(d=device)

    assert place in got.error
    assert got.key is None


def test_a_rejects_key_is_that_of_its_session() -> None:
    """A record of the device 5315.0 is published under the key 5315: its rejects belong to the same partition."""
    assert "5315" == reject(d=5315.0, b="never").key


@pytest.mark.parametrize("raw", [b"null", b"[]", b"1", b'"a"', b"{}", b"true", b'"\xff"', b'{"d":"\xff"}'])
def test_a_value_that_is_not_a_session_is_a_reject(raw: bytes) -> None:
    got = read_session(raw)

    assert isinstance(got, Reject)
    assert (raw, None) == (got.payload, got.key)
    assert got.error


@pytest.mark.parametrize(
    "changes",
    [
        {"b": "9999-12-31T23:59:59.999", "at": [{"a": 1, "d": 1}], "em": None, "v": None},
        {"b": "9999-12-31T23:59:59.999", "at": None, "em": [{"d": 1, "e": 1}], "v": None},
        {"b": "9999-12-31T23:59:59.999", "at": None, "em": None, "v": [{"d": 1, "i": 1, "s": 0}]},
        {"b": "0001-01-01T00:00:00", "at": None, "em": None, "v": [{"d": 1, "i": 1, "s": -1}]},
        {"b": "0001-01-01T00:00:00+00:01"},
        {"b": "9999-12-31T23:59:59-00:01", "at": None, "em": None, "v": None},
        {"e": "0001-01-01T00:00:00+00:01"},
        {"e": "9999-12-31T23:59:59-00:01"},
    ],
)
def test_times_outside_the_calendar_are_rejects(changes: dict[str, object]) -> None:
    got = reject(**changes)

    assert "outside the years 1 to 9999 - at `$." in got.error
    assert "5315" == got.key


@pytest.mark.parametrize("b", ["0001-01-01T00:00:00.000", "9999-12-31T23:59:59.999"])
def test_the_first_and_the_last_instant_of_the_calendar_are_accepted(b: str) -> None:
    instants = [{"a": 1, "d": 0}], [{"d": 0, "e": 1}], [{"d": 0, "i": 1, "s": 0}]
    got = record(b=b, e=b, **dict(zip(("at", "em", "v"), instants, strict=True)))

    assert {f"{b}Z"} == {event.time for event in explode_session(got, "f" * 32, 0, 632)}


@given(
    year=st.sampled_from([1, 5, 11, 12, 9920, 9968, 9969, 9977, 9978, 9980, 9987, 9988, 9998]),
    looks=st.lists(st.sampled_from([0, LONG_MS // 2, LONG_MS]), max_size=4),
    plays=st.lists(st.tuples(*[st.sampled_from([-LONG_MS, 0, LONG_MS])] * 2), max_size=2),
)
def test_a_session_is_accepted_if_and_only_if_all_its_events_are_in_the_calendar(
    year: int, looks: list[int], plays: list[tuple[int, int]]
) -> None:
    b = f"{year:04d}-01-01T00:00:00.000"
    got = read_session(
        row(
            b=b,
            e=b,
            at=[{"a": 1, "d": look} for look in looks],
            em=None,
            v=[{"d": abs(length), "i": 1, "s": start} for start, length in plays],
        )
    )

    start_ms = to_ms(datetime.fromisoformat(f"{b}+00:00"))
    ends = [sum(looks), *(start for start, _ in plays), *(start + abs(length) for start, length in plays)]
    assert isinstance(got, Record) == all(MIN_MS <= start_ms + end <= MAX_MS for end in ends)


def test_intervals_of_many_years_are_rejects() -> None:
    assert "$.v[0].d" in reject(v=[{"d": LONG_MS + 1, "i": 1, "s": 0}]).error
    assert "$.v[0].s" in reject(v=[{"d": 1, "i": 1, "s": -LONG_MS - 1}]).error


def test_rejects_do_not_affect_other_rows() -> None:
    body = b'{"objects":[' + b",".join([row(o=1), b"null", row(o=2, at=1), b'"\xff"', row(o=3)]) + b"]}"

    got = list(read(session_rows(body)))

    assert [Record, Reject, Reject, Reject, Record] == [type(one) for one in got]
    assert [1, 3] == [one.payload.o for one in got if isinstance(one, Record)]


def test_nan_rejects_one_row() -> None:
    body = b'{"objects":[' + row(o=1) + b"," + row(o=2, i=3).replace(b'"o":2', b'"o":NaN') + b"]}"

    got = list(read(session_rows(body)))

    assert [Record, Reject] == [type(one) for one in got]


def test_nan_in_an_optional_field_is_null() -> None:
    body = b'{"objects":[' + row().replace(b'"i":35231', b'"i":NaN') + b"]}"

    [got] = read(session_rows(body))

    assert isinstance(got, Record)
    assert got.payload.i is None


@given(st.sampled_from(["a", "at", "b", "d", "e", "em", "i", "o", "s", "v"]), JSON)
def test_any_value_of_a_field_gives_events_or_a_reject(name: str, value: object) -> None:
    got = read_session(row(**{name: value}))

    if isinstance(got, Record):
        assert list(explode_session(got, "f" * 32, 0, 632))
    else:
        assert got.error


@given(JSON)
def test_any_other_value_as_a_row_is_a_reject(value: object) -> None:
    assert isinstance(read_session(msgspec.json.encode(value)), Reject)


@given(st.integers(0, len(SESSION) - 1), st.integers(0, 255))
def test_a_corrupted_byte_never_raises(place: int, byte: int) -> None:
    got = read_session(SESSION[:place] + bytes([byte]) + SESSION[place + 1 :])

    if isinstance(got, Record):
        assert list(explode_session(got, "f" * 32, 0, 632))
