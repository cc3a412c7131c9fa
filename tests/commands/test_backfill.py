"""A backfill is planned so that nothing is published twice."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.alignment import Alignment, AnySecond, Periods
from collector.commands.backfill import Known, known_of, plan, require_cut, require_cuts
from collector.errors import UserError
from collector.instants import SECOND
from collector.model import Account, Backfill, Checkpoint, Window
from collector.pipeline.backfills import backfill_key, encode_backfill, encode_history, history_key
from collector.pipeline.state import stream_prefix
from collector.pipeline.state_records import encode_checkpoint
from tests.simulated import START

MARCH = 3
PARIS, NEW_YORK = "Europe/Paris", "America/New_York"
HOURS = Periods(ZoneInfo("Europe/Berlin"), datetime(2018, 1, 1), timedelta(hours=1))  # noqa: DTZ001 - local
REPEATED = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""In the hour that occurs twice in Berlin, where no period starts."""


def day(number: int) -> datetime:
    return datetime(2026, MARCH, number, tzinfo=UTC)


def known(
    *,
    since: int | None = 20,
    requests: tuple[Backfill, ...] = (),
    history: tuple[tuple[int, int], ...] = (),
    zones: str = "",
) -> Known:
    published = [Window(day(first), day(last)) for first, last in history]
    return Known("mall sessions", None if since is None else day(since), requests, published, zones)


def request(first: int, last: int, *, is_cancelled: bool = False, zones: str = "") -> Backfill:
    return Backfill(day(first), day(last), START, "anna@host", is_cancelled=is_cancelled, zones=zones)


@pytest.mark.parametrize(
    ("history", "end"),
    [
        ((), 20),
        (((15, 20),), 15),
        (((10, 15), (15, 20)), 10),
        (((5, 8),), 20),
        (((12, 14),), 12),  # from 14 on nothing is published, up to the stream's start
        (((5, 9), (12, 14), (16, 20)), 12),
    ],
)
def test_it_ends_where_the_next_published_data_starts(history: tuple[tuple[int, int], ...], end: int) -> None:
    planned = plan(known(history=history), day(9), None, START)
    assert (day(9), day(end)) == (planned.start, planned.end)


@pytest.mark.parametrize(
    ("first", "last", "state", "code"),
    [
        (1, 10, known(since=None), "no_state"),
        (10, 10, known(), "empty_interval"),
        (20, None, known(), "empty_interval"),
        (1, 21, known(), "not_older"),
        (1, 10, known(history=((5, 8),)), "published"),
        (6, 7, known(history=((5, 8),)), "published"),
        (1, 6, known(history=((5, 8),)), "published"),
        (5, None, known(history=((5, 8),)), "published"),
        (6, None, known(history=((5, 8), (15, 20))), "published"),
        (1, 3, known(requests=(request(10, 12),)), "backfill_runs"),
        (10, 12, known(requests=(request(10, 12),)), "backfill_runs"),
        (9, 11, known(requests=(request(10, 12, is_cancelled=True),)), "backfill_cancelled"),
    ],
)
def test_what_is_published_or_requested_is_refused(first: int, last: int | None, state: Known, code: str) -> None:
    with pytest.raises(UserError) as raised:
        plan(state, day(first), None if last is None else day(last), START)
    assert code == raised.value.code


@pytest.mark.parametrize(
    ("first", "last", "state"),
    [
        (1, 5, known(history=((5, 8),))),
        (8, 20, known(history=((5, 8),))),
        (10, 12, known(requests=(request(10, 12, is_cancelled=True),))),
        (12, 14, known(requests=(request(10, 12, is_cancelled=True),))),
    ],
)
def test_what_touches_it_is_accepted(first: int, last: int, state: Known) -> None:
    planned = plan(state, day(first), day(last), START)
    assert (day(first), day(last), False) == (planned.start, planned.end, planned.is_cancelled)


@pytest.mark.parametrize(
    "state",
    [
        known(history=((5, 8),), zones=PARIS),
        known(requests=(request(10, 12, zones=PARIS),)),
        known(requests=(request(10, 12, is_cancelled=True, zones=PARIS),)),
    ],
)
@pytest.mark.parametrize(("first", "last"), [(1, 3), (8, 20), (10, 12)])
def test_beside_a_backfill_with_other_time_zones_none_is_accepted(state: Known, first: int, last: int) -> None:
    with pytest.raises(UserError, match="separate source") as raised:
        plan(state, day(first), day(last), START, NEW_YORK)
    assert "other_zones" == raised.value.code
    assert f"{PARIS}; the source now has {NEW_YORK}" in str(raised.value)


@pytest.mark.parametrize("zones", ["", NEW_YORK])
def test_a_request_stores_the_time_zones_of_its_source(zones: str) -> None:
    cancelled = request(10, 12, is_cancelled=True, zones=zones)
    planned = plan(known(requests=(cancelled,), history=((5, 8),), zones=zones), day(10), day(12), START, NEW_YORK)
    assert NEW_YORK == planned.zones


def test_a_stream_of_several_zones_starts_where_its_earliest_shard_does() -> None:
    account = Account("quividi", "anna")
    prefix, pairs = stream_prefix(account, "mall", "viewers"), dict[bytes, bytes]()
    for name, since in (("viewers", 21), ("viewers@Asia/Tokyo", 20), ("viewers~20260301T000000Z", 1), ("gate", 2)):
        start = day(since)
        checkpoint = Checkpoint(start, start, start, span=day(2) - day(1), swept_at=start)
        pairs[stream_prefix(account, "mall", name).encode()] = encode_checkpoint(checkpoint)
    pairs[backfill_key(prefix, day(1))] = encode_backfill(request(1, 3))
    pairs[history_key(prefix)] = encode_history([], Window(day(3), day(5)), PARIS)

    found = known_of("mall viewers", prefix, pairs)

    assert day(20) == found.since
    assert [request(1, 3)] == found.requests
    assert [Window(day(3), day(5))] == found.history
    assert PARIS == found.history_zones


@pytest.mark.parametrize(
    ("alignment", "instant", "is_cut"),
    [
        (AnySecond(), START + SECOND, True),
        (HOURS, START, True),
        (HOURS, START + SECOND, False),
        (HOURS, REPEATED, False),
    ],
)
def test_a_backfill_of_periods_starts_and_ends_with_one(alignment: Alignment, instant: datetime, is_cut: bool) -> None:
    with nullcontext() if is_cut else pytest.raises(UserError, match="no period"):
        require_cut("--from", instant, alignment)


def test_both_ends_are_reported_if_no_period_starts_at_them() -> None:
    with pytest.raises(UserError, match=r"--from: .*\n--to: ") as raised:
        require_cuts(START + SECOND, REPEATED, HOURS)
    assert "not_a_cut" == raised.value.code
    require_cuts(START, None, HOURS)
