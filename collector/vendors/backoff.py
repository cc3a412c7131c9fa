"""How long to wait before asking again, given how often it failed in a row."""

PASSING = (1.0, 120.0)
"""First and longest wait in seconds for passing trouble: a glitch costs a second, an outage ends within two minutes."""
PARKED = (30.0, 600.0)
"""For trouble that waits for an operator: a mended key is noticed within ten minutes, at worst."""


def delay_s(failures: int, bounds: tuple[float, float], draw: float, *, at_least: float = 0.0) -> float:
    """Seconds to wait after the n-th failure in a row: doubling from the first bound to the second, half of it by lot.

    `draw` is uniform in [0, 1): it keeps many streams from asking in step. `at_least` is what the vendor asked for
    (Retry-After) and is honoured beyond the cap, with the lot on top.
    """
    first, longest = bounds
    full = min(longest, first * 2.0 ** min(max(failures, 1) - 1, 32))
    jittered = full / 2 + full / 2 * draw
    return jittered if at_least <= 0 else max(jittered, at_least + first * draw)
