"""Alignment of windows: every instant is in one period, and no boundary lies in a repeated stretch of local time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.alignment import Periods, Snapshot
from collector.instants import SECOND

PARIS = ZoneInfo("Europe/Paris")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
"""Its clocks were set forward at midnight: some days started at one o'clock."""
ZONES = [PARIS, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), SAO_PAULO, UTC]
MONDAY = datetime(2018, 1, 1)  # noqa: DTZ001 - local
LENGTHS = [
    (timedelta(minutes=5), 0),
    (timedelta(minutes=30), 0),
    (timedelta(hours=1), 0),
    (timedelta(days=1), 0),
    (timedelta(days=7), 0),
    (timedelta(days=30), 0),
    (timedelta(0), 1),
    (timedelta(0), 6),
]

_instants = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with zone


def periods(zone: ZoneInfo, step: timedelta = timedelta(0), months: int = 0) -> Periods:
    return Periods(zone, MONDAY, step, months)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@given(instant=_instants, zone=st.sampled_from(ZONES), length=st.sampled_from(LENGTHS))
@example(instant=utc(2026, 10, 25, 0, 40), zone=PARIS, length=LENGTHS[1])
@example(instant=utc(2026, 10, 25, 1, 10), zone=PARIS, length=LENGTHS[1])
@example(instant=utc(2026, 3, 29, 1, 10), zone=PARIS, length=LENGTHS[1])
def test_every_instant_is_in_one_period(instant: datetime, zone: ZoneInfo, length: tuple[timedelta, int]) -> None:
    alignment = periods(zone, *length)
    start, end = alignment.floor(instant), alignment.after(instant)
    assert start <= instant < end
    assert start == alignment.floor(start) == alignment.floor(end - SECOND)
    assert end == alignment.floor(end) == alignment.after(start) == alignment.min_end(start)


@given(instant=_instants, zone=st.sampled_from(ZONES), length=st.sampled_from(LENGTHS))
@example(instant=utc(2026, 10, 25, 0, 40), zone=PARIS, length=LENGTHS[0])
def test_local_times_before_a_boundary_do_not_repeat_after_it(
    instant: datetime, zone: ZoneInfo, length: tuple[timedelta, int]
) -> None:
    boundary = periods(zone, *length).after(instant)
    local = boundary.astimezone(zone).replace(tzinfo=None)
    for minutes in (1, 15, 29, 31, 45, 59, 61, 90, 119):
        assert (boundary - timedelta(minutes=minutes)).astimezone(zone).replace(tzinfo=None) < local
        assert (boundary + timedelta(minutes=minutes)).astimezone(zone).replace(tzinfo=None) >= local


@given(instant=_instants, zone=st.sampled_from(ZONES))
@example(instant=utc(2026, 3, 29, 1), zone=PARIS)
@example(instant=utc(2026, 3, 29, 1, 59), zone=PARIS)
def test_no_period_is_longer_than_its_step_except_where_local_time_is_repeated(
    instant: datetime, zone: ZoneInfo
) -> None:
    alignment = periods(zone, timedelta(minutes=5))
    start, end = alignment.floor(instant), alignment.after(instant)
    is_repeated = (start + timedelta(hours=3)).astimezone(zone).utcoffset() < start.astimezone(zone).utcoffset()  # type: ignore[operator]
    assert is_repeated or end - start <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("alignment", "instant", "start", "end"),
    [
        (periods(PARIS, timedelta(hours=1)), utc(2026, 7, 1, 9, 59, 59), utc(2026, 7, 1, 9), utc(2026, 7, 1, 10)),
        (periods(PARIS, timedelta(days=1)), utc(2026, 7, 1, 22), utc(2026, 7, 1, 22), utc(2026, 7, 2, 22)),
        (periods(PARIS, timedelta(days=1)), utc(2026, 10, 25, 12), utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
        (periods(PARIS, timedelta(hours=1)), utc(2026, 10, 25, 1, 30), utc(2026, 10, 25), utc(2026, 10, 25, 2)),
        (periods(PARIS, timedelta(hours=1)), utc(2026, 3, 29, 0, 30), utc(2026, 3, 29), utc(2026, 3, 29, 1)),
        (periods(PARIS, timedelta(minutes=5)), utc(2026, 3, 29, 1, 2), utc(2026, 3, 29, 1), utc(2026, 3, 29, 1, 5)),
        (periods(PARIS, timedelta(minutes=30)), utc(2026, 3, 29, 1, 40), utc(2026, 3, 29, 1, 30), utc(2026, 3, 29, 2)),
        (periods(SAO_PAULO, timedelta(days=1)), utc(2018, 11, 4, 12), utc(2018, 11, 4, 3), utc(2018, 11, 5, 2)),
        (periods(PARIS, timedelta(days=7)), utc(2026, 11, 25), utc(2026, 11, 22, 23), utc(2026, 11, 29, 23)),
        (periods(PARIS, months=1), utc(2026, 11, 25), utc(2026, 10, 31, 23), utc(2026, 11, 30, 23)),
        (periods(PARIS, months=6), utc(2026, 11, 25), utc(2026, 6, 30, 22), utc(2026, 12, 31, 23)),
    ],
)
def test_periods_follow_the_local_calendar(
    alignment: Periods, instant: datetime, start: datetime, end: datetime
) -> None:
    assert (start, end) == (alignment.floor(instant), alignment.after(instant))


def test_a_window_of_snapshots_is_never_split() -> None:
    now = utc(2026, 11, 25)
    assert Snapshot().min_end(now) > utc(9999, 1, 1)
    assert (now, now + SECOND) == (Snapshot().floor(now), Snapshot().after(now))
