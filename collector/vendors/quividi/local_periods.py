"""The periods of aggregated exports, on the clock of the places."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from collector.alignment import periods
from collector.instants import SECOND
from collector.model import Window
from collector.vendors.quividi.wire import parse_local
from collector.vendors.quividi.zones import local


class LocalPeriods:
    """The periods of one resolution in one time zone, counted from a day, the anchor."""

    def __init__(self, resolution: str, anchor: date, zone: ZoneInfo) -> None:
        self._resolution = resolution
        self._zone = zone
        self.alignment = periods(resolution, anchor, zone)

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """The first and the last local second of the window's periods.

        A change to winter time never cuts a period: the repeated local hour is requested once, as a whole.
        """
        return self._start(window.start), self._start(window.end) - SECOND

    def _start(self, cut: datetime) -> datetime:
        """The local start of the period that a cut starts.

        Where the clock is set forward at midnight, a day starts at one o'clock; its local start is still midnight.
        """
        return self.alignment.start_of(local(cut, self._zone))

    def parse(self, text: str, field: str, first: datetime, last: datetime) -> datetime | None:
        """The local start of a period; None if it is not between `first` and `last`.

        Raises ValueError, which names the field, unless a period starts then.
        """
        start = parse_local(text, field)
        if not first <= start <= last:
            return None
        if not self.alignment.is_start(start):
            raise ValueError(
                f"No period of {self._resolution} starts at {text[:40]}: set `anchor` in the stream's table to a day "
                f"on which one starts - at `$.{field}`"
            )
        return start
