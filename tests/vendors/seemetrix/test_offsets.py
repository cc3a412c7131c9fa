"""Local periods with a single offset from UTC, and the zones whose offsets `tzo` can state."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.alignment import ANCHOR, periods
from collector.instants import SECOND
from collector.vendors.seemetrix.offsets import (
    OffsetPeriods,
    check_whole_hours,
    format_offset,
    offset_at,
    whole_hours,
)

PARIS, SAO_PAULO, TROLL = "Europe/Paris", "America/Sao_Paulo", "Antarctica/Troll"
"""Sao Paulo set its clocks forward at midnight; Troll sets them back by two hours."""
ZONES = [PARIS, "America/New_York", SAO_PAULO, TROLL, "Africa/Casablanca", "Etc/GMT-3", "UTC"]
LENGTHS = ["1h", "1d", "7d", "30d", "1M", "3M", "6M"]
HOUR = timedelta(hours=1)

_instants = st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with zone


def cut(zone: str, length: str, anchor: date = ANCHOR) -> OffsetPeriods:
    return OffsetPeriods(periods(length, anchor, ZoneInfo(zone)))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@given(instant=_instants, zone=st.sampled_from(ZONES), length=st.sampled_from(LENGTHS))
@example(instant=utc(2026, 10, 25, 0, 40), zone=PARIS, length="1h")
@example(instant=utc(2026, 10, 25, 1), zone=PARIS, length="1d")
@example(instant=utc(2026, 3, 29, 1), zone=PARIS, length="1h")
@example(instant=utc(2026, 10, 25, 2, 30), zone=TROLL, length="1h")
@example(instant=utc(2018, 11, 4, 2, 30), zone=SAO_PAULO, length="1d")
def test_every_instant_is_in_one_period_which_has_one_offset(instant: datetime, zone: str, length: str) -> None:
    alignment = cut(zone, length)
    start, end = alignment.floor(instant), alignment.after(instant)
    assert start <= instant < end
    assert start == alignment.floor(start) == alignment.floor(end - SECOND)
    assert end == alignment.floor(end) == alignment.after(start) == alignment.min_end(start)
    assert end - start <= alignment.max_period
    offsets = {offset_at(ZoneInfo(zone), start + (end - SECOND - start) * n / 50) for n in range(51)}
    assert 1 == len(offsets)


@given(instant=_instants, length=st.sampled_from(LENGTHS))
def test_in_utc_the_periods_are_those_without_cuts(instant: datetime, length: str) -> None:
    whole = periods(length, ANCHOR, ZoneInfo("UTC"))
    assert (whole.floor(instant), whole.after(instant)) == (
        cut("UTC", length).floor(instant),
        cut("UTC", length).after(instant),
    )


@pytest.mark.parametrize(
    ("alignment", "since", "cuts"),
    [
        (cut(PARIS, "1d"), utc(2026, 10, 24, 22), [utc(2026, 10, 25, 1), utc(2026, 10, 25, 23)]),
        (cut(PARIS, "1d"), utc(2026, 3, 28, 23), [utc(2026, 3, 29, 1), utc(2026, 3, 29, 22)]),
        (cut(PARIS, "1h"), utc(2026, 10, 25), [utc(2026, 10, 25, 1), utc(2026, 10, 25, 2)]),
        (cut(PARIS, "1h"), utc(2026, 3, 29), [utc(2026, 3, 29, 1), utc(2026, 3, 29, 2)]),
        (cut(PARIS, "1M"), utc(2026, 9, 30, 22), [utc(2026, 10, 25, 1), utc(2026, 10, 31, 23)]),
        (cut(PARIS, "6M"), utc(2025, 12, 31, 23), [utc(2026, 3, 29, 1), utc(2026, 6, 30, 22)]),
        (cut(TROLL, "1h"), utc(2026, 10, 25), [utc(2026, 10, 25, n) for n in (1, 2, 3)]),
        (cut(SAO_PAULO, "1d"), utc(2018, 11, 3, 3), [utc(2018, 11, 4, 3), utc(2018, 11, 5, 2)]),
        (cut("Africa/Casablanca", "6M"), utc(2024, 12, 31, 23), [utc(2025, 2, 23, 2), utc(2025, 4, 6, 2)]),
    ],
    ids=["back", "forward", "hour back", "hour forward", "month", "half a year", "two hours", "midnight", "Ramadan"],
)
def test_a_period_is_cut_where_the_offset_changes(
    alignment: OffsetPeriods, since: datetime, cuts: list[datetime]
) -> None:
    found = [since]
    for _ in cuts:
        found.append(alignment.after(found[-1]))
    assert [alignment.floor(since), *cuts] == found


@pytest.mark.parametrize("zone", ["UTC", PARIS, SAO_PAULO, "Etc/GMT+12", "Pacific/Kiritimati", "Asia/Pyongyang"])
def test_zones_of_whole_hours_are_accepted(zone: str) -> None:
    assert zone == check_whole_hours(zone)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("Asia/Kolkata", "+05:30"),
        ("Asia/Kathmandu", "+05:45"),
        ("America/St_Johns", "-03:30"),
        ("Australia/Lord_Howe", "+10:30"),
    ],
    ids=["half", "quarter", "behind UTC", "in winter only"],
)
def test_zones_of_other_offsets_are_rejected_with_the_offset(zone: str, offset: str) -> None:
    with pytest.raises(ValueError, match="whole hours only") as raised:
        check_whole_hours(zone)
    assert f"{zone} from UTC is {offset} on " in str(raised.value)


@pytest.mark.parametrize(
    ("offset", "hours", "text"),
    [
        (timedelta(0), 0, "+00:00"),
        (2 * HOUR, 2, "+02:00"),
        (-5 * HOUR, -5, "-05:00"),
        (-3.5 * HOUR, None, "-03:30"),
        (5.75 * HOUR, None, "+05:45"),
    ],
)
def test_an_offset_is_a_number_of_hours_or_none(offset: timedelta, hours: int | None, text: str) -> None:
    assert (hours, text) == (whole_hours(offset), format_offset(offset))
