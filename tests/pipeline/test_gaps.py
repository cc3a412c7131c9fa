"""Gaps in the sequence numbers of a device, compared with the set of all numbers seen."""

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


def test_consecutive_numbers_have_no_gap() -> None:
    assert [] == list(seen(5, 6, 7, 8))


def test_numbers_between_two_seen_ones_are_missing_until_they_are_seen() -> None:
    gaps = seen(5, 9)
    assert [Gap(7, 6, 8, 5000, 9000)] == list(gaps)
    gaps.add(7, 7, 7000)
    assert [Gap(7, 6, 6, 5000, 7000), Gap(7, 8, 8, 7000, 9000)] == list(gaps)
    gaps.add(7, 6, 6000)
    gaps.add(7, 8, 8000)
    assert [] == list(gaps)


def test_a_gap_is_open_if_it_was_requested_as_a_whole_and_the_record_after_it_is_settled() -> None:
    gaps = seen(5, 9, 12)
    assert 0 == gaps.count_open(0, 9000)
    assert 3 == gaps.count_open(0, 9001)
    assert 5 == gaps.count_open(0, 12001)
    assert 2 == gaps.count_open(5001, 12001), "records before that were not requested, so they may be published already"


def test_a_gap_before_final_is_lost_and_reported_once() -> None:
    gaps = seen(5, 9, 12)
    assert [Gap(7, 6, 8, 5000, 9000)] == gaps.take_lost(0, 9500)
    assert [] == gaps.take_lost(0, 9500)
    assert [Gap(7, 10, 11, 9000, 12000)] == list(gaps)


def test_each_device_has_its_own_sequence() -> None:
    gaps = seen(1, 2)
    gaps.add(8, 40, 0)
    gaps.add(8, 42, 1)
    assert [Gap(8, 41, 41, 0, 1)] == list(gaps)


def test_a_device_that_restarts_its_numbering_has_no_gap() -> None:
    gaps = seen(1000, 1001)
    for number in (1, 2, 4):
        gaps.add(7, number, 2_000_000 + number)
    assert [Gap(7, 3, 3, 2_000_002, 2_000_004)] == list(gaps)
    assert [] == gaps.take_lost(0, 2_000_000)
    assert [Gap(7, 3, 3, 2_000_002, 2_000_004)] == list(gaps)


def test_memory_is_bounded() -> None:
    assert MAX_RUNS - 1 == len(list(seen(*range(0, 6 * MAX_RUNS, 2))))


@given(numbers=st.sets(st.integers(0, 60), min_size=1), random=st.randoms(use_true_random=False))
def test_gaps_do_not_depend_on_order_or_duplicates(numbers: set[int], random: Random) -> None:
    shuffled = [*numbers, *numbers]
    random.shuffle(shuffled)
    missing = {n for gap in seen(*shuffled) for n in range(gap.first, gap.last + 1)}
    assert set(range(min(numbers), max(numbers))) - numbers == missing
