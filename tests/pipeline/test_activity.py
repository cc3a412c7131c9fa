"""The activity timeline of a stream: counts of the ledger by UTC cell, and the kind of each cell."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.alignment import Alignment, AnySecond, Snapshot, periods
from collector.instants import UNIX_EPOCH, UNIX_EPOCH_LOCAL
from collector.model import Checkpoint, DedupMode, Policy
from collector.pipeline.activity import activity_timeline
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.page import ENTRY, Chunk
from collector.pipeline.state import State, StateFormat
from collector.timeline import ActivityTimeline

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 20, 14, 23, 12, tzinfo=UTC)
PARIS, KATHMANDU, TROLL = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Antarctica/Troll")
SET_BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)  # clocks in Paris are set from 3:00 to 2:00
SET_FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)  # clocks in Paris are set from 2:00 to 3:00


def state_of(
    final: datetime, *, watermark: datetime | None = None, max_clock_offset: timedelta = timedelta(0)
) -> State:
    checkpoint = Checkpoint(UNIX_EPOCH, watermark or NOW, final, HOUR, NOW)
    return State("prefix", StateFormat(DedupMode.MULTISET, 1, max_clock_offset), checkpoint)


def add_records(state: State, start: datetime, zone: tzinfo = UTC, count: int = 1) -> None:
    """Add `count` records with this start to the ledger, as stored by a vendor whose clock is in `zone`."""
    local = start.astimezone(zone).replace(tzinfo=None, fold=0)
    vendor_local_s = (local - UNIX_EPOCH_LOCAL) // timedelta(seconds=1)
    state.ledger.add(vendor_local_s // PAGE_S, Chunk(bytes(ENTRY.size * count), vendor_local_s, 1))


def timeline_of(
    state: State,
    *,
    zone: tzinfo = UTC,
    alignment: Alignment | None = None,
    requested_until: datetime | None = None,
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
        requested_until,
        now,
    )
    assert found is not None
    return found


def edges(found: ActivityTimeline) -> list[datetime]:
    """Return the start of each cell and the end of the last one."""
    starts = [found.start]
    for repeats, length_s in found.lengths_s:
        for _ in range(repeats):
            starts.append(starts[-1] + timedelta(seconds=length_s))
    return starts


def counted(found: ActivityTimeline) -> dict[datetime, int]:
    """Return the count of each cell that has records, by the cell's start."""
    return {start: count for start, count in zip(edges(found), found.counts, strict=False) if count}


def cell_kinds(found: ActivityTimeline) -> list[str]:
    return [kind for repeats, kind in found.kinds for _ in range(repeats)]


def test_a_timeline_has_144_cells_of_ten_minutes_and_now_is_in_the_last() -> None:
    found = timeline_of(state_of(NOW - 2 * DAY))

    assert ([(144, 600)], 144, 144) == (found.lengths_s, len(found.counts), len(cell_kinds(found)))
    assert datetime(2026, 11, 19, 14, 30, tzinfo=UTC) == found.start
    assert datetime(2026, 11, 20, 14, 30, tzinfo=UTC) == edges(found)[-1]


def test_a_stream_without_a_checkpoint_has_no_timeline() -> None:
    state = State("prefix", StateFormat(DedupMode.MULTISET, 1, DAY))
    assert None is activity_timeline(
        state, Policy(interval=MINUTE, settle=MINUTE, allowed_lateness=DAY, sweep_every=HOUR, span=DAY), UTC, None, NOW
    )


def test_records_are_counted_in_the_cell_of_their_start() -> None:
    state = state_of(NOW - 2 * DAY)
    add_records(state, datetime(2026, 11, 20, 14, 19, 59, tzinfo=UTC), count=3)
    add_records(state, datetime(2026, 11, 20, 14, 20, tzinfo=UTC), count=2)
    add_records(state, datetime(2026, 11, 20, 14, 21, tzinfo=UTC))
    add_records(state, datetime(2026, 11, 19, 14, 29, tzinfo=UTC))  # before the first cell
    state.ledger.add(-5, Chunk(bytes(ENTRY.size), 10, 1))  # a page of rejects

    assert {
        datetime(2026, 11, 20, 14, 10, tzinfo=UTC): 3,
        datetime(2026, 11, 20, 14, 20, tzinfo=UTC): 3,
    } == counted(timeline_of(state))


