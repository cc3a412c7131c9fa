"""The half hours in which a box of the simulated VidiCenter does not work."""

from functools import lru_cache
from random import Random

from collector.simulator.rules import Rules
from collector.simulator.uploads import has_appeared
from collector.simulator.world import World

HALF_HOUR_MS = 30 * 60_000
KEPT_HALF_HOURS = 90 * 48
"""Alerts and messages are not served after 90 days."""
UPLOAD_PERIOD, INPUT_ERROR = 1, 3
"""Types of alerts."""


class Conditions:
    """The type of the alert that a location has in a half hour. Half hours are counted from 1970.

    The half hours in which the world's device is offline have one, and those that start in a span of `Rules.offline`.
    Only the spans affect uploads.
    """

    def __init__(self, world: World, rules: Rules) -> None:
        self._world = world
        self._rules = rules
        # A response with 1000 alerts looks at some 20 000 half hours.
        self._of_world = lru_cache(maxsize=50_000)(self._draw)

    def alert_type(self, place: int, half_hour: int) -> int | None:
        """The type; None without an alert."""
        start_ms = half_hour * HALF_HOUR_MS
        if not has_appeared(self._rules, place, start_ms):
            return None
        first_ms, back_ms = self._rules.offline.get(place, (0, 0))
        if first_ms <= start_ms < back_ms:
            return UPLOAD_PERIOD
        return self._of_world(place, half_hour)

    def is_silent(self, place: int, unix_ms: int) -> bool:
        """Whether the box does not send anything at a time."""
        first_ms, back_ms = self._rules.offline.get(place, (0, 0))
        return first_ms <= unix_ms < back_ms or self.alert_type(place, unix_ms // HALF_HOUR_MS) == UPLOAD_PERIOD

    def first_of_run(self, place: int, half_hour: int) -> int:
        """The first of the consecutive half hours up to this one that have the same type."""
        alert_type, first = self.alert_type(place, half_hour), half_hour
        while self.alert_type(place, first - 1) == alert_type:
            first -= 1
        return first

    def lasts_until(self, place: int, half_hour: int, now: int) -> bool:
        """Whether all half hours from one to another have the same type."""
        alert_type = self.alert_type(place, half_hour)
        return all(self.alert_type(place, each) == alert_type for each in range(half_hour + 1, now + 1))

    def _draw(self, place: int, half_hour: int) -> int | None:
        if self._world.state(place, half_hour * HALF_HOUR_MS) == "online":
            return None
        is_silent = Random(f"{self._world.seed}/{place}/alert type/{half_hour}").random() < 0.5
        return UPLOAD_PERIOD if is_silent else INPUT_ERROR
