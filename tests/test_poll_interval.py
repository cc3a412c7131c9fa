"""How often a healthy stream is polled at the latest: the alerts derive their limits of staleness from it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.alignment import ANCHOR, Alignment, Snapshot, periods
from collector.model import Policy


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
