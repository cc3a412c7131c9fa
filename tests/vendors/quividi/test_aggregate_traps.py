"""The traps of aggregates, each by its name."""

import random
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Record
from collector.vendors.quividi.aggregates import Aggregates
from tests.vendors.quividi.aggregated import (
    AGGREGATED,
    DIGEST,
    EXAMPLES,
    YEAR,
    aggregates,
    found,
    local,
    record,
    reject,
    row,
    seen,
    told,
    value,
)
from tests.vendors.quividi.example import LEFT_OUT, answer

METRICS = {
    "viewers_aggregated": ("watcher_count", "dwell_time", "attention_time", "conversion_ratio"),
    "ots": ("ots_count", "watcher_count", "duration"),
    "gate": ("in_count", "out_count", "duration"),
    "proof_of_play_by_location": (
        *("content_duration", "duration", "impressions", "estimated_ots"),
        *("play_count", "watchers", "watchers_2sec"),
    ),
}
METRICS["proof_of_play_by_site"] = METRICS["proof_of_play_by_location"]
PLACES = dict.fromkeys(METRICS, "location_id") | {"proof_of_play_by_site": "site_id"}


def test_tenths_of_seconds_of_viewers_under_their_old_and_their_new_names_are_milliseconds() -> None:
    new = {"dwell_time_in_tenths_of_sec": 83, "attention_time_in_tenths_of_sec": 27}
    got = told("viewers_aggregated", **new, dwell_time=LEFT_OUT, attention_time=LEFT_OUT)

    assert (8300, 2700) == (got["dwell_ms"], got["attention_ms"])
    assert (1200, 300) == (told("viewers_aggregated")["dwell_ms"], told("viewers_aggregated")["attention_ms"])


def test_the_new_name_counts_before_the_old_one_and_a_zero_counts() -> None:
    assert 0 == told("viewers_aggregated", dwell_time_in_tenths_of_sec=0)["dwell_ms"]


def test_a_vendor_that_changes_to_its_new_names_changes_nothing() -> None:
    of = aggregates("viewers_aggregated")
    new = {"dwell_time": LEFT_OUT, "dwell_time_in_tenths_of_sec": 12.0, "period_start": "2018-01-29T02:00:00"}
    renamed = row("viewers_aggregated", **new, attention_time=LEFT_OUT, attention_time_in_tenths_of_sec=3)
    one, other = record(of, row("viewers_aggregated")), record(of, renamed)

    assert (one.key, one.fingerprint) == (other.key, other.fingerprint)


@pytest.mark.parametrize(
    ("seconds", "ms"), [(3600, 3_600_000), (3600.0, 3_600_000), (12.2, 12_200), (0.0004, 0), (0, 0), (None, None)]
)
def test_seconds_of_ots_gates_and_plays_may_be_fractions(seconds: float | None, ms: int | None) -> None:
    for stream in ("ots", "gate", "proof_of_play_by_location", "proof_of_play_by_site"):
        assert ms == told(stream, duration=seconds)["duration_ms"]
    assert ms == told("proof_of_play_by_location", content_duration=seconds)["content_duration_ms"]


def test_attention_above_dwell_is_passed_on() -> None:
    got = told("viewers_aggregated", dwell_time=15, attention_time=542)

    assert (1500, 54_200) == (got["dwell_ms"], got["attention_ms"])


def test_a_conversion_ratio_is_a_percentage_already() -> None:
    assert 11.1 == told("viewers_aggregated", conversion_ratio=11.1)["conversion_percent"]


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_row_in_which_every_metric_is_null_is_no_data(stream: str) -> None:
    for nothing in (None, LEFT_OUT):
        got = told(stream, **dict.fromkeys(METRICS[stream], nothing))
        assert "no_data" == got["quality"]


@pytest.mark.parametrize("stream", AGGREGATED)
def test_one_zero_among_nulls_is_observed(stream: str) -> None:
    for name in METRICS[stream]:
        got = told(stream, **{each: 0 if each == name else None for each in METRICS[stream]})
        assert "observed" == got["quality"]


