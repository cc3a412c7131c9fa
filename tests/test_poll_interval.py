"""How often a healthy stream is polled at the latest, and how old its watermark may be: alerts need both."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.alignment import ANCHOR, NO_TIME, Alignment, AnySecond, Snapshot, periods
from collector.model import MAX_FETCH_TIME, Policy
from collector.pipeline.plan import Cursors, Fetch, Wait, advanced, first_checkpoint, next_step


@pytest.mark.parametrize(("resolution", "days"), [("1h", 0), ("1d", 1), ("7d", 7), ("1M", 31), ("3M", 93)])
def test_no_cut_is_later_than_the_longest_period_after_the_last(resolution: str, days: int) -> None:
    alignment = periods(resolution, ANCHOR, ZoneInfo("UTC"))
    cut, lengths = alignment.floor(datetime(2026, 1, 1, tzinfo=UTC)), []
    for _ in range(40):
        lengths.append(alignment.after(cut) - cut)
        cut = alignment.after(cut)

    assert max(lengths) <= alignment.max_period
    assert (timedelta(days=days) or timedelta(hours=1)) == alignment.max_period


@pytest.mark.parametrize(
    ("interval", "alignment", "expected"),
    [
        (timedelta(minutes=5), Snapshot(), timedelta(minutes=5)),
        (timedelta(minutes=30), periods("1h", ANCHOR, ZoneInfo("Europe/Paris")), timedelta(hours=1)),
        (timedelta(hours=2), periods("1h", ANCHOR, ZoneInfo("Europe/Paris")), timedelta(hours=2)),
    ],
    ids=["snapshot", "periods", "polled more seldom than periods end"],
)
def test_a_stream_is_polled_at_its_interval_or_once_per_period(
    interval: timedelta, alignment: Alignment, expected: timedelta
) -> None:
    zero = timedelta(0)
    policy = Policy(
        interval=interval, settle=zero, allowed_lateness=zero, sweep_every=zero, span=interval, alignment=alignment
    )
    assert expected == policy.max_poll_interval


PARIS = ZoneInfo("Europe/Paris")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("interval", "settle", "alignment", "expected"),
    [
        (MINUTE, 2 * MINUTE, AnySecond(), 33 * MINUTE),
        (15 * MINUTE, 45 * MINUTE, AnySecond(), 90 * MINUTE),
        (5 * MINUTE, timedelta(0), Snapshot(), 35 * MINUTE),
        (30 * MINUTE, 45 * MINUTE, periods("1h", ANCHOR, PARIS), 3 * HOUR + 15 * MINUTE),
        (2 * HOUR, 45 * MINUTE, periods("1h", ANCHOR, PARIS), 5 * HOUR + 15 * MINUTE),
        (30 * MINUTE, HOUR, periods("1d", ANCHOR, PARIS), DAY + 2 * HOUR + 30 * MINUTE),
    ],
    ids=["sessions", "exports", "snapshots", "hours", "hours that are polled more seldom", "days"],
)
def test_a_healthy_stream_stays_below_its_freshness_target(
    interval: timedelta, settle: timedelta, alignment: Alignment, expected: timedelta
) -> None:
    """Its watermark is simulated over a week in which clocks are set back, with polls that take up to half an hour."""
    policy = Policy(
        interval=interval, settle=settle, allowed_lateness=DAY, sweep_every=DAY, span=7 * DAY, alignment=alignment
    )
    assert expected == policy.freshness_target
    assert oldest_watermark(policy) <= policy.freshness_target
    assert HOUR == structs.replace(policy, freshness=HOUR).freshness_target


def oldest_watermark(policy: Policy) -> timedelta:
    """The largest age of the watermark, of a stream that is up to date at the start of the week."""
    now = datetime(2026, 10, 21, tzinfo=UTC)
    end, checkpoint, cursors, oldest = now + 7 * DAY, first_checkpoint(now - 3 * DAY, policy), Cursors(due=now), NO_TIME
    checkpoint = structs.replace(checkpoint, watermark=policy.alignment.floor(now - policy.settle))
    while now < end:
        match next_step(checkpoint, policy, cursors, now):
            case Wait(until, cursors):
                now = until
            case Fetch() as step:
                checkpoint, cursors = advanced(checkpoint, step, policy, now)
                checkpoint = structs.replace(checkpoint, span=policy.span)
            case _:
                raise AssertionError
        oldest = max(oldest, now - checkpoint.watermark)
    return oldest + MAX_FETCH_TIME
