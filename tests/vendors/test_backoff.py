"""Delays double up to a bound, with jitter, and are never below the wait that the vendor requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.vendors.backoff import PARKED_DELAYS_S, TRANSIENT_DELAYS_S, delay_s

DRAWS = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
FAILURES = st.integers(min_value=1, max_value=10**9)
BOUNDS = st.sampled_from([TRANSIENT_DELAYS_S, PARKED_DELAYS_S])


@pytest.mark.parametrize(
    ("bounds", "fulls"),
    [
        (TRANSIENT_DELAYS_S, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]),
        (PARKED_DELAYS_S, [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]),
    ],
)
def test_delay_doubles_from_the_first_to_the_longest_bound(bounds: tuple[float, float], fulls: list[float]) -> None:
    assert [full / 2 for full in fulls] == [delay_s(n, bounds, 0.0) for n in range(1, len(fulls) + 1)]


@given(FAILURES, BOUNDS, DRAWS)
def test_half_of_the_delay_is_jitter(failures: int, bounds: tuple[float, float], draw: float) -> None:
    half = delay_s(failures, bounds, 0.0)

    assert half <= delay_s(failures, bounds, draw) <= 2 * half
    assert half * 1.5 == pytest.approx(delay_s(failures, bounds, 0.5))


@given(FAILURES, BOUNDS, DRAWS)
def test_delay_never_exceeds_the_longest_bound(failures: int, bounds: tuple[float, float], draw: float) -> None:
    assert delay_s(failures, bounds, draw) <= bounds[1]


@given(FAILURES, BOUNDS, DRAWS)
def test_another_failure_never_shortens_the_delay(failures: int, bounds: tuple[float, float], draw: float) -> None:
    assert delay_s(failures, bounds, draw) <= delay_s(failures + 1, bounds, draw)


@given(FAILURES, BOUNDS, DRAWS, st.floats(min_value=0.001, max_value=86_400.0))
def test_the_vendors_requested_wait_may_exceed_the_bound(
    failures: int, bounds: tuple[float, float], draw: float, requested_s: float
) -> None:
    delay = delay_s(failures, bounds, draw, at_least=requested_s)

    assert max(requested_s, delay_s(failures, bounds, draw)) <= delay
    assert delay <= max(requested_s + bounds[0], bounds[1])


def test_requested_waits_have_jitter_too() -> None:
    assert delay_s(1, TRANSIENT_DELAYS_S, 0.1, at_least=3600.0) < delay_s(1, TRANSIENT_DELAYS_S, 0.9, at_least=3600.0)


@pytest.mark.parametrize("requested_s", [0.0, -1.0])
def test_a_requested_wait_of_zero_or_less_has_no_effect(requested_s: float) -> None:
    assert delay_s(3, TRANSIENT_DELAYS_S, 0.25) == delay_s(3, TRANSIENT_DELAYS_S, 0.25, at_least=requested_s)


def test_zero_failures_wait_like_one() -> None:
    assert delay_s(1, TRANSIENT_DELAYS_S, 0.5) == delay_s(0, TRANSIENT_DELAYS_S, 0.5)
