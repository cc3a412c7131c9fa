"""When checkpoints are committed although nothing is new."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.saving import SAVE_INTERVAL, is_due, next_save

instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - its zone follows
phases = st.integers(0, 31).map(lambda partition: partition / 32)


@given(instants, phases)
def test_a_checkpoint_is_due_after_one_to_two_minutes(saved_at: datetime, phase: float) -> None:
    assert SAVE_INTERVAL / 2 < next_save(saved_at, phase) - saved_at <= SAVE_INTERVAL


@given(instants, st.timedeltas(timedelta(0), timedelta(seconds=59)), phases)
def test_streams_that_saved_at_one_moment_are_due_at_one_moment(
    saved_at: datetime, took: timedelta, phase: float
) -> None:
    moment = next_save(saved_at, phase)
    assert moment + SAVE_INTERVAL == next_save(moment + took, phase)


@given(instants, st.integers(0, 30))
def test_the_next_partition_is_due_at_another_moment(saved_at: datetime, partition: int) -> None:
    one, other = (next_save(saved_at, each / 32) for each in (partition, partition + 1))
    assert one != other


@given(instants, phases, st.timedeltas(-SAVE_INTERVAL, timedelta(days=9)))
def test_nothing_is_due_before_its_time_unless_the_clock_is_set_back(
    saved_at: datetime, phase: float, set_back: timedelta
) -> None:
    save_at = next_save(saved_at, phase)
    now = saved_at - set_back
    assert (
        (now >= save_at or set_back >= SAVE_INTERVAL)
        <= is_due(save_at, now)
        <= (now >= save_at or set_back > timedelta(0))
    )
