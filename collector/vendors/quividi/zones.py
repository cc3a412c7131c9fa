"""Local time without a zone, which is all that the vendor writes, and UTC.

*Unstated* in the vendor's document: `start`, `end` and `period_start` are local to a location; public clients say so.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.instants import SECOND
from collector.model import Window

MAX_STEP = timedelta(hours=3)
"""More than any clock is set back at once; it may be set forward by any time."""


class Instant(Struct, frozen=True, gc=False):
    """What a local time means."""

    utc: datetime
    offset: timedelta
    ambiguous: bool
    """The hour that a change to winter time repeats: which of the two is meant is not known, and the first is taken."""


def instant(local: datetime, zone: ZoneInfo) -> Instant:
    """The instant of a local time without a zone. Raises OverflowError at the ends of the calendar.

    A local time that a change to summer time leaves out is taken by the offset before it, as if the clock were not set.
    """
    first = local.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0)
    second = local.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    return Instant((local - first).replace(tzinfo=UTC), first, ambiguous=second < first)


def earliest(local: datetime, zone: ZoneInfo) -> datetime:
    """The earliest instant of which the local time, or the last of a window's bounds, may be this one."""
    before = local - min(MAX_STEP, local - datetime.min)  # noqa: DTZ901 - local
    offsets = (moment.replace(tzinfo=zone, fold=0).utcoffset() or timedelta(0) for moment in (before, local))
    return (local - max(offsets)).replace(tzinfo=UTC)


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    """The local time, without a zone, of an instant."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def bounds(window: Window, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first and the last local second of a window, both in it; they cover the hour that a window may see twice.

    When the clock is set back in the window, the local time that belongs to its start is not the earliest one, or that
    of its end not the latest: so the offset a while after the start, and a while before the end, is looked at too.
    """
    last = max(window.start, window.end - SECOND)
    soon, lately = min(window.start + MAX_STEP, last), max(last - MAX_STEP, window.start)
    first_offset = min(_offset(window.start, zone), _offset(soon, zone))
    last_offset = max(_offset(last, zone), _offset(lately, zone))
    return (window.start + first_offset).replace(tzinfo=None), (last + last_offset).replace(tzinfo=None)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