@pytest.mark.parametrize(("stream", "part"), [("gate", "gate_id"), ("proof_of_play_by_location", "content_id")])
def test_a_placeholder_need_not_say_of_what_and_a_row_with_a_number_must(stream: str, part: str) -> None:
    nothing = dict.fromkeys(METRICS[stream])

    assert None is told(stream, **nothing, **{part: LEFT_OUT})[part]
    assert "no_data" == told(stream, **nothing, **{part: None})["quality"]
    got = reject(aggregates(stream), row(stream, **{part: None}))
    assert f"missing required field `{part}`" in got.error


@pytest.mark.parametrize(
    ("gender", "age", "expected"),
    [
        (0, 0, ("unknown", "unknown")),
        (1, 1, ("male", "child")),
        (2, 4, ("female", "senior")),
        (7, 9, ("unknown", "unknown")),
        (None, None, ("unknown", "unknown")),
    ],
)
def test_demographics_are_words_beside_their_codes_and_zero_is_unknown(
    gender: int | None, age: int | None, expected: tuple[str, str]
) -> None:
    of = aggregates("viewers_aggregated", is_grouped=True)
    got = seen(of, row("viewers_aggregated", gender=gender, age=age))

    assert expected == (got["gender"], got["age_group"])
    assert (gender, age) == (got["gender_code"], got["age_code"])


def test_what_is_not_grouped_by_demographics_has_none() -> None:
    got = told("viewers_aggregated", gender="everybody", age=[])

    assert [None] * 4 == [got[name] for name in ("gender", "gender_code", "age_group", "age_code")]


def test_an_id_of_a_content_is_a_text_also_where_it_is_a_number() -> None:
    got = told("proof_of_play_by_location", content_id=8001)

    assert ("8001", "4636/2018-01-29T02:00:00/1h/8001") == (got["content_id"], got["record_id"])


def test_ids_of_contents_tell_records_apart_whatever_is_in_them() -> None:
    of = aggregates("proof_of_play_by_location")
    names = ["a/b", "a%2Fb", "a", "", "a b", "a+b", "Aé", "a-b"]
    records = [record(of, row("proof_of_play_by_location", content_id=name)) for name in names]

    assert len(names) == len({one.key for one in records})
    assert len(names) == len({one.payload.name for one in records})
    assert all(one.payload.name.isascii() and one.payload.name.count("/") == 3 for one in records)


def test_estimated_ots_that_is_gone_is_null() -> None:
    assert None is told("proof_of_play_by_location", estimated_ots=LEFT_OUT)["estimated_ots"]
    assert 2.5 == told("proof_of_play_by_location", impressions=2.5)["impressions"]


@pytest.mark.parametrize("stream", AGGREGATED)
@pytest.mark.parametrize(
    "written",
    [
        {"period_start": "2018-01-29T02:00:00"},
        {"period_start": "2018-01-29 02:00:00"},
        {"period_start": "2018-01-29 02:00"},
        {"period_start": None, "period_start_date": "2018-01-29", "period_start_time": "02:00:00"},
        {"period_start": LEFT_OUT, "period_start_date": "2018-01-29", "period_start_time": "02:00"},
        {"period_start": "2018-01-29 02:00:00", "period_start_date": "other", "period_start_time": "other"},
    ],
)
def test_a_period_s_start_is_read_in_all_its_forms(stream: str, written: dict[str, Any]) -> None:
    of = aggregates(stream)
    got = record(of, row(stream, **written))

    assert record(of, row(stream, period_start="2018-01-29 02:00:00")).key == got.key
    expected = written.get("period_start")
    if not isinstance(expected, str):
        expected = f"2018-01-29T{written['period_start_time']}"
    [event] = of.explode(got, DIGEST, 0, "mall")
    assert (expected, "2018-01-29T01:00:00.000Z") == (value(event)["period_start_local"], value(event)["period_start"])


