"""The hour that the change to winter time repeats: one row or two, it is one record with the numbers of both passes."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Record
from collector.vendors.quividi.aggregate_records import Aggregate
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.export_types import Addition, Metric
from collector.vendors.quividi.sums import added
from collector.vendors.quividi.units import COUNT, PERCENT
from tests.vendors.quividi.aggregated import AGGREGATED, DIGEST, aggregates, found, row, value
from tests.vendors.quividi.example import finished_export

REPEATED = "2018-10-28 02:00:00"


def records(rows: Aggregates, *raw: bytes) -> list[Record[Aggregate]]:
    got = found(rows, finished_export(*raw))
    assert all(isinstance(each, Record) for each in got)
    return [each for each in got if isinstance(each, Record)]


def event(rows: Aggregates, *raw: bytes) -> dict[str, Any]:
    """The value of the only event of these rows."""
    [one] = records(rows, *raw)
    [got] = rows.explode(one, DIGEST, 0, "acme")
    return value(got)


def test_two_rows_of_the_repeated_hour_are_one_record_with_their_sum() -> None:
    rows = aggregates("ots")
    first = row("ots", period_start=REPEATED, ots_count=4, watcher_count=3, duration=3600)
    second = row("ots", period_start=REPEATED, ots_count=9, watcher_count=1, duration=1800.5)
    got = event(rows, first, second)

    assert (13, 4, 5_400_500, "observed", True) == tuple(
        got[name] for name in ("ots_count", "watcher_count", "duration_ms", "quality", "ambiguous")
    )
    assert records(rows, first, second) == records(rows, second, first)


def test_equal_rows_of_the_repeated_hour_are_added_too() -> None:
    assert 8 == event(aggregates("ots"), *[row("ots", period_start=REPEATED)] * 2)["ots_count"]


@pytest.mark.parametrize("resolution", ["5m", "10m", "15m", "30m"])
def test_shorter_periods_of_the_repeated_hour_are_added_one_by_one(resolution: str) -> None:
    raw = [
        row("ots", period_start=f"2018-10-28 02:{minute}:00", ots_count=count)
        for count, minute in ((1, "00"), (2, "30"), (10, "00"), (20, "30"))
    ]
    got = records(aggregates("ots", resolution), *raw)

    assert [11, 22] == [one.payload.metrics[0] for one in got]


@pytest.mark.parametrize("stream", AGGREGATED)
def test_a_pass_without_data_adds_nothing(stream: str) -> None:
    rows = aggregates(stream)
    wire_names = [name for metric in rows._type.metrics for name in metric.wire_names]
    counted, empty = (row(stream, period_start=REPEATED, **change) for change in ({}, dict.fromkeys(wire_names)))
    for raw in permutations((counted, empty)):
        assert records(rows, counted) == records(rows, *raw)
    assert "no_data" == event(rows, empty, empty)["quality"]


def test_equal_rows_of_any_other_hour_are_not_added() -> None:
    raw = row("ots")
    assert [4, 4] == [one.payload.metrics[0] for one in records(aggregates("ots"), raw, raw)]


def test_rows_of_different_gates_are_not_added() -> None:
    raw = [row("gate", period_start=REPEATED, gate_id=gate, in_count=gate) for gate in (1, 2, 1)]
    assert [2, 2] == [one.payload.metrics[0] for one in records(aggregates("gate"), *raw)]


@pytest.mark.parametrize(
    ("first", "second", "percent"),
    [
        ((1, 11.11111111111111), (3, 27.272727272727273), 20.0),
        ((3, 50.0), (3, 50.0), 50.0),
        ((0, 0.0), (0, 0.0), 0.0),
        ((0, 0.0), (3, 50.0), None),
        ((3, None), (3, 50.0), None),
        ((None, None), (3, 50.0), 50.0),
        ((0, 50.0), (3, 20.0), None),
        ((1, 5e-324), (3, 20.0), None),
        ((1, 1e15), (1, 1e14), None),
    ],
)
def test_a_conversion_is_computed_from_the_sums_where_the_rows_allow_it(
    first: tuple[int | None, float | None], second: tuple[int | None, float | None], percent: float | None
) -> None:
    for pair in permutations((first, second)):
        raw = [
            row("viewers_aggregated", period_start=REPEATED, watcher_count=watchers, conversion_ratio=ratio)
            for watchers, ratio in pair
        ]
        assert percent == event(aggregates("viewers_aggregated"), *raw)["conversion_percent"]


def test_estimates_are_added_as_the_decimals_that_the_vendor_wrote() -> None:
    raw = [row("proof_of_play_by_site", period_start=REPEATED, impressions=each) for each in (0.1, 0.2)]
    assert 0.3 == event(aggregates("proof_of_play_by_site"), *raw)["impressions"]


def test_a_ratio_is_unknown_unless_both_rows_have_the_same_one() -> None:
    metrics = [Metric("share", PERCENT, ("share",), addition=Addition.RATIO)]

    assert [(5.0,), (None,), (5.0,), (None,)] == [
        added(metrics, [(one,), (other,)]) for one, other in ((5.0, 5.0), (5.0, 6.0), (None, 5.0), (None, None))
    ]


@given(st.sampled_from(AGGREGATED), st.data())
def test_any_two_rows_give_an_event(stream: str, data: st.DataObject) -> None:
    rows = aggregates(stream)
    number = st.integers(0, 10**15) | st.floats(0, 1e12).map(lambda each: round(each, 3)) | st.none()
    raw = []
    for _ in range(2):
        fields: dict[str, object] = {}
        for metric in rows._type.metrics:
            drawn = data.draw(number)
            is_count = metric.unit is COUNT
            fields |= dict.fromkeys(metric.wire_names, int(drawn) if is_count and drawn is not None else drawn)
        raw.append(row(stream, period_start=REPEATED, **fields))
    got = found(rows, finished_export(*raw))
    for one in got:
        if isinstance(one, Record):
            [one_event] = rows.explode(one, DIGEST, 0, "acme")
            assert msgspec.json.encode(one_event.data)
            assert value(one_event)
