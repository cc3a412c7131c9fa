"""Grids on which a vendor's answers lie, where that is not every second: snapshots, and periods of a local calendar."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.model import SECOND, floor_second

MONTHS_A_YEAR = 12
MAX_MONTH = timedelta(days=31)
_END = datetime.max.replace(tzinfo=UTC, microsecond=0)


class Snapshot(Struct, frozen=True):
    """For what is only ever asked for as it is now: however long a window is, one answer says all of it."""

    is_exact = True

    def floor(self, instant: datetime) -> datetime:
        return floor_second(instant)

    def after(self, instant: datetime) -> datetime:
        return floor_second(instant) + SECOND

    def min_end(self, start: datetime) -> datetime:  # noqa: ARG002 - of a grid
        return _END


class Periods(Struct, frozen=True):
    """Periods of one length in the local time of a zone, counted from an anchor.

    Where clocks are set back, a stretch of local time comes twice. Whether the vendor counts it once or twice is
    unstated, so there is no cut within: the periods of both passes are asked for together, when both are over.
    """

    zone: ZoneInfo
    anchor: datetime
    """Local, without a zone: a period begins there."""
    step: timedelta = timedelta(0)
    months: int = 0
    """Calendar months, in place of a step; the anchor's day is then one that every month has."""

    is_exact = True

    def floor(self, instant: datetime) -> datetime:
        nth = self._nth(instant.astimezone(self.zone).replace(tzinfo=None, fold=0))
        while not self._is_cut(nth) or self._instant(nth) > instant:
            nth -= 1
        return self._instant(nth)

    def after(self, instant: datetime) -> datetime:
        nth = self._nth(instant.astimezone(self.zone).replace(tzinfo=None, fold=0)) - 1
        while not self._is_cut(nth) or self._instant(nth) <= instant:
            nth += 1
        return self._instant(nth)

    def min_end(self, start: datetime) -> datetime:
        return self.after(start)

    def starts_at(self, local: datetime) -> bool:
        """Whether a period begins at this local time."""
        return self.begin_of(local) == local

    def begin_of(self, local: datetime) -> datetime:
        """The local begin of the period that this local time lies in."""
        return self.local(self._nth(local))

    def end_of(self, local: datetime) -> datetime:
        """The local end of the period that begins at this local time."""
        return self.local(self._nth(local) + 1)

    def local(self, nth: int) -> datetime:
        """The local begin of the n-th period from the anchor on."""
        if not self.months:
            return self.anchor + nth * self.step
        year, month = divmod(self.anchor.month - 1 + nth * self.months, MONTHS_A_YEAR)
        return self.anchor.replace(year=self.anchor.year + year, month=month + 1)

    def _nth(self, local: datetime) -> int:
        """Which period a local time lies in."""
        if not self.months:
            return (local - self.anchor) // self.step
        months = (local.year - self.anchor.year) * MONTHS_A_YEAR + local.month - self.anchor.month
        nth = months // self.months
        return nth if self.local(nth) <= local else nth - 1

    def _instant(self, nth: int) -> datetime:
        local = self.local(nth).replace(tzinfo=self.zone)
        return local.astimezone(UTC)

    def _is_cut(self, nth: int) -> bool:
        """Not within a stretch that comes twice: at its begin, or outside."""
        begin = self.local(nth)
        return not (self._comes_twice(begin) and self._comes_twice(begin - SECOND))

    def _comes_twice(self, local: datetime) -> bool:
        first, second = (local.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        return first is not None and second is not None and second < first


class Resolution(Struct, frozen=True):
    """How long a period is: a step, or calendar months."""

    step: timedelta = timedelta(0)
    months: int = 0

    @property
    def longest(self) -> timedelta:
        return self.step or self.months * MAX_MONTH


RESOLUTIONS: Mapping[str, Resolution] = {
    "5m": Resolution(timedelta(minutes=5)),
    "10m": Resolution(timedelta(minutes=10)),
    "15m": Resolution(timedelta(minutes=15)),
    "30m": Resolution(timedelta(minutes=30)),
    "1h": Resolution(timedelta(hours=1)),
    "1d": Resolution(timedelta(days=1)),
    "7d": Resolution(timedelta(days=7)),
    "30d": Resolution(timedelta(days=30)),
    "1M": Resolution(months=1),
    "3M": Resolution(months=3),
    "6M": Resolution(months=6),
}
"""By the name that configurations and events have for it."""
ANCHOR = date(2018, 1, 1)
"""A Monday, and the first of a month: where most people begin to count."""
ANCHOR_DAYS = 28
"""Days that every month has."""


def periods(resolution: str, anchor: date, zone: ZoneInfo) -> Periods:
    length = RESOLUTIONS[resolution]
    return Periods(zone, datetime.combine(anchor, time()), length.step, length.months)