@pytest.mark.parametrize("stream", AGGREGATED)
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"period_start": LEFT_OUT}, "`period_start`"),
        ({"period_start": LEFT_OUT, "period_start_date": "2018-01-29"}, "`period_start`"),
        ({"period_start": "2018-01-29"}, "$.period_start"),
        ({"period_start": "2018-01-29T02:00:00Z"}, "without a zone - at `$.period_start`"),
        ({"period_start": "2018-13-29T02:00:00"}, "$.period_start"),
        ({"period_start": 5}, "$.period_start"),
    ],
)
def test_a_period_s_start_that_is_none_says_so(stream: str, changes: dict[str, object], place: str) -> None:
    got = reject(aggregates(stream), row(stream, **changes))

    assert place in got.error
    assert str(msgspec.json.decode(got.payload)[PLACES[stream]]) == got.key


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_metric_that_is_none_says_which(stream: str) -> None:
    of = aggregates(stream)
    for name in METRICS[stream]:
        wrongs: list[object] = ["5", -1, [], True, 2**80, -0.5]
        for wrong in wrongs:
            got = reject(of, row(stream, **{name: wrong}))
            assert f"$.{name}" in got.error or "out of range" in got.error


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_place_that_cannot_be_read_is_no_key(stream: str) -> None:
    wrongs: list[object] = [LEFT_OUT, None, "x", -1]
    for wrong in wrongs:
        assert None is reject(aggregates(stream), row(stream, **{PLACES[stream]: wrong})).key


@pytest.mark.parametrize("stream", AGGREGATED)
def test_fields_that_are_added_without_warning_are_ignored(stream: str) -> None:
    of = aggregates(stream)
    got = record(of, row(stream, impressions_per_play=2.67, label={"new": [1]}, watchers_masked=None))

    assert record(of, row(stream)).fingerprint == got.fingerprint


@pytest.mark.parametrize("stream", AGGREGATED)
def test_rows_in_no_order_are_the_same_records(stream: str) -> None:
    of = aggregates(stream)
    rows = [msgspec.json.encode(each) for each in msgspec.json.decode(EXAMPLES[stream])["data"]]
    shuffled = random.Random(1).sample(rows, len(rows))

    def keys(body: bytes) -> set[bytes]:
        return {one.key for one in found(of, body) if isinstance(one, Record)}

    assert len(rows) == len(keys(EXAMPLES[stream]))
    assert keys(EXAMPLES[stream]) == keys(answer(*shuffled))


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_changed_number_is_the_same_record_with_another_fingerprint(stream: str) -> None:
    of = aggregates(stream)
    before = record(of, row(stream))
    for name in METRICS[stream]:
        after = record(of, row(stream, **{name: 77}))
        assert before.key == after.key
        assert before.fingerprint != after.fingerprint
    [revised] = of.explode(before, DIGEST, 3, "mall")
    assert (3, before.payload.name) == (value(revised)["revision"], value(revised)["record_id"])


def test_a_name_tells_resolutions_and_groups_apart() -> None:
    kinds = [("1h", False), ("5m", False), ("1d", False), ("1h", True)]
    names = {
        record(
            aggregates("viewers_aggregated", resolution, is_grouped=grouped),
            row("viewers_aggregated", gender=None, age=None, period_start="2018-01-29 00:00:00"),
        ).key
        for resolution, grouped in kinds
    }

    assert len(kinds) == len(names)


def test_a_row_outside_of_the_window_is_left_out_also_where_it_is_not_on_the_grid() -> None:
    of = aggregates("ots")
    window = local("2018-01-29T01:00:00"), local("2018-01-29T01:59:59")
    rows = [row("ots", period_start=f"2018-01-29 {time}") for time in ("00:00:00", "00:30:00", "01:00:00", "02:00:00")]

    assert ["1467/2018-01-29T01:00:00/1h"] == [
        one.payload.name for one in found(of, answer(*rows), window) if isinstance(one, Record)
    ]
    assert 1 == len(found(of, answer(*rows), window))


