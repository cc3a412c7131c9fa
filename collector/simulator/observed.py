"""What the boxes of the simulated VidiCenter have uploaded of a place and a span of time."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.simulator.export_request import ExportRequest
from collector.simulator.persons import Person
from collector.simulator.rules import Rules
from collector.simulator.vehicles import Vehicle
from collector.simulator.world import Visit


class Observed(Struct, frozen=True):
    """What was seen in one period of an aggregated export, or in the window of one at the resolution `finest`."""

    seed: int
    rules: Rules
    request: ExportRequest
    place: int
    """The location or the site; 0 in exports of all places together."""
    places: Sequence[int]
    """The locations."""
    start: datetime
    """The local start of the period or window."""
    period_s: int
    """The length of the period."""
    has_data: bool = True
    """Whether the period is uploaded. If not, the rows only show which numbers are null."""
    visits: Sequence[Visit] = ()
    """A visit with a twin is twice in it."""
    persons: Sequence[Person] = ()
    vehicles: Sequence[Vehicle] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The zone of local times. The locations of a site have one zone."""
        return self.rules.zone_of(self.places[0])

    @property
    def times(self) -> tuple[str, str]:
        """The names of dwell and attention times."""
        if self.rules.has_old_names:
            return "dwell_time", "attention_time"
        return "dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"

    @property
    def duration(self) -> float:
        """How long was observed, in seconds. Once all durations had a fraction."""
        return float(self.period_s) if self.rules.has_old_names else self.period_s
