"""The monitoring messages of the simulated VidiCenter: every box sends one every ten minutes while it works.

They have no id. Numbers are partly texts, as in the vendor's examples: `"24.9"`, `"-"`, `"38.0%"`.
"""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from random import Random

from collector.simulator.aggregated import Row
from collector.simulator.alerts import MAX_ROWS, input_state
from collector.simulator.conditions import HALF_HOUR_MS, INPUT_ERROR, KEPT_HALF_HOURS, Conditions
from collector.simulator.topology import Topology, box_of
from collector.simulator.uploads import has_appeared
from collector.simulator.world import as_datetime

INTERVAL_MS = 600_000
_KEPT_INTERVALS = KEPT_HALF_HOURS * HALF_HOUR_MS // INTERVAL_MS


class Monitoring:
    def __init__(self, topology: Topology, conditions: Conditions) -> None:
        self._topology = topology
        self._conditions = conditions

    def latest(self, places: Sequence[int], now_ms: int, since_ms: int) -> list[Row]:
        """The latest messages of the boxes of locations since a time, newest first."""
        return [self._message(place, ms) for ms, place in nlargest(MAX_ROWS, self._sent(places, now_ms, since_ms))]

    def _sent(self, places: Sequence[int], now_ms: int, since_ms: int) -> Iterator[tuple[int, int]]:
        """The time and the location of all messages since a time, or of more than the latest 1000."""
        now, count, rules = now_ms // INTERVAL_MS, 0, self._topology.rules
        oldest = max(now - _KEPT_INTERVALS, since_ms // INTERVAL_MS)
        for interval in range(now, oldest - 1, -1):
            for place in places:
                ms = interval * INTERVAL_MS + place * 7919 % INTERVAL_MS
                is_message = since_ms <= ms <= now_ms and has_appeared(rules, place, ms)
                if is_message and not self._conditions.is_silent(place, ms):
                    count += 1
                    yield ms, place
            if count >= MAX_ROWS:
                return

    def _message(self, place: int, ms: int) -> Row:
        """A message. The box's clock is local time and some seconds off, the vendor's is UTC."""
        random = Random(f"{self._topology.world.seed}/{place}/message/{ms}")
        is_working = self._conditions.alert_type(place, ms // HALF_HOUR_MS) != INPUT_ERROR
        row: Row = {
            "box": box_of(place),
            "location": place,
            "timestamp": f"{as_datetime(ms):%Y-%m-%dT%H:%M:%S}",
            "host_timestamp": self._topology.local_time(place, ms - place % 60 * 1000),
            "status": "running",
            "vr_status": "Processing" if is_working else input_state(place),
            "cpu_load": random.randrange(20, 95),
            "fps": f"{random.uniform(14, 25):.1f}" if is_working else "-",
            "avg_luma": f"{random.uniform(20, 60):.1f}%" if is_working else "0.0%",
            "nb_inputlost": 0 if is_working else random.randrange(1, 9),
        }
        if self._topology.rules.has_old_names:
            return row
        row |= {"vr_version": "8.4.1", "resolution": "1280x720" if is_working else "0x0"}
        return row | {"raw_camera_config": self._topology.camera(place)}
