"""Conversion between UTC and local time without a zone, which is all that the vendor writes.

The vendor's document does not state in which zone `start`, `end` and `period_start` are. Public clients treat them as
local to the location.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.instants import SECOND
from collector.model import Window

MAX_STEP_BACK = timedelta(hours=3)
"""More than any clock is set back at once. It may be set forward by any amount."""


class Instant(Struct, frozen=True, gc=False):
    """The instant of a local time."""

    utc: datetime
    offset: timedelta
    ambiguous: bool
    """Whether the local time occurs twice, at the change to winter time. `utc` is the first occurrence."""


def instant(local: datetime, zone: ZoneInfo) -> Instant:
    """The instant of a local time without a zone. Raises OverflowError at the ends of the calendar.

    A local time that the change to summer time skips is converted with the offset before the change.
    """
    first = local.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    second = local.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    return Instant((local - first).replace(tzinfo=UTC), first, ambiguous=second < first)


def earliest(local: datetime, zone: ZoneInfo) -> datetime:
    """The earliest instant that this local time may stand for, also if it is the last of the `bounds` of a window."""
    before = local - min(MAX_STEP_BACK, local - datetime.min)  # noqa: DTZ901 - local
    offsets = (each.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0) for each in (before, local))
    return (local - max(offsets)).replace(tzinfo=UTC)


def local(instant: datetime, zone: ZoneInfo) -> datetime:
    """The local time of an instant, without a zone."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def bounds(window: Window, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last local second of a window, both inclusive. All local times in the window are between them.

    If the clock is set back within the window, the local time at its start may not be the earliest in it, or the local
    time at its end the latest. The offsets some hours after the start and before the end are therefore considered too.
    """
    last = max(window.start, window.end - SECOND)
    after_start, before_end = min(window.start + MAX_STEP_BACK, last), max(last - MAX_STEP_BACK, window.start)
    first_offset = min(_offset(window.start, zone), _offset(after_start, zone))
    last_offset = max(_offset(last, zone), _offset(before_end, zone))
    return (window.start + first_offset).replace(tzinfo=None), (last + last_offset).replace(tzinfo=None)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
