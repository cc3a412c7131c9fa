"""When the simulated VidiCenter receives what its boxes have seen."""

from math import ceil
from typing import Protocol

from collector.simulator.rules import Rules
from collector.simulator.world import World, last_upload_ms

DAY_MS = 24 * 3600 * 1000


class Seen(Protocol):
    """A visit or a vehicle. Times are Unix time in milliseconds."""

    @property
    def device(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def box_uploaded_ms(self) -> int:
        """When it is uploaded by a box that is always online."""
        ...


def uploaded_ms(rules: Rules, seen: Seen) -> int:
    """When the box uploads it: after the box has been offline, everything at once."""
    unix_ms = seen.box_uploaded_ms
    if seen.device in rules.offline:
        first_ms, back_ms = rules.offline[seen.device]
        if first_ms <= seen.end_ms < back_ms or first_ms <= unix_ms < back_ms:
            unix_ms = max(unix_ms, back_ms)
    if seen.device == rules.late_place:
        every_ms = _late_every_ms(rules)
        unix_ms = ceil(unix_ms / every_ms) * every_ms
    return unix_ms


def complete_until_ms(world: World, rules: Rules, place: int, now_ms: int) -> int:
    """The time of the location's last upload: what ended before it is uploaded, apart from late visits."""
    first_ms, back_ms = rules.offline.get(place, (now_ms + 1, now_ms + 1))
    until_ms = first_ms - 1 if first_ms <= now_ms < back_ms else now_ms
    latest_ms = last_upload_ms(world.pace, place, until_ms)
    if back_ms <= now_ms:
        latest_ms = max(latest_ms, back_ms)
    if place == rules.late_place:
        every_ms = _late_every_ms(rules)
        latest_ms = now_ms // every_ms * every_ms
    return latest_ms


def _late_every_ms(rules: Rules) -> int:
    return max(1, int(rules.late_days * DAY_MS))
