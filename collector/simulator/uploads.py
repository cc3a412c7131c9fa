"""When the boxes of the simulated VidiCenter upload."""

from collector.simulator.rules import Rules
from collector.simulator.world import World, last_upload_ms


def has_appeared(rules: Rules, place: int, now_ms: int) -> bool:
    """Whether a location exists at a time."""
    return rules.appears_ms.get(place, now_ms) <= now_ms


def latest_upload_ms(world: World, rules: Rules, place: int, now_ms: int) -> int | None:
    """The time of a location's last upload before or at a time; None if it has not uploaded since it exists.

    A location that is offline uploads nothing, and uploads at the time at which it is back.
    """
    first_ms, back_ms = rules.offline.get(place, (now_ms + 1, now_ms + 1))
    until_ms = first_ms - 1 if first_ms <= now_ms < back_ms else now_ms
    uploaded_ms = last_upload_ms(world.pace, place, until_ms)
    if back_ms <= now_ms:
        uploaded_ms = max(uploaded_ms, back_ms)
    return uploaded_ms if has_appeared(rules, place, uploaded_ms) else None
