"""Local times without a zone: bounds cover every window, and every instant round-trips or is ambiguous."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.instants import SECOND
from collector.model import Window
from collector.vendors.quividi.zones import bounds, earliest, instant, local

ZONES = (
    "UTC",
    "Europe/Paris",
    "Europe/Dublin",  # summer time is the standard, winter time the exception
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight
    "America/St_Johns",  # offset by half an hour, changed one minute after midnight
    "Africa/Casablanca",  # changes twice more, for Ramadan
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # skipped a whole day
    "Pacific/Chatham",
    "Antarctica/Troll",  # changes by two hours
)
FIRST, LAST = datetime(2004, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
PARIS, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
LONGEST_STEP = timedelta(hours=2)
"""The largest step by which any of these clocks was set back."""


def offset(instant_utc: datetime, zone: ZoneInfo) -> timedelta:
    return instant_utc.astimezone(zone).utcoffset() or timedelta(0)


@cache
def changes(zone: ZoneInfo) -> list[datetime]:
    """The first seconds of each new offset."""
    days = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days)]
    return [_first_of_new(*pair, zone) for pair in pairwise(days) if len({offset(day, zone) for day in pair}) > 1]


def _first_of_new(old: datetime, new: datetime, zone: ZoneInfo) -> datetime:
    while new - old > SECOND:
        middle = old + (new - old) // 2 // SECOND * SECOND
        old, new = (middle, new) if offset(middle, zone) == offset(old, zone) else (old, middle)
    return new


@st.composite
def places(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and a whole second, mostly near a clock change."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    if (found := changes(zone)) and draw(st.integers(0, 4)) > 0:
        return zone, draw(st.sampled_from(found)) + timedelta(seconds=draw(st.integers(-18_000, 18_000)))
    return zone, FIRST + timedelta(seconds=draw(st.integers(0, int((LAST - FIRST).total_seconds()))))


seconds = st.integers(0, 7200) | st.integers(0, 2 * 86_400)


def test_the_tested_zones_change_as_expected() -> None:
    found = {name: len(changes(ZoneInfo(name))) for name in ZONES}

    assert {"UTC", "Asia/Kathmandu"} == {name for name in ZONES if not found[name]}
    assert 52 == found["Europe/Paris"] == found["America/New_York"]


@settings(max_examples=400)
@given(places(), seconds, seconds)
def test_the_bounds_of_a_window_cover_the_local_time_of_every_second_in_it(
    place: tuple[ZoneInfo, datetime], before: int, after: int
) -> None:
    zone, instant_utc = place
    window = Window(instant_utc - timedelta(seconds=before), instant_utc + timedelta(seconds=after + 1))

    first, last = bounds(window, zone)

    assert first <= local(instant_utc, zone) <= last


@settings(max_examples=400)
@given(places(), seconds)
def test_bounds_exceed_the_window_only_slightly(place: tuple[ZoneInfo, datetime], length: int) -> None:
    zone, start = place
    window = Window(start, start + timedelta(seconds=length + 1))

    first, last = bounds(window, zone)

    assert local(window.start, zone) - LONGEST_STEP <= first
    assert last <= local(window.end - SECOND, zone) + LONGEST_STEP


@settings(max_examples=400)
@given(places(), seconds)
def test_the_earliest_end_is_not_after_the_window(place: tuple[ZoneInfo, datetime], length: int) -> None:
    zone, start = place
    window = Window(start, start + timedelta(seconds=length + 1))

    got = earliest(bounds(window, zone)[1], zone)

    assert window.end - SECOND - LONGEST_STEP <= got <= window.end - SECOND


@settings(max_examples=400)
@given(places())
def test_an_instant_round_trips_unless_it_is_ambiguous(
    place: tuple[ZoneInfo, datetime],
) -> None:
    zone, instant_utc = place

    got = instant(local(instant_utc, zone), zone)

    assert got.utc == instant_utc or (got.ambiguous and instant_utc - LONGEST_STEP <= got.utc < instant_utc)
    assert local(instant_utc, zone) == local(got.utc, zone)
    assert offset(got.utc, zone) == got.offset == local(instant_utc, zone) - got.utc.replace(tzinfo=None)


@settings(max_examples=400)
@given(places())
def test_a_local_time_is_ambiguous_if_two_instants_have_it(place: tuple[ZoneInfo, datetime]) -> None:
    zone, instant_utc = place
    local_time = local(instant_utc, zone)
    others = {offset(instant_utc + timedelta(hours=hours), zone) for hours in (-3, 0, 3)}
    instants = {(local_time - each).replace(tzinfo=UTC) for each in others}

    found = sorted(each for each in instants if local(each, zone) == local_time)

    assert (found[0], len(found) > 1) == (instant(local_time, zone).utc, instant(local_time, zone).ambiguous)


@pytest.mark.parametrize(
    ("zone", "local_time", "utc"),
    [
        (PARIS, "2026-10-25T02:00:00", "2026-10-25T00:00:00"),
        (PARIS, "2026-10-25T02:30:00", "2026-10-25T00:30:00"),
        (PARIS, "2026-10-25T02:59:59", "2026-10-25T00:59:59"),
        (NEW_YORK, "2026-11-01T01:30:00", "2026-11-01T05:30:00"),
        (LORD_HOWE, "2026-04-05T01:45:00", "2026-04-04T14:45:00"),
    ],
)
def test_the_repeated_hour_is_ambiguous_and_counts_as_the_first(zone: ZoneInfo, local_time: str, utc: str) -> None:
    got = instant(datetime.fromisoformat(local_time), zone)

    assert (f"{utc}+00:00", True) == (got.utc.isoformat(), got.ambiguous)


@pytest.mark.parametrize(
    ("zone", "local_time"),
    [
        (PARIS, "2026-10-25T01:59:59"),
        (PARIS, "2026-10-25T03:00:00"),
        (NEW_YORK, "2026-11-01T00:59:59"),
        (NEW_YORK, "2026-11-01T02:00:00"),
        (LORD_HOWE, "2026-04-05T01:29:59"),
        (LORD_HOWE, "2026-04-05T02:00:00"),
    ],
)
def test_the_seconds_around_that_hour_are_not_ambiguous(zone: ZoneInfo, local_time: str) -> None:
    assert not instant(datetime.fromisoformat(local_time), zone).ambiguous


@pytest.mark.parametrize(
    ("zone", "missing", "local_time_after"),
    [
        (PARIS, "2026-03-29T02:30:00", "2026-03-29T03:30:00"),
        (NEW_YORK, "2026-03-08T02:00:00", "2026-03-08T03:00:00"),
        (LORD_HOWE, "2026-10-04T02:15:00", "2026-10-04T02:45:00"),
        (ZoneInfo("Pacific/Apia"), "2011-12-30T12:00:00", "2011-12-31T12:00:00"),
    ],
)
def test_a_skipped_time_is_converted_with_the_offset_before(
    zone: ZoneInfo, missing: str, local_time_after: str
) -> None:
    got, same = (instant(datetime.fromisoformat(local_time), zone) for local_time in (missing, local_time_after))

    assert (same.utc, False) == (got.utc, got.ambiguous)
    assert got.offset < same.offset


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("00:00", "01:00", "02:00:00", "02:59:59"),  # the first occurrence of the hour
        ("01:00", "02:00", "02:00:00", "02:59:59"),  # the second one
        ("00:15", "00:30", "02:15:00", "02:29:59"),
        ("01:15", "01:30", "02:15:00", "02:29:59"),
        ("00:00", "02:00", "02:00:00", "02:59:59"),  # both
        ("00:30", "01:10", "02:00:00", "02:59:59"),  # a part of each
        ("00:59", "01:01", "02:00:00", "02:59:59"),
        ("01:59", "02:30", "02:59:00", "03:29:59"),
        ("00:00", "06:00", "02:00:00", "06:59:59"),
    ],
)
def test_bounds_cover_the_repeated_hour(start: str, end: str, first: str, last: str) -> None:
    day = "2026-10-25T"
    window = Window(*(datetime.fromisoformat(f"{day}{time}+00:00") for time in (start, end)))

    first_second, last_second = bounds(window, PARIS)

    assert first_second <= datetime.fromisoformat(day + first)
    assert datetime.fromisoformat(day + last) <= last_second


@pytest.mark.parametrize("month", [1, 7])
def test_without_a_clock_change_bounds_are_exact(month: int) -> None:
    start = datetime(2026, month, 1, 12, tzinfo=UTC)

    got = bounds(Window(start, start + timedelta(hours=6)), PARIS)

    hours = offset(start, PARIS)
    assert (
        (start + hours).replace(tzinfo=None),
        (start + hours + timedelta(hours=6) - SECOND).replace(tzinfo=None),
    ) == got


def test_bounds_of_one_second() -> None:
    start = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC)
    second = datetime(2026, 10, 25, 2, 59, 59, tzinfo=PARIS).replace(tzinfo=None)

    assert (second, second) == bounds(Window(start, start + SECOND), PARIS)


@pytest.mark.parametrize(("zone", "local_time"), [(PARIS, datetime.min), (NEW_YORK, datetime.max)])  # noqa: DTZ901 - local
def test_instants_outside_the_calendar_raise(zone: ZoneInfo, local_time: datetime) -> None:
    with pytest.raises(OverflowError):
        instant(local_time, zone)