def test_records_of_a_former_shard_are_counted_too() -> None:
    former, state = state_of(NOW - 2 * DAY), state_of(NOW - 2 * DAY)
    for each in (former, state):
        add_records(each, datetime(2026, 11, 20, 14, 10, tzinfo=UTC), count=2)
    add_records(former, datetime(2026, 11, 20, 9, tzinfo=UTC))
    state.inherited = [former.ledger]

    assert {
        datetime(2026, 11, 20, 9, tzinfo=UTC): 1,
        datetime(2026, 11, 20, 14, 10, tzinfo=UTC): 4,
    } == counted(timeline_of(state))


def test_the_kind_of_each_cell() -> None:
    state = state_of(NOW - 2 * HOUR, watermark=NOW - HOUR)
    found = timeline_of(state, requested_until=NOW - 30 * MINUTE)

    # Final is 12:23, the watermark 13:23, requested until 13:53. A cell is final or published only as a whole.
    assert [(131, "final"), (6, "published"), (4, "partly"), (3, "waiting")] == found.kinds


def test_before_the_first_request_only_the_cell_of_the_watermark_is_partly_fetched() -> None:
    found = timeline_of(state_of(NOW - 2 * DAY, watermark=NOW - HOUR))
    assert [(137, "published"), (1, "partly"), (6, "waiting")] == found.kinds


def test_cells_before_since_and_after_until_are_outside() -> None:
    checkpoint = Checkpoint(NOW - 20 * HOUR, NOW - 9 * HOUR, NOW - 9 * HOUR, HOUR, NOW)
    policy = Policy(
        interval=MINUTE, settle=MINUTE, allowed_lateness=DAY, sweep_every=HOUR, span=DAY, until=NOW - 10 * HOUR
    )
    found = activity_timeline(
        State("prefix", StateFormat(DedupMode.MULTISET, 1, DAY), checkpoint), policy, UTC, None, NOW
    )

    assert found is not None
    assert [(23, "outside"), (61, "final"), (60, "outside")] == found.kinds


def test_the_count_of_a_cell_that_the_ledger_has_dropped_is_unknown() -> None:
    state = state_of(NOW - 2 * HOUR)  # 12:23:12
    add_records(state, NOW - 3 * HOUR, count=7)  # kept, since its record is long
    counts = timeline_of(state).counts

    assert 7 == counts[125]
    assert [None] * 125 + [None] * 6 == [*counts[:125], *counts[126:132]]
    assert [0] * 12 == counts[132:]


def test_the_ledger_keeps_pages_longer_by_the_maximum_clock_offset() -> None:
    state = state_of(NOW - 2 * HOUR, max_clock_offset=DAY)
    assert [0] * 144 == timeline_of(state, zone=PARIS).counts


