"""Where a stream's windows may be cut: at any second, at period boundaries of a local calendar, or nowhere."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.instants import SECOND, floor_second

MONTHS_PER_YEAR = 12
MAX_MONTH = timedelta(days=31)
MIN_SPAN = timedelta(minutes=1)
"""No window is split below it: when one minute of one account exceeds the limits, an operator has to decide."""
NO_TIME = timedelta(0)
_END = datetime.max.replace(tzinfo=UTC, microsecond=0)


class Alignment(Protocol):
    """Where a stream's windows may be cut."""

    @property
    def is_exact(self) -> bool:
        """Whether a window selects exactly the records that lie in it, so that it needs no margin."""
        ...

    @property
    def max_period(self) -> timedelta:
        """The longest time between two cuts, apart from the hour that occurs twice when clocks are set back."""
        ...

    def floor(self, instant: datetime) -> datetime:
        """The last cut that is not after the instant."""
        ...

    def after(self, instant: datetime) -> datetime:
        """The first cut after the instant."""
        ...

    def min_end(self, start: datetime) -> datetime:
        """The end of the smallest window that starts at the given cut."""
        ...

    def __hash__(self) -> int: ...


class AnySecond(Struct, frozen=True):
    """Any whole second. How the vendor selects by a window, and on which side of a cut a record falls, is not known."""

    is_exact = False
    max_period = SECOND

    def floor(self, instant: datetime) -> datetime:
        return floor_second(instant)

    def after(self, instant: datetime) -> datetime:
        return floor_second(instant) + SECOND

    def min_end(self, start: datetime) -> datetime:
        return start + MIN_SPAN


class Snapshot(Struct, frozen=True):
    """For data that can be fetched only as it is now: one response covers a window of any length."""

    is_exact = True
    max_period = SECOND

    def floor(self, instant: datetime) -> datetime:
        return floor_second(instant)

    def after(self, instant: datetime) -> datetime:
        return floor_second(instant) + SECOND

    def min_end(self, start: datetime) -> datetime:  # noqa: ARG002 - the protocol's signature
        return _END


class Periods(Struct, frozen=True):
    """Periods of one length in the local time of a zone, counted from an anchor.

    When clocks are set back, an hour of local time occurs twice. The vendors do not document whether they count it once
    or twice, so there is no cut within it: the periods of both passes are fetched together, once both are over.
    """

    zone: ZoneInfo
    anchor: datetime
    """Local time without a zone: the start of a period."""
    step: timedelta = timedelta(0)
    months: int = 0
    """Length in calendar months, instead of a step. The anchor's day must then exist in every month."""

    is_exact = True

    @property
    def max_period(self) -> timedelta:
        return self.step or self.months * MAX_MONTH

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

    def is_start(self, local: datetime) -> bool:
        """Whether a period starts at this local time."""
        return self.start_of(local) == local

    def start_of(self, local: datetime) -> datetime:
        """The local start of the period that contains this local time."""
        return self.local(self._nth(local))

    def end_of(self, local: datetime) -> datetime:
        """The local end of the period that starts at this local time."""
        return self.local(self._nth(local) + 1)

    def local(self, nth: int) -> datetime:
        """The local start of the n-th period, counted from the anchor."""
        if not self.months:
            return self.anchor + nth * self.step
        year, month = divmod(self.anchor.month - 1 + nth * self.months, MONTHS_PER_YEAR)
        return self.anchor.replace(year=self.anchor.year + year, month=month + 1)

    def _nth(self, local: datetime) -> int:
        """The number of the period that contains a local time."""
        if not self.months:
            return (local - self.anchor) // self.step
        months = (local.year - self.anchor.year) * MONTHS_PER_YEAR + local.month - self.anchor.month
        nth = months // self.months
        return nth if self.local(nth) <= local else nth - 1

    def _instant(self, nth: int) -> datetime:
        """The instant at which the n-th period starts.

        A local start that does not exist, because clocks are set forward over it, is the instant of that change: so the
        periods within the missing hour are empty, and no other period is longer than its step.
        """
        local = self.local(nth)
        before, after = (local.replace(tzinfo=self.zone, fold=fold).utcoffset() or NO_TIME for fold in (0, 1))
        start = (local - before).replace(tzinfo=UTC)
        if before >= after:
            return start
        earlier = (local - after).replace(tzinfo=UTC)
        while start - earlier > SECOND:
            middle = floor_second(earlier + (start - earlier) / 2)
            if middle.astimezone(self.zone).utcoffset() == after:
                start = middle
            else:
                earlier = middle
        return start

    def _is_cut(self, nth: int) -> bool:
        """Whether the period starts outside local time that occurs twice, or exactly where that begins."""
        start = self.local(nth)
        return not (self._is_repeated(start) and self._is_repeated(start - SECOND))

    def _is_repeated(self, local: datetime) -> bool:
        first, second = (local.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        return first is not None and second is not None and second < first


class Resolution(Struct, frozen=True):
    """The length of a period: a fixed step, or calendar months."""

    step: timedelta = timedelta(0)
    months: int = 0

    @property
    def max_length(self) -> timedelta:
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
"""By the name used in configurations and events."""
ANCHOR = date(2018, 1, 1)
"""The default anchor: a Monday, and the first of a month."""
ANCHOR_DAYS = 28
"""Days that exist in every month: the anchor of monthly periods must be one of them."""


def periods(resolution: str, anchor: date, zone: ZoneInfo) -> Periods:
    """The periods of a named resolution, which start at local midnight of the anchor day. Raises KeyError."""
    length = RESOLUTIONS[resolution]
    return Periods(zone, datetime.combine(anchor, time()), length.step, length.months)
