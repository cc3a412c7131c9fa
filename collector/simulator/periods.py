"""The periods of aggregated exports, in local time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

STEPS = {
    "5m": timedelta(minutes=5),
    "10m": timedelta(minutes=10),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
HOUR, MONTH = "1h", "1M"
RESOLUTIONS = frozenset({*STEPS, MONTH})
ANCHOR = datetime(2018, 1, 1)  # noqa: DTZ001 - local
"""A Monday, from which periods of several days are counted."""


def periods(resolution: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Local start and end of the periods that overlap the seconds from first to last."""
    start = floor(resolution, first)
    while start <= last:
        end = _next(resolution, start)
        yield start, end
        start = end


def floor(resolution: str, local: datetime) -> datetime:
    """The local start of the period that contains a local time."""
    if resolution == MONTH:
        return local.replace(day=1, hour=0, minute=0, second=0)
    return local - (local - ANCHOR) % STEPS[resolution]


def _next(resolution: str, start: datetime) -> datetime:
    if resolution == MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + STEPS[resolution]