@pytest.mark.parametrize("zone", [UTC, PARIS, KATHMANDU, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")])
def test_records_stored_by_the_vendors_clock_are_counted_in_the_cell_of_their_utc_start(zone: tzinfo) -> None:
    state = state_of(NOW - 4 * DAY, max_clock_offset=DAY)
    moments = [NOW - each * timedelta(minutes=97) for each in range(14)]
    for moment in moments:
        add_records(state, moment, zone)
    found = timeline_of(state, zone=zone)

    assert 14 == sum(counted(found).values())
    for moment in moments:
        assert any(start <= moment < start + 10 * MINUTE for start in counted(found))


def test_cells_are_aligned_with_the_pages_of_a_zone_whose_offset_is_a_quarter_of_an_hour() -> None:
    found = timeline_of(state_of(NOW - 4 * DAY, max_clock_offset=DAY), zone=KATHMANDU)  # 20:08 in Kathmandu
    assert datetime(2026, 11, 20, 14, 15, tzinfo=UTC) == edges(found)[-2]


def test_a_repeated_local_hour_is_counted_in_its_first_occurrence_and_unknown_in_its_second() -> None:
    state = state_of(SET_BACK - 4 * DAY, max_clock_offset=DAY)
    for minutes in (-70, -55, -5, 5, 55, 65):  # before, twice in each occurrence, after
        add_records(state, SET_BACK + minutes * MINUTE, PARIS)
    found = timeline_of(state, zone=PARIS, now=SET_BACK + 3 * HOUR)

    hour = {-60: 2, -10: 2}  # local times 2:05 and 2:55, twice each
    assert {SET_BACK + minutes * MINUTE: count for minutes, count in {-70: 1, **hour, 60: 1}.items()} == counted(found)
    unknown = [start for start, count in zip(edges(found), found.counts, strict=False) if count is None]
    assert [SET_BACK + each * 10 * MINUTE for each in range(6)] == unknown


def test_a_skipped_local_hour_leaves_no_unknown_cell() -> None:
    state = state_of(SET_FORWARD - 4 * DAY, max_clock_offset=DAY)
    add_records(state, SET_FORWARD - MINUTE, PARIS)
    add_records(state, SET_FORWARD, PARIS, 2)
    found = timeline_of(state, zone=PARIS, now=SET_FORWARD + 3 * HOUR)

    assert {SET_FORWARD - 10 * MINUTE: 1, SET_FORWARD: 2} == counted(found)
    assert None not in found.counts


@pytest.mark.parametrize(
    ("resolution", "number", "length"),
    [("5m", 144, 600), ("10m", 144, 600), ("15m", 96, 900), ("1h", 24, 3600), ("1d", 12, 86400), ("7d", 12, 7 * 86400)],
)
def test_cells_are_periods_if_periods_are_longer_than_pages(resolution: str, number: int, length: int) -> None:
    alignment = periods(resolution, date(2018, 1, 1), ZoneInfo("UTC"))
    found = timeline_of(state_of(NOW - 200 * DAY), alignment=alignment)

    assert [(number, length)] == found.lengths_s
    assert edges(found)[-2] <= NOW < edges(found)[-1]


def test_snapshots_have_cells_of_ten_minutes() -> None:
    found = timeline_of(state_of(NOW - 4 * DAY), alignment=Snapshot())

    assert [(144, 600)] == found.lengths_s


def test_cells_of_months_have_the_length_of_the_month() -> None:
    alignment = periods("1M", date(2018, 1, 1), PARIS)
    state = state_of(NOW - 200 * DAY, max_clock_offset=DAY)
    add_records(state, datetime(2026, 9, 30, 22, tzinfo=UTC), PARIS, 9)  # 1 October, 0:00 in Paris
    found = timeline_of(state, zone=PARIS, alignment=alignment)

    assert 12 == len(found.counts)
    assert {datetime(2026, 9, 30, 22, tzinfo=UTC): 9} == counted(found)
    assert datetime(2026, 10, 31, 23, tzinfo=UTC) == edges(found)[-2]


def test_periods_in_a_repeated_local_hour_are_one_cell() -> None:
    alignment = periods("30m", date(2018, 1, 1), PARIS)
    state = state_of(SET_BACK - 4 * DAY, max_clock_offset=DAY)
    add_records(state, SET_BACK - HOUR, PARIS)
    add_records(state, SET_BACK - 30 * MINUTE, PARIS)
    found = timeline_of(state, zone=PARIS, alignment=alignment, now=SET_BACK + 3 * HOUR)

    assert {SET_BACK - HOUR: 2} == counted(found)
    assert [1] == [repeats for repeats, length_s in found.lengths_s if length_s == 7200]


@given(
    st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis requires naive bounds
    st.sampled_from([PARIS, KATHMANDU, TROLL, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Africa/Cairo")]),
    st.sampled_from([None, "15m", "1h", "1d", "1M"]),
    st.lists(st.integers(0, 24 * 60 - 20), max_size=20),
)
def test_in_any_zone_each_record_is_counted_once_and_cells_are_contiguous(
    now: datetime, zone: ZoneInfo, resolution: str | None, minutes: list[int]
) -> None:
    alignment: Alignment = AnySecond() if resolution is None else periods(resolution, date(2018, 1, 1), zone)
    state = state_of(now - 800 * DAY, max_clock_offset=DAY)
    for minute in minutes:
        add_records(state, alignment.floor(now - minute * MINUTE), zone)
    found = timeline_of(state, zone=zone, alignment=alignment, now=now)

    cuts = edges(found)
    assert all(before < after for before, after in pairwise(cuts))
    assert cuts[-2] <= now < cuts[-1]
    assert len(cuts) - 1 == len(found.counts) == len(cell_kinds(found))
    # On a day on which clocks are set back, records of the first hours may be stored as an hour earlier.
    early = sum(alignment.floor(now - each * MINUTE) < cuts[0] + 3 * HOUR for each in minutes)
    assert len(minutes) - early <= sum(counted(found).values()) <= len(minutes)


def test_pages_are_counted_without_being_opened() -> None:
    state = state_of(NOW - 2 * DAY)
    add_records(state, NOW, count=5)
    (page,) = state.ledger.pages().values()
    timeline_of(state)
    assert page.known is None
