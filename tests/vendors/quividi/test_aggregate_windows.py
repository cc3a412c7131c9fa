"""Windows of aggregates: every period of every place is asked for once and whole, also where clocks are set."""

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
"""When clocks are set in Paris."""
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
STEPS = {"30m": timedelta(minutes=30), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
RESOLUTIONS = ["5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M"]


def bounds(of: Aggregates, start: str, end: str) -> tuple[str, str]:
    first, last = of.bounds(Window(*(datetime.fromisoformat(f"{text}Z") for text in (start, end))))
    return first.isoformat(), last.isoformat()


def windows(of: Aggregates, around: datetime, lengths: list[int]) -> list[Window]:
    """One after the other, each of so many cuts, from two days before on."""
    cuts = [of.alignment.floor(around - timedelta(days=2))]
    for length in lengths:
        end = cuts[-1]
        for _ in range(length):
            end = of.alignment.after(end)
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
def test_a_window_is_asked_for_from_its_local_begin_to_the_last_second_of_its_local_end(
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
def test_no_row_is_lost_or_doubled_where_clocks_are_set(
    resolution: str, place: tuple[ZoneInfo, datetime], lengths: list[int]
) -> None:
    """A vendor fills all of local time with rows, that which is left out too, and sends partial ones at the edges."""
    zone, around = place
    of, step = aggregates("ots", resolution, zone=zone), STEPS[resolution]
    asked = windows(of, around, lengths)
    got: list[str] = []
    for window in asked:
        first, last = of.bounds(window)
        begin = first - step
        rows = []
        while begin <= last + step:
            told = {"location_id": 1, "period_start": begin.isoformat(), "ots_count": 1}
            rows.append(msgspec.Raw(msgspec.json.encode(told)))
            begin += step
        got += [one.payload.start_local for one in of.read(rows, first, last) if isinstance(one, Record)]
    begin, expected = of.bounds(asked[0])[0], []
    while begin <= of.bounds(asked[-1])[1]:
        expected.append(begin.isoformat())
        begin += step

    assert expected == got


@given(
    resolution=st.sampled_from(RESOLUTIONS),
    day=st.integers(1, 28),
    moment=st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - with zone
    zone=st.sampled_from([PARIS, LORD_HOWE, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Asia/Kathmandu")]),
    length=st.integers(1, 5),
)
def test_windows_meet_and_their_bounds_lie_on_the_grid(
    resolution: str, day: int, moment: datetime, zone: ZoneInfo, length: int
) -> None:
    of = aggregates("ots", resolution, date(2018, 1, day), zone)
    one, other = (of.bounds(window) for window in windows(of, moment, [length, 1]))

    assert SECOND == other[0] - one[1]
    assert one[0] < one[1] < other[0] < other[1]
    assert of.alignment.is_start(one[0])
    assert of.alignment.is_start(other[0])


def test_a_day_that_begins_at_one_is_asked_for_from_midnight_on() -> None:
    """As the clock was set in Brazil."""
    of = aggregates("ots", "1d", zone=ZoneInfo("America/Sao_Paulo"))

    expected = ("2018-11-04T00:00:00", "2018-11-04T23:59:59")
    assert expected == bounds(of, "2018-11-04T03:00:00", "2018-11-05T02:00:00")
    assert "2018-11-03T23:59:59" == bounds(of, "2018-11-03T03:00:00", "2018-11-04T03:00:00")[1]


@pytest.mark.parametrize(
    ("resolution", "grouped", "first", "last", "expected"),
    [
        ("1h", False, "2018-01-29T00:00:00", "2018-01-29T23:59:59", 24),
        ("1h", True, "2018-01-29T00:00:00", "2018-01-29T23:59:59", 24 * 15),
        ("5m", False, "2018-01-29T00:00:00", "2018-01-29T00:04:59", 1),
        ("1M", False, "2018-01-01T00:00:00", "2018-12-31T23:59:59", 12),
    ],
)
def test_it_is_known_how_many_rows_there_will_be_of_a_location(
    resolution: str, grouped: bool, first: str, last: str, expected: int
) -> None:
    of = aggregates("viewers_aggregated", resolution, is_grouped=grouped)
    times = datetime.fromisoformat(first), datetime.fromisoformat(last)

    assert expected == of.min_rows(1, *times)
    assert 7 * expected == of.min_rows(7, *times)
