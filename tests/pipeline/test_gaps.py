"""Gaps in the sequence numbers of a device, compared with the set of all numbers seen."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector.model import Gap
from collector.pipeline.gaps import MAX_ALL_RUNS, MAX_RUNS, Gaps


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


def test_a_gap_counts_although_its_neighbours_start_in_another_order_than_their_numbers() -> None:
    gaps = Gaps()
    for number, start_ms in ((5, 5000), (7, 4800), (8, 9000)):
        gaps.add(7, number, start_ms)
    assert [Gap(7, 6, 6, 4800, 5000)] == list(gaps)
    assert 1 == gaps.count_open(0, 5001)
    assert [] == gaps.take_lost(0, 5000), "it may have started when the later of the two did"
    assert [Gap(7, 6, 6, 4800, 5000)] == gaps.take_lost(0, 5001)
    gaps.add(7, 6, 4900)
    assert [] == list(gaps)


def test_a_series_that_has_restarted_is_complete_again_when_it_reaches_its_old_numbers() -> None:
    gaps = seen(3, 4)
    gaps.add(7, 1, 10_000)
    assert [] == gaps.take_lost(0, 9000)
    for number in (2, 3, 4, 6):
        gaps.add(7, number, 10_000 + number)
    assert [Gap(7, 5, 5, 10_004, 10_006)] == list(gaps)


def test_memory_is_bounded() -> None:
    assert MAX_RUNS - 1 == len(list(seen(*range(0, 6 * MAX_RUNS, 2))))


@given(numbers=st.sets(st.integers(0, 60), min_size=1), random=st.randoms(use_true_random=False))
def test_gaps_do_not_depend_on_order_or_duplicates(numbers: set[int], random: Random) -> None:
    shuffled = [*numbers, *numbers]
    random.shuffle(shuffled)
    missing = {n for gap in seen(*shuffled) for n in range(gap.first, gap.last + 1)}
    assert set(range(min(numbers), max(numbers))) - numbers == missing


def test_series_without_end_take_a_bounded_number_of_runs() -> None:
    gaps = Gaps()
    for series in range(2 * MAX_ALL_RUNS):
        gaps.add(series, 1, 0)
    assert MAX_ALL_RUNS == sum(map(len, gaps._runs.values()))
    gaps.add(2 * MAX_ALL_RUNS - 1, 3, 1)
    assert [2] == [gap.first for gap in gaps], "the latest series are kept"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12))))
def test_runs_are_counted_exactly(numbers: list[tuple[int, int]]) -> None:
    gaps = Gaps()
    for nth, (series, number) in enumerate(numbers):
        gaps.add(series, number, 1000 * number)
        if nth % 5 == 0:
            gaps.take_lost(0, 1000 * number)
        assert gaps._count == sum(map(len, gaps._runs.values()))
