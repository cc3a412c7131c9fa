"""The people whom footfall sensors count: everyone who is in front of a screen, and everyone who only passes by.

Those who watch are the viewers: VidiCenter links the two records of one person. Each visit has one person who watches,
and up to three who pass by at the same time.
"""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.simulator.world import Visit

MAX_LEAD_MS = 4000
"""A person is seen by the footfall sensor at most this long before the visit starts."""


class Person(Struct, frozen=True):
    """A person. The first person of a visit is the one who watches."""

    visit: Visit
    rank: int
    """0 for the person who watches, 1 to 3 for the others of the same visit."""

    @property
    def vr_id(self) -> int:
        return self.visit.number * 4 + self.rank + 1

    @property
    def start_ms(self) -> int:
        return self.visit.start_ms - self._lead_ms

    @property
    def presence_ms(self) -> int:
        """How long the person is present. Nobody is longer present than the one who watches."""
        whole_ms = self._lead_ms + self.visit.dwell_ms
        return max(100, whole_ms * (4 - self.rank) // 4)

    @property
    def watches(self) -> bool:
        return self.rank == 0

    @property
    def is_linked(self) -> bool:
        """Whether VidiCenter has recognised the person as a viewer: not for one viewer of four."""
        return self.watches and self.visit.number % 4 > 0

    @property
    def _lead_ms(self) -> int:
        return (self.visit.number * 37 + self.rank * 911) % MAX_LEAD_MS


def persons_of(visit: Visit) -> Iterator[Person]:
    """The persons of a visit. The person who watches comes first."""
    for rank in range(1 + visit.number % 4):
        yield Person(visit, rank)


def local_time(unix_ms: int, zone: ZoneInfo) -> datetime:
    """The local time, without a zone, cut to the second."""
    return datetime.fromtimestamp(unix_ms // 1000, zone).replace(tzinfo=None)


def link_time(unix_ms: int, zone: ZoneInfo, number: int) -> str:
    """The start of a linked record. One of three has microseconds."""
    local = local_time(unix_ms, zone)
    return f"{local:%Y-%m-%dT%H:%M:%S}" + (f".{unix_ms % 1000:03}000" if number % 3 == 0 else "")
