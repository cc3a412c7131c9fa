"""Waiting grows to a bound, never in step, and never less than the vendor asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.vendors.backoff import PARKED, PASSING, delay_s

DRAWS = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
FAILURES = st.integers(min_value=1, max_value=10**9)
BOUNDS = st.sampled_from([PASSING, PARKED])


@pytest.mark.parametrize(
    ("bounds", "fulls"),
    [
        (PASSING, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]),
        (PARKED, [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]),
    ],
)
def test_it_doubles_from_the_first_bound_to_the_longest(bounds: tuple[float, float], fulls: list[float]) -> None:
    assert [full / 2 for full in fulls] == [delay_s(n, bounds, 0.0) for n in range(1, len(fulls) + 1)]


@given(FAILURES, BOUNDS, DRAWS)
def test_half_of_it_is_by_lot(failures: int, bounds: tuple[float, float], draw: float) -> None:
    half = delay_s(failures, bounds, 0.0)

    assert half <= delay_s(failures, bounds, draw) <= 2 * half
    assert half * 1.5 == pytest.approx(delay_s(failures, bounds, 0.5))


@given(FAILURES, BOUNDS, DRAWS)
def test_it_is_never_beyond_the_longest_bound(failures: int, bounds: tuple[float, float], draw: float) -> None:
    assert delay_s(failures, bounds, draw) <= bounds[1]


@given(FAILURES, BOUNDS, DRAWS)
def test_one_more_failure_never_shortens_it(failures: int, bounds: tuple[float, float], draw: float) -> None:
    assert delay_s(failures, bounds, draw) <= delay_s(failures + 1, bounds, draw)


@given(FAILURES, BOUNDS, DRAWS, st.floats(min_value=0.001, max_value=86_400.0))
def test_what_the_vendor_asks_for_is_honoured_beyond_the_bound(
    failures: int, bounds: tuple[float, float], draw: float, asked: float
) -> None:
    delay = delay_s(failures, bounds, draw, at_least=asked)

    assert max(asked, delay_s(failures, bounds, draw)) <= delay
    assert delay <= max(asked + bounds[0], bounds[1])


def test_those_who_were_told_to_wait_do_not_come_back_in_step() -> None:
    assert delay_s(1, PASSING, 0.1, at_least=3600.0) < delay_s(1, PASSING, 0.9, at_least=3600.0)


@pytest.mark.parametrize("asked", [0.0, -1.0])
def test_nothing_asked_for_changes_nothing(asked: float) -> None:
    assert delay_s(3, PASSING, 0.25) == delay_s(3, PASSING, 0.25, at_least=asked)


def test_no_failure_waits_as_the_first_does() -> None:
    assert delay_s(1, PASSING, 0.5) == delay_s(0, PASSING, 0.5)
