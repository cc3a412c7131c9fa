"""The delay before a retry, which grows with the number of consecutive failures."""

from collector.errors import Park, RetryLater

TRANSIENT_DELAYS_S = (1.0, 120.0)
"""The first and the longest delay after a transient failure: the end of an outage is noticed within two minutes."""
PARKED_DELAYS_S = (30.0, 600.0)
"""The same after a failure that needs an operator: a corrected key is used within ten minutes."""


def delay_after_s(error: Exception, failures: int, draw: float) -> float:
    """Return the seconds to wait after a failure: RetryLater is transient, and all others need an operator.

    `failures` and `draw` are those of `delay_s`.
    """
    bounds = TRANSIENT_DELAYS_S if isinstance(error, RetryLater) else PARKED_DELAYS_S
    at_least = error.after_s if isinstance(error, RetryLater | Park) else 0.0
    return delay_s(failures, bounds, draw, at_least=at_least)


def delay_s(failures: int, bounds: tuple[float, float], draw: float, *, at_least: float = 0.0) -> float:
    """Return the seconds to wait after this many consecutive failures.

    The full delay doubles with each failure, from the first of the `bounds` up to the second. The result is at least
    half of it; the rest is random jitter, which prevents many streams from retrying at the same time. `draw` is uniform
    in [0, 1). `at_least` is the wait that the vendor requests (Retry-After): it may exceed the longest delay, and is
    followed by jitter.
    """
    first, longest = bounds
    full = min(longest, first * 2.0 ** min(max(failures, 1) - 1, 32))
    jittered = full / 2 + full / 2 * draw
    return jittered if at_least <= 0 else max(jittered, at_least + first * draw)
