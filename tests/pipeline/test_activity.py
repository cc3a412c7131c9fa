"""The strip of a stream: what the ledger knows of the last day, by the clock of the world, and how sure that is."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.alignment import Alignment, AnySecond, periods
from collector.instants import UNIX_EPOCH, UNIX_EPOCH_LOCAL
from collector.model import Checkpoint, DedupMode, Policy
from collector.pipeline.activity import activity_timeline
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.page import ENTRY, Chunk
from collector.pipeline.state import Shape, State
from collector.timeline import ActivityTimeline

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 20, 14, 23, 12, tzinfo=UTC)
PARIS, KATHMANDU, TROLL = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Antarctica/Troll")
SET_BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)  # at three in Paris it is two again
SET_FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)  # at two in Paris it is three


def state_of(
    final: datetime, *, watermark: datetime | None = None, max_clock_offset: timedelta = timedelta(0)
) -> State:
    checkpoint = Checkpoint(UNIX_EPOCH, watermark or NOW, final, HOUR, NOW)
    return State("prefix", Shape(DedupMode.MULTISET, 1, max_clock_offset), checkpoint)


def file(state: State, start: datetime, zone: tzinfo = UTC, count: int = 1) -> None:
    """Take note of so many records that began then, as a vendor files them whose clock is of this zone."""
    local = start.astimezone(zone).replace(tzinfo=None, fold=0)
    vendor_local_s = (local - UNIX_EPOCH_LOCAL) // timedelta(seconds=1)
    state.ledger.add(vendor_local_s // PAGE_S, Chunk(bytes(ENTRY.size * count), vendor_local_s, 1))


def look(
    state: State,
    *,
    zone: tzinfo = UTC,
    alignment: Alignment | None = None,
    asked: datetime | None = None,
    now: datetime = NOW,
) -> ActivityTimeline:
    found = activity_timeline(
        state,
        Policy(
            interval=MINUTE,
            settle=MINUTE,
            allowed_lateness=DAY,
            sweep_every=HOUR,
            span=DAY,
            until=None,
            alignment=alignment or AnySecond(),
        ),
        zone,
        asked,
        now,
    )
    assert found is not None
    return found


def edges(found: ActivityTimeline) -> list[datetime]:
    all_of = [found.start]
    for many, length_s in found.lengths_s:
        for _ in range(many):
            all_of.append(all_of[-1] + timedelta(seconds=length_s))
    return all_of


def counted(found: ActivityTimeline) -> dict[datetime, int]:
    """The cells with records, by their begin."""
    return {start: count for start, count in zip(edges(found), found.counts, strict=False) if count}


def kinds(found: ActivityTimeline) -> list[str]:
    return [kind for many, kind in found.kinds for _ in range(many)]


def test_it_is_144_cells_of_ten_minutes_and_now_is_in_the_last() -> None:
    found = look(state_of(NOW - 2 * DAY))

    assert ([(144, 600)], 144, 144) == (found.lengths_s, len(found.counts), len(kinds(found)))
    assert datetime(2026, 11, 19, 14, 30, tzinfo=UTC) == found.start
    assert datetime(2026, 11, 20, 14, 30, tzinfo=UTC) == edges(found)[-1]


def test_a_stream_that_has_not_begun_has_none() -> None:
    state = State("prefix", Shape(DedupMode.MULTISET, 1, DAY))
    assert None is activity_timeline(
        state, Policy(interval=MINUTE, settle=MINUTE, allowed_lateness=DAY, sweep_every=HOUR, span=DAY), UTC, None, NOW
    )


def test_records_are_counted_in_the_cell_in_which_they_began() -> None:
    state = state_of(NOW - 2 * DAY)
    file(state, datetime(2026, 11, 20, 14, 19, 59, tzinfo=UTC), count=3)
    file(state, datetime(2026, 11, 20, 14, 20, tzinfo=UTC), count=2)
    file(state, datetime(2026, 11, 20, 14, 21, tzinfo=UTC))
    file(state, datetime(2026, 11, 19, 14, 29, tzinfo=UTC))  # before the first cell
    state.ledger.add(-5, Chunk(bytes(ENTRY.size), 10, 1))  # of rows that could not be understood

    assert {
        datetime(2026, 11, 20, 14, 10, tzinfo=UTC): 3,
        datetime(2026, 11, 20, 14, 20, tzinfo=UTC): 3,
    } == counted(look(state))


def test_what_each_cell_is() -> None:
    state = state_of(NOW - 2 * HOUR, watermark=NOW - HOUR)
    found = look(state, asked=NOW - 30 * MINUTE)

    # 12:23 is final, 13:23 the watermark, 13:53 was asked for; a cell is final or published as a whole or not.
    assert [(131, "final"), (6, "published"), (4, "partly"), (3, "waiting")] == found.kinds


def test_before_anything_was_asked_for_only_the_cell_of_the_watermark_is_there_in_part() -> None:
    found = look(state_of(NOW - 2 * DAY, watermark=NOW - HOUR))
    assert [(137, "published"), (1, "partly"), (6, "waiting")] == found.kinds


def test_what_lies_outside_of_since_and_until_is_not_a_part_of_the_stream() -> None:
    checkpoint = Checkpoint(NOW - 20 * HOUR, NOW - 9 * HOUR, NOW - 9 * HOUR, HOUR, NOW)
    policy = Policy(
        interval=MINUTE, settle=MINUTE, allowed_lateness=DAY, sweep_every=HOUR, span=DAY, until=NOW - 10 * HOUR
    )
    found = activity_timeline(State("prefix", Shape(DedupMode.MULTISET, 1, DAY), checkpoint), policy, UTC, None, NOW)

    assert found is not None
    assert [(23, "outside"), (61, "final"), (60, "outside")] == found.kinds


def test_where_the_ledger_has_forgotten_the_number_is_not_known() -> None:
    state = state_of(NOW - 2 * HOUR)  # 12:23:12
    file(state, NOW - 3 * HOUR, count=7)  # kept, since it is long
    counts = look(state).counts

    assert 7 == counts[125]
    assert [None] * 125 + [None] * 6 == [*counts[:125], *counts[126:132]]
    assert [0] * 12 == counts[132:]


def test_a_clock_far_from_utc_keeps_its_pages_as_much_longer() -> None:
    state = state_of(NOW - 2 * HOUR, max_clock_offset=DAY)
    assert [0] * 144 == look(state, zone=PARIS).counts


@pytest.mark.parametrize("zone", [UTC, PARIS, KATHMANDU, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")])
def test_cells_are_of_the_world_and_pages_of_the_vendors_clock(zone: tzinfo) -> None:
    state = state_of(NOW - 4 * DAY, max_clock_offset=DAY)
    moments = [NOW - each * timedelta(minutes=97) for each in range(14)]
    for moment in moments:
        file(state, moment, zone)
    found = look(state, zone=zone)

    assert 14 == sum(counted(found).values())
    for moment in moments:
        assert any(start <= moment < start + 10 * MINUTE for start in counted(found))


def test_cells_begin_where_the_pages_of_a_clock_do_that_is_a_quarter_of_an_hour_off() -> None:
    found = look(state_of(NOW - 4 * DAY, max_clock_offset=DAY), zone=KATHMANDU)  # 20:08 there
    assert datetime(2026, 11, 20, 14, 15, tzinfo=UTC) == edges(found)[-2]


def test_the_hour_that_comes_twice_is_counted_in_its_first_pass_and_unknown_in_its_second() -> None:
    state = state_of(SET_BACK - 4 * DAY, max_clock_offset=DAY)
    for minutes in (-70, -55, -5, 5, 55, 65):  # by twos: before, in the hour, in it again, after
        file(state, SET_BACK + minutes * MINUTE, PARIS)
    found = look(state, zone=PARIS, now=SET_BACK + 3 * HOUR)

    hour = {-60: 2, -10: 2}  # 2:05 and 2:55, twice each
    assert {SET_BACK + minutes * MINUTE: count for minutes, count in {-70: 1, **hour, 60: 1}.items()} == counted(found)
    unknown = [start for start, count in zip(edges(found), found.counts, strict=False) if count is None]
    assert [SET_BACK + each * 10 * MINUTE for each in range(6)] == unknown


def test_the_hour_that_is_left_out_makes_no_hole() -> None:
    state = state_of(SET_FORWARD - 4 * DAY, max_clock_offset=DAY)
    file(state, SET_FORWARD - MINUTE, PARIS)
    file(state, SET_FORWARD, PARIS, 2)
    found = look(state, zone=PARIS, now=SET_FORWARD + 3 * HOUR)

    assert {SET_FORWARD - 10 * MINUTE: 1, SET_FORWARD: 2} == counted(found)
    assert None not in found.counts


@pytest.mark.parametrize(
    ("resolution", "number", "length"),
    [("5m", 144, 600), ("10m", 144, 600), ("15m", 96, 900), ("1h", 24, 3600), ("1d", 12, 86400), ("7d", 12, 7 * 86400)],
)
def test_cells_are_periods_where_these_are_longer_than_pages(resolution: str, number: int, length: int) -> None:
    alignment = periods(resolution, date(2018, 1, 1), ZoneInfo("UTC"))
    found = look(state_of(NOW - 200 * DAY), alignment=alignment)

    assert [(number, length)] == found.lengths_s
    assert edges(found)[-2] <= NOW < edges(found)[-1]


def test_a_month_is_as_long_as_it_is() -> None:
    alignment = periods("1M", date(2018, 1, 1), PARIS)
    state = state_of(NOW - 200 * DAY, max_clock_offset=DAY)
    file(state, datetime(2026, 9, 30, 22, tzinfo=UTC), PARIS, 9)  # the first of October there
    found = look(state, zone=PARIS, alignment=alignment)

    assert 12 == len(found.counts)
    assert {datetime(2026, 9, 30, 22, tzinfo=UTC): 9} == counted(found)
    assert datetime(2026, 10, 31, 23, tzinfo=UTC) == edges(found)[-2]


def test_periods_in_the_hour_that_comes_twice_are_one_cell() -> None:
    alignment = periods("30m", date(2018, 1, 1), PARIS)
    state = state_of(SET_BACK - 4 * DAY, max_clock_offset=DAY)
    file(state, SET_BACK - HOUR, PARIS)
    file(state, SET_BACK - 30 * MINUTE, PARIS)
    found = look(state, zone=PARIS, alignment=alignment, now=SET_BACK + 3 * HOUR)

    assert {SET_BACK - HOUR: 2} == counted(found)
    assert 7200 in dict(map(reversed, found.lengths_s))  # type: ignore[arg-type]


@given(
    st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis wants them so
    st.sampled_from([PARIS, KATHMANDU, TROLL, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Cairo")]),
    st.sampled_from([None, "15m", "1h", "1d", "1M"]),
    st.lists(st.integers(0, 24 * 60 - 20), max_size=20),
)
def test_whatever_the_clocks_do_each_record_is_counted_once_and_cells_meet(
    now: datetime, zone: ZoneInfo, resolution: str | None, minutes: list[int]
) -> None:
    alignment: Alignment = AnySecond() if resolution is None else periods(resolution, date(2018, 1, 1), zone)
    state = state_of(now - 800 * DAY, max_clock_offset=DAY)
    for each in minutes:
        file(state, alignment.floor(now - each * MINUTE), zone)
    found = look(state, zone=zone, alignment=alignment, now=now)

    cuts = edges(found)
    assert all(before < after for before, after in pairwise(cuts))
    assert cuts[-2] <= now < cuts[-1]
    assert len(cuts) - 1 == len(found.counts) == len(kinds(found))
    # What began in the first hours of a day on which a clock is set back may be filed as an hour earlier.
    early = sum(alignment.floor(now - each * MINUTE) < cuts[0] + 3 * HOUR for each in minutes)
    assert len(minutes) - early <= sum(counted(found).values()) <= len(minutes)


def test_only_lengths_are_read() -> None:
    state = state_of(NOW - 2 * DAY)
    file(state, NOW, count=5)
    (page,) = state.ledger.pages().values()
    look(state)
    assert page.known is None
