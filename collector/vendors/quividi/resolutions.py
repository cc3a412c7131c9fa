"""How long the periods of an aggregate are.

Source: the vendor's document, "Mandatory arguments". From where its longer periods are counted is unstated: hence the
anchor, which is a setting.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.grid import Periods

FINEST = "finest"
ANCHOR = date(2018, 1, 1)
"""A Monday, and the first of a month: where most people begin to count."""
ANCHOR_DAYS = 28
"""Days that every month has."""
LONGEST_MONTH = timedelta(days=31)


class Resolution(Struct, frozen=True):
    """A step, or calendar months."""

    step: timedelta = timedelta(0)
    months: int = 0

    @property
    def longest(self) -> timedelta:
        return self.step or self.months * LONGEST_MONTH


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
}
"""Those of aggregates, by the vendor's name."""


def periods(resolution: str, anchor: date, zone: ZoneInfo) -> Periods:
    length = RESOLUTIONS[resolution]
    return Periods(zone, datetime.combine(anchor, time()), length.step, length.months)
