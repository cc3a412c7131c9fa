"""Windows of aggregates: each period is requested once and as a whole, also when clocks change."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.instants import SECOND
from collector.model import Record, Window
from collector.vendors.quividi.aggregates import Aggregates
from tests.vendors.quividi.aggregated import aggregates
from tests.vendors.quividi.example import PARIS

SPRING, AUTUMN = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)
"""The clock changes in Paris."""
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
STEPS = {"30m": timedelta(minutes=30), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
RESOLUTIONS = ["5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M"]


def bounds(rows: Aggregates, start: str, end: str) -> tuple[str, str]:
    first, last = rows.bounds(Window(*(datetime.fromisoformat(f"{text}Z") for text in (start, end))))
    return first.isoformat(), last.isoformat()


def windows(rows: Aggregates, around: datetime, lengths: list[int]) -> list[Window]:
    """Consecutive windows of these numbers of periods, from two days before."""
    cuts = [rows.alignment.floor(around - timedelta(days=2))]
    for length in lengths:
        end = cuts[-1]
        for _ in range(length):
            end = rows.alignment.after(end)
        cuts.append(end)
    return [Window(*pair) for pair in pairwise(cuts)]


@pytest.mark.parametrize(
    ("resolution", "start", "end", "expected"),
    [
        ("1h", "2018-01-29T01:00:00", "2018-01-29T04:00:00", ("2018-01-29T02:00:00", "2018-01-29T04:59:59")),
        ("5m", "2018-01-29T01:05:00", "2018-01-29T01:10:00", ("2018-01-29T02:05:00", "2018-01-29T02:09:59")),
        ("1d", "2018-03-24T23:00:00", "2018-03-25T22:00:00", ("2018-03-25T00:00:00", "2018-03-25T23:59:59")),
        ("1h", "2018-03-25T00:00:00", "2018-03-25T01:00:00", ("2018-03-25T01:00:00", "2018-03-25T02:59:59")),
        ("1h", "2018-03-25T01:00:00", "2018-03-25T02:00:00", ("2018-03-25T03:00:00", "2018-03-25T03:59:59")),
        ("1h", "2018-10-28T00:00:00", "2018-10-28T02:00:00", ("2018-10-28T02:00:00", "2018-10-28T02:59:59")),
        ("5m", "2018-10-28T00:00:00", "2018-10-28T02:00:00", ("2018-10-28T02:00:00", "2018-10-28T02:59:59")),
        ("1d", "2018-10-27T22:00:00", "2018-10-28T23:00:00", ("2018-10-28T00:00:00", "2018-10-28T23:59:59")),
        ("1M", "2018-01-31T23:00:00", "2018-03-31T22:00:00", ("2018-02-01T00:00:00", "2018-03-31T23:59:59")),
    ],
)
def test_bounds_are_the_first_and_last_local_second_of_the_window(
    resolution: str, start: str, end: str, expected: tuple[str, str]
) -> None:
    assert expected == bounds(aggregates("ots", resolution), start, end)


@given(
    resolution=st.sampled_from(sorted(STEPS)),
    place=st.sampled_from([(PARIS, SPRING), (PARIS, AUTUMN), (LORD_HOWE, datetime(2026, 4, 4, 15, tzinfo=UTC))]),
    lengths=st.lists(st.integers(1, 60), min_size=2, max_size=12),
)
@example(resolution="30m", place=(PARIS, AUTUMN), lengths=[1] * 100)
@example(resolution="1h", place=(PARIS, AUTUMN), lengths=[1] * 60)
@example(resolution="30m", place=(PARIS, SPRING), lengths=[1] * 100)
def test_no_row_is_lost_or_repeated_when_clocks_change(
    resolution: str, place: tuple[ZoneInfo, datetime], lengths: list[int]
) -> None:
    """The vendor sends rows for all local times, even skipped ones, and additional ones at the edges."""
    zone, around = place
    rows, step = aggregates("ots", resolution, zone=zone), STEPS[resolution]
    requested = windows(rows, around, lengths)
    got: list[str] = []
    for window in requested:
        first, last = rows.bounds(window)
        start = first - step
        raw = []
        while start <= last + step:
            row = {
                "location_id": 1,
                "period_start": start.isoformat(),
                "ots_count": 1,
                "watcher_count": 1,
                "duration": 1,
            }
            raw.append(msgspec.Raw(msgspec.json.encode(row)))
            start += step
        got += [one.payload.start_local for one in rows.read(raw, first, last) if isinstance(one, Record)]
    start, expected = rows.bounds(requested[0])[0], []
    while start <= rows.bounds(requested[-1])[1]:
        expected.append(start.isoformat())
        start += step

    assert expected == sorted(got)


@given(
    resolution=st.sampled_from(RESOLUTIONS),
    day=st.integers(1, 28),
    moment=st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - with zone
    zone=st.sampled_from([PARIS, LORD_HOWE, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Asia/Kathmandu")]),
    length=st.integers(1, 5),
)
def test_bounds_of_consecutive_windows_are_adjacent_and_aligned(
    resolution: str, day: int, moment: datetime, zone: ZoneInfo, length: int
) -> None:
    rows = aggregates("ots", resolution, date(2018, 1, day), zone)
    one, other = (rows.bounds(window) for window in windows(rows, moment, [length, 1]))

    assert SECOND == other[0] - one[1]
    assert one[0] < one[1] < other[0] < other[1]
    assert rows.alignment.is_start(one[0])
    assert rows.alignment.is_start(other[0])


def test_a_day_that_starts_at_one_is_requested_from_midnight() -> None:
    """As in Brazil."""
    rows = aggregates("ots", "1d", zone=ZoneInfo("America/Sao_Paulo"))

    expected = ("2018-11-04T00:00:00", "2018-11-04T23:59:59")
    assert expected == bounds(rows, "2018-11-04T03:00:00", "2018-11-05T02:00:00")
    assert "2018-11-03T23:59:59" == bounds(rows, "2018-11-03T03:00:00", "2018-11-04T03:00:00")[1]


@pytest.mark.parametrize(
    ("resolution", "is_grouped", "first", "last", "expected"),
    [
        ("1h", False, "2018-01-29T00:00:00", "2018-01-29T23:59:59", 24),
        ("1h", True, "2018-01-29T00:00:00", "2018-01-29T23:59:59", 24 * 15),
        ("5m", False, "2018-01-29T00:00:00", "2018-01-29T00:04:59", 1),
        ("1M", False, "2018-01-01T00:00:00", "2018-12-31T23:59:59", 12),
    ],
)
def test_the_least_number_of_rows_is_predicted(
    resolution: str, is_grouped: bool, first: str, last: str, expected: int
) -> None:
    rows = aggregates("viewers_aggregated", resolution, is_grouped=is_grouped)
    times = datetime.fromisoformat(first), datetime.fromisoformat(last)

    assert expected == rows.min_rows(1, *times)
    assert 7 * expected == rows.min_rows(7, *times)