@pytest.mark.parametrize(
    ("resolution", "anchor", "right", "wrong"),
    [
        ("7d", date(2018, 1, 1), "2018-01-29", "2018-01-28"),
        ("7d", date(2017, 12, 31), "2018-01-28", "2018-01-29"),
        ("30d", date(2018, 1, 1), "2018-01-31", "2018-02-01"),
        ("30d", date(2026, 5, 5), "2018-01-17", "2018-01-18"),
        ("1M", date(2018, 1, 1), "2018-02-01", "2018-02-02"),
        ("1M", date(2018, 1, 15), "2018-02-15", "2018-02-01"),
    ],
)
def test_a_period_that_does_not_begin_on_the_grid_is_a_reject_that_names_the_anchor(
    resolution: str, anchor: date, right: str, wrong: str
) -> None:
    of = aggregates("ots", resolution, anchor)

    got = reject(of, row("ots", period_start=f"{wrong} 00:00:00"))
    assert all(word in got.error for word in (resolution, wrong, "anchor", "$.period_start"))
    record(of, row("ots", period_start=f"{right} 00:00:00"))


@pytest.mark.parametrize(
    ("resolution", "begin", "end"),
    [
        ("5m", "2018-03-25 03:00:00", "2018-03-25T01:05:00.000Z"),
        ("1h", "2018-03-25 01:00:00", "2018-03-25T01:00:00.000Z"),
        ("1d", "2018-03-25 00:00:00", "2018-03-25T22:00:00.000Z"),
        ("7d", "2018-03-19 00:00:00", "2018-03-25T22:00:00.000Z"),
        ("1M", "2018-03-01 00:00:00", "2018-03-31T22:00:00.000Z"),
        ("1M", "2018-12-01 00:00:00", "2018-12-31T23:00:00.000Z"),
        ("1h", "2018-10-28 02:00:00", "2018-10-28T02:00:00.000Z"),
        ("1d", "2018-10-28 00:00:00", "2018-10-28T23:00:00.000Z"),
    ],
)
def test_a_period_ends_where_the_local_time_says(resolution: str, begin: str, end: str) -> None:
    of = aggregates("ots", resolution)
    [event] = of.explode(record(of, row("ots", period_start=begin)), DIGEST, 0, "mall")

    assert end == value(event)["period_end"]


def test_the_hour_that_comes_twice_is_ambiguous_and_the_first_is_taken() -> None:
    got = told("ots", period_start="2018-10-28 02:00:00")

    assert (True, 7200, "2018-10-28T00:00:00.000Z") == (got["ambiguous"], got["utc_offset_s"], got["period_start"])
    assert not told("ots", period_start="2018-10-28 03:00:00")["ambiguous"]


def test_a_placeholder_for_the_hour_that_is_left_out_does_not_end_before_it_begins() -> None:
    for begin in ("2018-03-25 02:00:00", "2018-03-25 02:30:00"):
        of = aggregates("ots", "30m")
        got = record(of, row("ots", period_start=begin))
        assert got.start_ms <= got.end_ms


def test_a_period_is_filed_on_the_vendor_s_own_clock() -> None:
    of = aggregates("ots", zone=ZoneInfo("Asia/Kathmandu"))
    got = record(of, row("ots"))

    assert (20_700, 3_600_000) == (got.vendor_local_s - got.start_ms // 1000, got.end_ms - got.start_ms)


@given(st.sampled_from(AGGREGATED), st.data())
def test_whatever_stands_in_a_field_it_is_a_row_that_becomes_an_event_or_a_reject(
    stream: str, data: st.DataObject
) -> None:
    of = aggregates(stream, is_grouped=stream == "viewers_aggregated")
    name = data.draw(st.sampled_from([*msgspec.json.decode(row(stream)), "gender", "period_start_date"]))
    number = st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15)
    holds(of, row(stream, **{name: data.draw(st.none() | st.booleans() | number | st.text() | st.lists(number))}))


@given(st.sampled_from(AGGREGATED), st.integers(0, 150), st.integers(0, 255))
def test_no_broken_byte_is_an_error(stream: str, place: int, byte: int) -> None:
    raw = row(stream)
    holds(aggregates(stream), raw[:place] + bytes([byte]) + raw[place + 1 :])


def holds(of: Aggregates, raw: bytes) -> None:
    """It is a reject with a reason, or a row whose event keeps its schema, or one of another time."""
    got = of.read_row(raw, *YEAR)
    if isinstance(got, Record):
        [event] = of.explode(got, DIGEST, 0, "mall")
        assert value(event)
    elif got is not None:
        assert got.error
