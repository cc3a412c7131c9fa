"""The periods of aggregates: alignment, local time, and changes of the clock."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from collector.model import Record
from tests.vendors.quividi.aggregated import (
    DIGEST,
    aggregates,
    event_value,
    found,
    local,
    record,
    reject,
    row,
    value,
)
from tests.vendors.quividi.example import finished_export


def test_rows_outside_the_window_are_dropped_even_if_not_aligned() -> None:
    rows = aggregates("ots")
    window = local("2018-01-29T01:00:00"), local("2018-01-29T01:59:59")
    raw = [row("ots", period_start=f"2018-01-29 {time}") for time in ("00:00:00", "00:30:00", "01:00:00", "02:00:00")]

    assert ["1467/2018-01-29T01:00:00/1h"] == [
        one.payload.name for one in found(rows, finished_export(*raw), window) if isinstance(one, Record)
    ]
    assert 1 == len(found(rows, finished_export(*raw), window))


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
def test_a_row_that_is_not_aligned_is_a_reject_naming_the_anchor(
    resolution: str, anchor: date, right: str, wrong: str
) -> None:
    rows = aggregates("ots", resolution, anchor)

    got = reject(rows, row("ots", period_start=f"{wrong} 00:00:00"))
    assert all(word in got.error for word in (resolution, wrong, "anchor", "$.period_start"))
    record(rows, row("ots", period_start=f"{right} 00:00:00"))


@pytest.mark.parametrize(
    ("resolution", "start", "end"),
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
def test_a_period_ends_in_local_time(resolution: str, start: str, end: str) -> None:
    rows = aggregates("ots", resolution)
    [event] = rows.explode(record(rows, row("ots", period_start=start)), DIGEST, 0, "acme")

    assert end == value(event)["period_end"]


def test_the_repeated_hour_is_ambiguous_and_counts_as_the_first() -> None:
    got = event_value("ots", period_start="2018-10-28 02:00:00")

    assert (True, 7200, "2018-10-28T00:00:00.000Z") == (got["ambiguous"], got["utc_offset_s"], got["period_start"])
    assert not event_value("ots", period_start="2018-10-28 03:00:00")["ambiguous"]


def test_the_skipped_hour_does_not_end_before_it_starts() -> None:
    for start in ("2018-03-25 02:00:00", "2018-03-25 02:30:00"):
        rows = aggregates("ots", "30m")
        got = record(rows, row("ots", period_start=start))
        assert got.start_ms <= got.end_ms


def test_the_vendors_local_time_selects_the_page() -> None:
    rows = aggregates("ots", zone=ZoneInfo("Asia/Kathmandu"))
    got = record(rows, row("ots"))

    assert (20_700, 3_600_000) == (got.vendor_local_s - got.start_ms // 1000, got.end_ms - got.start_ms)
