"""How long to wait before a retry, given the number of consecutive failures."""

TRANSIENT_DELAYS_S = (1.0, 120.0)
"""The first and the longest wait in seconds after a transient failure: an outage's end is noticed in two minutes."""
PARKED_DELAYS_S = (30.0, 600.0)
"""The same for a failure that needs an operator: a corrected key is used within ten minutes."""


def delay_s(failures: int, bounds: tuple[float, float], draw: float, *, at_least: float = 0.0) -> float:
    """Seconds to wait after the n-th consecutive failure: doubles from the first bound to the second; half is jitter.

    `draw` is uniform in [0, 1): random jitter prevents many streams from retrying at the same time. `at_least` is the
    wait that the vendor requests (Retry-After). It may exceed the longest wait, and jitter is added to it.
    """
    first, longest = bounds
    full = min(longest, first * 2.0 ** min(max(failures, 1) - 1, 32))
    jittered = full / 2 + full / 2 * draw
    return jittered if at_least <= 0 else max(jittered, at_least + first * draw)
