"""Local time in requests: the argument `tzo`, and periods of a local calendar that have one offset from UTC each.

Source: the vendor's document, "Unified device statistics request". `tzo` is an integer; by its examples, a number of
hours. One request has one `tzo`, which applies to its bounds and to the names of its dates. A zone with summer time has
two offsets a year, so its periods are cut where the offset changes.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.alignment import Periods
from collector.instants import SECOND, floor_second

HOUR = timedelta(hours=1)
_CHECKED = (datetime(2019, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC))
"""A zone must have offsets of whole hours in these years. In 2018, the last zone changed to whole hours; in 2037, the
single changes in the files of zones end, and their last rule repeats every year."""
_CHECK_STEP = timedelta(days=7)
"""No offset lasts for less time: the shortest one is that of Morocco in the month of Ramadan."""
_SEARCH_STEP = timedelta(days=1)


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    """Local time minus UTC."""
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def whole_hours(offset: timedelta) -> int | None:
    """The offset as `tzo` states it; None if it is no whole number of hours."""
    hours, rest = divmod(offset, HOUR)
    return None if rest else hours


def check_whole_hours(name: str) -> str:
    """The name of a zone, if `tzo` can state all its offsets; else raises ValueError.

    All, since some zones have half hours during a part of the year: Australia/Lord_Howe in winter.
    """
    zone, (instant, end) = ZoneInfo(name), _CHECKED
    while instant < end:
        offset = offset_at(zone, instant)
        if whole_hours(offset) is None:
            raise ValueError(
                f"the offset of {name} from UTC is {format_offset(offset)} on {instant:%Y-%m-%d}, and the vendor "
                "accepts whole hours only (choose a zone of whole hours, or leave the key out: dates are then in UTC)"
            )
        instant += _CHECK_STEP
    return name


def format_offset(offset: timedelta) -> str:
    """The offset as `+05:30`."""
    sign, minutes = "-" if offset < timedelta(0) else "+", abs(offset) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"


class OffsetPeriods(Struct, frozen=True):
    """Periods of a local calendar, each cut into two where the zone's offset changes.

    So every period has a single offset. An hour of local time that occurs twice is two periods, or the last hour of one
    period and the first of the next.
    """

    periods: Periods

    is_exact = True

    @property
    def max_period(self) -> timedelta:
        return self.periods.max_period

    def floor(self, instant: datetime) -> datetime:
        zone, instant = self.periods.zone, floor_second(instant)
        offset = offset_at(zone, instant)
        start = (self.periods.start_of((instant + offset).replace(tzinfo=None)) - offset).replace(tzinfo=UTC)
        later = instant
        while later > start:
            earlier = max(later - _SEARCH_STEP, start)
            if offset_at(zone, earlier) != offset:
                return _change(zone, earlier, later)
            later = earlier
        return start

    def after(self, instant: datetime) -> datetime:
        zone, instant = self.periods.zone, floor_second(instant)
        offset = offset_at(zone, instant)
        end = (self.periods.end_of((instant + offset).replace(tzinfo=None)) - offset).replace(tzinfo=UTC)
        earlier = instant
        while earlier < end:
            later = min(earlier + _SEARCH_STEP, end)
            if offset_at(zone, later) != offset:
                return _change(zone, earlier, later)
            earlier = later
        return end

    def min_end(self, start: datetime) -> datetime:
        return self.after(start)


def _change(zone: ZoneInfo, earlier: datetime, later: datetime) -> datetime:
    """The first second with the offset of `later`. Both are whole seconds, and the offset changes once between them."""
    offset = offset_at(zone, later)
    while later - earlier > SECOND:
        middle = floor_second(earlier + (later - earlier) / 2)
        if offset_at(zone, middle) == offset:
            later = middle
        else:
            earlier = middle
    return later
