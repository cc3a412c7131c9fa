"""What shares a transaction."""

from hypothesis import given
from hypothesis import strategies as st

from collector.kafka.commit_queue import SHARED_BYTES, CommitQueue, Ready
from collector.pipeline.batch import MIN_TRANSACTION_BYTES


def ready(size: int) -> Ready:
    return Ready((), {b"k": b"x" * (size - 1)})


@given(st.lists(st.integers(1, SHARED_BYTES * 2), min_size=1, max_size=12))
def test_everything_is_taken_once_in_order_and_shared_only_if_small(sizes: list[int]) -> None:
    queue, waiting = CommitQueue(), [ready(size) for size in sizes]
    committed: list[Ready] = []
    for each in waiting:
        queue.add(each)
    for each in waiting:
        if not each.is_taken:
            taken = queue.take(each)
            assert len(taken) == 1 or sum(other.size for other in taken) <= SHARED_BYTES
            committed += taken
    assert waiting == committed
    assert all(each.is_taken for each in waiting)


def test_what_was_withdrawn_is_not_taken() -> None:
    queue, first, second, third = CommitQueue(), ready(1), ready(1), ready(1)
    for each in (first, second, third):
        queue.add(each)
    queue.withdraw(second)
    assert [first, third] == queue.take(first)
    queue.withdraw(second)


def test_a_shared_transaction_is_as_small_as_one_may_always_be() -> None:
    assert SHARED_BYTES <= MIN_TRANSACTION_BYTES
