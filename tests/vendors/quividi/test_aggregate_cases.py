"""Special cases of aggregates."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Record
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.vendors.quividi.aggregated import (
    AGGREGATED,
    ALL_EXAMPLES,
    DIGEST,
    YEAR,
    aggregates,
    event_value,
    found,
    record,
    reject,
    row,
    value,
    value_of,
)
from tests.vendors.quividi.example import ABSENT, finished_export
from tests.vendors.quividi.metrics import MAIN, METRICS, OPTIONAL, PLACES, QUALITY, SIGNED


def test_tenths_of_seconds_become_milliseconds_under_old_and_new_names() -> None:
    new = {"dwell_time_in_tenths_of_sec": 83, "attention_time_in_tenths_of_sec": 27}
    got = event_value("viewers_aggregated", **new, dwell_time=ABSENT, attention_time=ABSENT)

    assert (8300, 2700) == (got["dwell_ms"], got["attention_ms"])
    assert (1200, 300) == (
        event_value("viewers_aggregated")["dwell_ms"],
        event_value("viewers_aggregated")["attention_ms"],
    )


def test_the_new_name_has_precedence_even_if_it_is_zero() -> None:
    assert 0 == event_value("viewers_aggregated", dwell_time_in_tenths_of_sec=0)["dwell_ms"]


def test_key_and_fingerprint_are_equal_under_old_and_new_names() -> None:
    rows = aggregates("viewers_aggregated")
    new = {"dwell_time": ABSENT, "dwell_time_in_tenths_of_sec": 12.0, "period_start": "2018-01-29T02:00:00"}
    renamed = row("viewers_aggregated", **new, attention_time=ABSENT, attention_time_in_tenths_of_sec=3)
    one, other = record(rows, row("viewers_aggregated")), record(rows, renamed)

    assert (one.key, one.fingerprint) == (other.key, other.fingerprint)


@pytest.mark.parametrize(
    ("seconds", "ms"), [(3600, 3_600_000), (3600.0, 3_600_000), (12.2, 12_200), (0.0004, 0), (0, 0), (None, None)]
)
def test_durations_may_be_fractions_of_seconds(seconds: float | None, ms: int | None) -> None:
    for stream in ("ots", "gate", "proof_of_play_by_location", "proof_of_play_by_site"):
        assert ms == event_value(stream, duration=seconds)["duration_ms"]
    assert ms == event_value("proof_of_play_by_location", content_duration=seconds)["content_duration_ms"]


def test_attention_above_dwell_is_kept() -> None:
    got = event_value("viewers_aggregated", dwell_time=15, attention_time=542)

    assert (1500, 54_200) == (got["dwell_ms"], got["attention_ms"])


def test_a_conversion_ratio_is_a_percentage() -> None:
    assert 11.1 == event_value("viewers_aggregated", conversion_ratio=11.1)["conversion_percent"]


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_row_without_metrics_has_no_data(stream: str) -> None:
    assert "no_data" == event_value(stream, **dict.fromkeys(METRICS[stream]))["quality"]
    side = [name for name in METRICS[stream] if name not in MAIN[stream]]
    assert "no_data" == event_value(stream, **dict.fromkeys(MAIN[stream]), **dict.fromkeys(side, ABSENT))["quality"]


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_row_that_lacks_a_main_metric_is_malformed(stream: str) -> None:
    """The vendor has renamed the field: a row without numbers would replace the published ones."""
    for name in MAIN[stream]:
        got = reject(aggregates(stream), row(stream, **{name: ABSENT}))
        assert f"Object missing required field `{name}`" == got.error
    renamed = {f"new_{name}": 4 for name in METRICS[stream]}
    got = reject(aggregates(stream), row(stream, **dict.fromkeys(METRICS[stream], ABSENT), **renamed))
    assert "Object missing required field" in got.error


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_renamed_metric_does_not_replace_a_number_by_null(stream: str) -> None:
    rows = aggregates(stream)
    for metric in EXPORT_TYPES[stream].metrics:
        absent_names = dict.fromkeys(metric.wire_names, ABSENT)
        if metric.name not in OPTIONAL.get(stream, ()):
            got = reject(rows, row(stream, **absent_names, renamed=4))
            assert f"Object missing required field `{metric.wire_names[0]}`" == got.error


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_metric_that_not_every_version_sends_may_be_absent(stream: str) -> None:
    rows = aggregates(stream)
    for metric in EXPORT_TYPES[stream].metrics:
        if metric.name in OPTIONAL.get(stream, ()):
            absent, null = (
                record(rows, row(stream, **dict.fromkeys(metric.wire_names, each))) for each in (ABSENT, None)
            )
            assert (null.payload, null.fingerprint) == (absent.payload, absent.fingerprint)


@pytest.mark.parametrize("stream", AGGREGATED)
def test_numbers_that_differ_only_in_form_give_the_same_record_and_event(stream: str) -> None:
    """The vendor writes 3600 in one row and 86400.0 in the next."""
    rows = aggregates(stream)
    for name in METRICS[stream]:
        for number in (0, 3, 86_400):
            whole, fraction = (record(rows, row(stream, **{name: form(number)})) for form in (int, float))
            assert (whole.key, whole.fingerprint) == (fraction.key, fraction.fingerprint)
            [one], [other] = (rows.explode(each, DIGEST, 0, "acme") for each in (whole, fraction))
            assert msgspec.json.encode(one.data) == msgspec.json.encode(other.data)


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_row_with_one_zero_metric_is_observed(stream: str) -> None:
    for name in METRICS[stream]:
        got = event_value(stream, **{each: 0 if each == name else None for each in METRICS[stream]})
        assert QUALITY.get(stream, "observed") == got["quality"]


@pytest.mark.parametrize(("stream", "part"), [("gate", "gate_id"), ("proof_of_play_by_location", "content_id")])
def test_key_parts_are_required_unless_the_row_is_a_placeholder(stream: str, part: str) -> None:
    placeholder = dict.fromkeys(METRICS[stream])

    assert None is event_value(stream, **placeholder, **{part: ABSENT})[part]
    assert "no_data" == event_value(stream, **placeholder, **{part: None})["quality"]
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
def test_demographics_are_words_and_codes(gender: int | None, age: int | None, expected: tuple[str, str]) -> None:
    rows = aggregates("viewers_aggregated", is_grouped=True)
    got = value_of(rows, row("viewers_aggregated", gender=gender, age=age))

    assert expected == (got["gender"], got["age_group"])
    assert (gender, age) == (got["gender_code"], got["age_code"])


def test_ungrouped_rows_have_no_demographics() -> None:
    got = event_value("viewers_aggregated", gender="all", age=[])

    assert [None] * 4 == [got[name] for name in ("gender", "gender_code", "age_group", "age_code")]


def test_a_numeric_content_id_is_a_string() -> None:
    got = event_value("proof_of_play_by_location", content_id=8001)

    assert ("8001", "quividi/acme/proof_of_play_by_location/4636/2018-01-29T02:00:00/1h/8001") == (
        got["content_id"],
        got["record_id"],
    )


def test_content_ids_with_special_characters_identify_records() -> None:
    rows = aggregates("proof_of_play_by_location")
    names = ["a/b", "a%2Fb", "a", "a b", "a+b", "Aé", "a-b", "a,b", "a%2Cb", "夏"]
    records = [record(rows, row("proof_of_play_by_location", content_id=name)) for name in names]

    assert len(names) == len({one.key for one in records})
    assert len(names) == len({one.payload.name for one in records})
    assert all(one.payload.name.isascii() and one.payload.name.count("/") == 3 for one in records)


@pytest.mark.parametrize("content_id", ["", None, ABSENT])
def test_a_content_without_an_id_is_malformed_and_not_taken_for_a_placeholder(content_id: object) -> None:
    rows = aggregates("proof_of_play_by_location")

    assert "content_id" in reject(rows, row("proof_of_play_by_location", content_id=content_id)).error


@pytest.mark.parametrize("name", ["gender", "age"])
def test_a_group_without_one_of_its_fields_is_malformed(name: str) -> None:
    rows = aggregates("viewers_aggregated", is_grouped=True)

    assert name in reject(rows, row("viewers_aggregated", **{"gender": 1, "age": 2, name: ABSENT})).error


def test_missing_estimated_ots_is_null() -> None:
    assert None is event_value("proof_of_play_by_location", estimated_ots=ABSENT)["estimated_ots"]
    assert 2.5 == event_value("proof_of_play_by_location", impressions=2.5)["impressions"]


@pytest.mark.parametrize("stream", AGGREGATED)
@pytest.mark.parametrize(
    "fields",
    [
        {"period_start": "2018-01-29T02:00:00"},
        {"period_start": "2018-01-29 02:00:00"},
        {"period_start": "2018-01-29 02:00"},
        {"period_start": None, "period_start_date": "2018-01-29", "period_start_time": "02:00:00"},
        {"period_start": ABSENT, "period_start_date": "2018-01-29", "period_start_time": "02:00"},
        {"period_start": ABSENT, "start_time": "2018-01-29T02:00:00"},
        {"period_start": None, "start_time": "2018-01-29 02:00", "period_start_date": None, "period_start_time": None},
        {"period_start": "2018-01-29 02:00:00", "period_start_date": "other", "period_start_time": "other"},
    ],
)
def test_all_forms_of_a_period_start_are_accepted(stream: str, fields: dict[str, Any]) -> None:
    rows = aggregates(stream)
    got = record(rows, row(stream, **fields))

    assert record(rows, row(stream, period_start="2018-01-29 02:00:00")).key == got.key
    expected = "2018-01-29T02:00:00"
    [event] = rows.explode(got, DIGEST, 0, "acme")
    assert (expected, "2018-01-29T01:00:00.000Z") == (value(event)["period_start_local"], value(event)["period_start"])


@pytest.mark.parametrize("stream", AGGREGATED)
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"period_start": ABSENT, "period_start_date": ABSENT}, "`period_start`"),
        (
            {"period_start": ABSENT, "period_start_date": "2018-01-29", "period_start_time": ABSENT},
            "`period_start`",
        ),
        ({"period_start": "2018-01-29"}, "$.period_start"),
        ({"period_start": "2018-01-29T02:00:00Z"}, "without a zone - at `$.period_start`"),
        ({"period_start": "2018-13-29T02:00:00"}, "$.period_start"),
        ({"period_start": 5}, "$.period_start"),
    ],
)
def test_an_invalid_period_start_is_rejected(stream: str, changes: dict[str, object], place: str) -> None:
    got = reject(aggregates(stream), row(stream, **changes))

    assert place in got.error
    assert ("user/acme" if PLACES[stream] is None else str(msgspec.json.decode(got.payload)[PLACES[stream]])) == got.key


@pytest.mark.parametrize("stream", AGGREGATED)
def test_an_invalid_main_metric_rejects_the_row_and_any_other_is_null_and_counted(stream: str) -> None:
    rows = aggregates(stream)
    for name in METRICS[stream]:
        wrongs: list[object] = ["5 m", -(2**80), [], True, 2**80, *([] if name in SIGNED else [-1, -0.5])]
        for wrong in wrongs:
            raw, ignored = row(stream, **{name: wrong}), Counter[str]()
            if name in MAIN[stream]:
                assert f"$.{name}" in reject(rows, raw).error
                continue
            got = rows.read_row(raw, *YEAR, ignored)
            assert isinstance(got, Record)
            assert record(rows, row(stream, **{name: None})).fingerprint == got.fingerprint
            assert {name: 1} == ignored


@pytest.mark.parametrize("stream", [name for name, place in PLACES.items() if place is not None])
def test_a_row_with_an_invalid_place_has_no_key(stream: str) -> None:
    wrongs: list[object] = [ABSENT, None, "x", -1, "-1", "5120.0", "٣", "9" * 19, 1.5]
    for wrong in wrongs:
        assert None is reject(aggregates(stream), row(stream, **{str(PLACES[stream]): wrong})).key


@pytest.mark.parametrize("stream", AGGREGATED)
def test_unknown_fields_are_ignored(stream: str) -> None:
    rows = aggregates(stream)
    got = record(rows, row(stream, label={"new": [1]}, impressions_per_minute=2.67))

    assert record(rows, row(stream)).fingerprint == got.fingerprint


@pytest.mark.parametrize("stream", AGGREGATED)
def test_the_order_of_rows_has_no_effect(stream: str) -> None:
    rows = aggregates(stream)
    raw = [msgspec.json.encode(each) for each in msgspec.json.decode(ALL_EXAMPLES[stream])["data"]]
    shuffled = random.Random(1).sample(raw, len(raw))

    def keys(body: bytes) -> set[bytes]:
        return {one.key for one in found(rows, body) if isinstance(one, Record)}

    assert len(raw) == len(keys(ALL_EXAMPLES[stream]))
    assert keys(ALL_EXAMPLES[stream]) == keys(finished_export(*shuffled))


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_changed_metric_is_a_revision_of_the_record(stream: str) -> None:
    rows = aggregates(stream)
    before = record(rows, row(stream))
    for name in METRICS[stream]:
        after = record(rows, row(stream, **{name: 77}))
        assert before.key == after.key
        assert before.fingerprint != after.fingerprint
    [revised] = rows.explode(before, DIGEST, 3, "acme")
    assert (3, f"quividi/acme/{stream}/{before.payload.name}") == (
        value(revised)["revision"],
        value(revised)["record_id"],
    )


def test_resolution_and_grouping_are_part_of_the_key() -> None:
    kinds = [("1h", False), ("5m", False), ("1d", False), ("1h", True)]
    names = {
        record(
            aggregates("viewers_aggregated", resolution, is_grouped=grouped),
            row("viewers_aggregated", gender=None, age=None, period_start="2018-01-29 00:00:00"),
        ).key
        for resolution, grouped in kinds
    }

    assert len(kinds) == len(names)


@given(st.sampled_from(AGGREGATED), st.data())
def test_any_value_of_a_field_gives_an_event_or_a_reject(stream: str, data: st.DataObject) -> None:
    rows = aggregates(stream, is_grouped=stream == "viewers_aggregated")
    name = data.draw(st.sampled_from([*msgspec.json.decode(row(stream)), "gender", "period_start_date"]))
    number = st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15)
    check(rows, row(stream, **{name: data.draw(st.none() | st.booleans() | number | st.text() | st.lists(number))}))


@given(st.sampled_from(AGGREGATED), st.integers(0, 150), st.integers(0, 255))
def test_a_corrupted_byte_never_raises(stream: str, place: int, byte: int) -> None:
    raw = row(stream)
    check(aggregates(stream), raw[:place] + bytes([byte]) + raw[place + 1 :])


def check(rows: Aggregates, raw: bytes) -> None:
    """The row is a reject with a reason, an event valid by its schema, or outside the window."""
    got = rows.read_row(raw, *YEAR)
    if isinstance(got, Record):
        [event] = rows.explode(got, DIGEST, 0, "acme")
        assert value(event)
    elif got is not None:
        assert got.error
