"""The alerts of the simulated VidiCenter: one for each run of half hours in which a box does not work.

An alert keeps its id when it ends; only its status changes. Ids do not grow with time.
"""

from collections.abc import Iterator, Sequence
from random import Random

from collector.simulator.aggregated import Row
from collector.simulator.conditions import HALF_HOUR_MS, INPUT_ERROR, KEPT_HALF_HOURS, UPLOAD_PERIOD, Conditions
from collector.simulator.topology import NETWORK, Topology, box_of, site_of
from collector.simulator.world import as_datetime

MAX_ROWS = 1000
"""A list of alerts or messages contains the latest of its scope."""
_LABELS = {UPLOAD_PERIOD: "Upload period", INPUT_ERROR: "Input or licence errors"}
_INPUT_STATES = ("Input Lost", "Waiting Input,Input Lost", "On Error", "Idle,Black Input")
_MAX_DELAY_MS = HALF_HOUR_MS // 3
"""The longest time from the start of a half hour to its alert."""
_ID_BITS, _PLACE_BITS, _FACTOR = 50, 24, 0x9E3779B97F4A7 | 1
"""An odd factor maps the numbers below a power of two to each other."""


class Alerts:
    def __init__(self, topology: Topology, conditions: Conditions) -> None:
        self._topology = topology
        self._conditions = conditions
        self._seed = topology.world.seed

    def latest(self, places: Sequence[int], now_ms: int, since_ms: int, *, is_active: bool) -> list[Row]:
        """The latest alerts of locations that were raised since a time, newest first.

        `is_active` selects those that are not over. An alert that was raised earlier and ended since is not contained.
        """
        found = self._active(places, now_ms) if is_active else self._all(places, now_ms, since_ms)
        alerts = sorted((ms, place, first) for ms, place, first in found if since_ms <= ms <= now_ms)
        return [self._alert(place, first, now_ms) for _, place, first in reversed(alerts[-MAX_ROWS:])]

    def _active(self, places: Sequence[int], now_ms: int) -> Iterator[tuple[int, int, int]]:
        """The time, the location and the first half hour of each alert that is not over."""
        now = now_ms // HALF_HOUR_MS
        for place in places:
            if self._conditions.alert_type(place, now) is not None:
                first = self._conditions.first_of_run(place, now)
                yield self._raised_ms(place, first), place, first

    def _all(self, places: Sequence[int], now_ms: int, since_ms: int) -> Iterator[tuple[int, int, int]]:
        """The same of all alerts since a time, or of more than the latest 1000."""
        now, count = now_ms // HALF_HOUR_MS, 0
        oldest = max(now - KEPT_HALF_HOURS, (since_ms - _MAX_DELAY_MS) // HALF_HOUR_MS)
        for first in range(now, oldest - 1, -1):
            for place in places:
                alert_type = self._conditions.alert_type(place, first)
                if alert_type is not None and self._conditions.alert_type(place, first - 1) != alert_type:
                    raised_ms = self._raised_ms(place, first)
                    count += raised_ms <= now_ms
                    yield raised_ms, place, first
            if count >= MAX_ROWS:
                return

    def _raised_ms(self, place: int, first: int) -> int:
        return first * HALF_HOUR_MS + Random(f"{self._seed}/{place}/raised/{first}").randrange(_MAX_DELAY_MS)

    def _alert(self, place: int, first: int, now_ms: int) -> Row:
        """An alert as it is at a time. The box's clock is local time and some seconds off, the vendor's is UTC."""
        alert_type, raised_ms = self._conditions.alert_type(place, first) or 0, self._raised_ms(place, first)
        is_raised = self._conditions.lasts_until(place, first, now_ms // HALF_HOUR_MS)
        # What the vendor links is not documented: an alert that is not over has a link too.
        link = alert_id(place, first - first % 7) if first % 7 and first % 2 else None
        return {
            "id": alert_id(place, first),
            "alert_type": alert_type,
            "label": _LABELS[alert_type],
            "status": "raised" if is_raised else "terminated",
            "extra_data": input_state(place) if alert_type == INPUT_ERROR else "",
            "network": NETWORK,
            "site": site_of(place),
            "location": place,
            "box": box_of(place),
            "timestamp": f"{as_datetime(raised_ms):%Y-%m-%dT%H:%M:%S}",
            "host_timestamp": self._topology.local_time(place, raised_ms - place % 60 * 1000),
            "linked_alerthistory": link,
        }


def alert_id(place: int, first: int) -> int:
    """The id of the alert of a location that starts in a half hour."""
    return ((first << _PLACE_BITS) + place) * _FACTOR % (1 << _ID_BITS)


def input_state(place: int) -> str:
    """What the box of a location reports when its camera does not work: a comma-separated set of states."""
    return _INPUT_STATES[place % len(_INPUT_STATES)]
