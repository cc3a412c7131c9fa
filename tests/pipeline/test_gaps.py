"""Gaps in a device's numbers, beside a set of all that was seen."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector.model import Gap
from collector.pipeline.gaps import MAX_RUNS, Gaps


def seen(*numbers: int, series: int = 7) -> Gaps:
    gaps = Gaps()
    for number in numbers:
        gaps.add(series, number, 1000 * number)
    return gaps


def test_numbers_one_after_the_other_lack_nothing() -> None:
    assert [] == list(seen(5, 6, 7, 8))


def test_what_lies_between_two_is_missing_until_it_comes() -> None:
    gaps = seen(5, 9)
    assert [Gap(7, 6, 8, 5000, 9000)] == list(gaps)
    gaps.add(7, 7, 7000)
    assert [Gap(7, 6, 6, 5000, 7000), Gap(7, 8, 8, 7000, 9000)] == list(gaps)
    gaps.add(7, 6, 6000)
    gaps.add(7, 8, 8000)
    assert [] == list(gaps)


def test_a_gap_is_counted_when_the_next_one_is_settled_and_was_asked_for_from_before_it() -> None:
    gaps = seen(5, 9, 12)
    assert 0 == gaps.count_open(0, 9000)
    assert 3 == gaps.count_open(0, 9001)
    assert 5 == gaps.count_open(0, 12001)
    assert 2 == gaps.count_open(5001, 12001), "before, nobody asked: what is missing may be published already"


def test_what_final_passes_is_lost_and_told_once() -> None:
    gaps = seen(5, 9, 12)
    assert [Gap(7, 6, 8, 5000, 9000)] == gaps.take_lost(0, 9500)
    assert [] == gaps.take_lost(0, 9500)
    assert [Gap(7, 10, 11, 9000, 12000)] == list(gaps)


def test_devices_count_for_themselves() -> None:
    gaps = seen(1, 2)
    gaps.add(8, 40, 0)
    gaps.add(8, 42, 1)
    assert [Gap(8, 41, 41, 0, 1)] == list(gaps)


def test_a_device_that_begins_to_count_anew_lacks_nothing() -> None:
    gaps = seen(1000, 1001)
    for number in (1, 2, 4):
        gaps.add(7, number, 2_000_000 + number)
    assert [Gap(7, 3, 3, 2_000_002, 2_000_004)] == list(gaps)
    assert [] == gaps.take_lost(0, 2_000_000)
    assert [Gap(7, 3, 3, 2_000_002, 2_000_004)] == list(gaps)


def test_what_is_remembered_is_bounded() -> None:
    assert MAX_RUNS - 1 == len(list(seen(*range(0, 6 * MAX_RUNS, 2))))


@given(numbers=st.sets(st.integers(0, 60), min_size=1), random=st.randoms(use_true_random=False))
def test_in_any_order_and_however_often_they_come(numbers: set[int], random: Random) -> None:
    shuffled = [*numbers, *numbers]
    random.shuffle(shuffled)
    missing = {n for gap in seen(*shuffled) for n in range(gap.first, gap.last + 1)}
    assert set(range(min(numbers), max(numbers))) - numbers == missing
