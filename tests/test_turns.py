"""Long work lets other tasks run, and short work does not wait for them."""

import anyio
import pytest

from collector import turns
from collector.steps import Steps, at_once
from collector.turns import MAX_TURN_STEPS, Turn, in_turns

pytestmark = pytest.mark.anyio


def count_to(number: int) -> Steps[int]:
    for _ in range(number):
        yield
    return number


async def turns_of_another_task_during(steps: int) -> int:
    """How often another task runs while this many steps are done."""
    count = 0

    async def other() -> None:
        nonlocal count
        while True:
            await anyio.lowlevel.checkpoint()
            count += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await anyio.lowlevel.checkpoint()
        count = 0
        assert steps == await in_turns(count_to(steps))
        tasks.cancel_scope.cancel()
    return count


async def test_another_task_runs_after_at_most_a_number_of_steps() -> None:
    assert 0 == await turns_of_another_task_during(10)
    assert await turns_of_another_task_during(10 * MAX_TURN_STEPS) >= 9


async def test_another_task_runs_after_each_slow_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0

    def perf_counter() -> float:
        nonlocal now_s
        now_s += 0.006
        return now_s

    monkeypatch.setattr(turns, "perf_counter", perf_counter)
    assert await turns_of_another_task_during(10) >= 4


async def test_a_hundred_tasks_with_long_work_take_turns_one_at_a_time() -> None:
    """Between two passes of a task without long work, no two others have worked."""
    turn_ends = [0]

    async def work() -> None:
        turn = Turn()
        for _ in range(10):
            for _ in range(MAX_TURN_STEPS):
                if turn.is_over():
                    await turn.end()
            turn_ends[0] += 1

    most, before = 0, 0
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(work)
        while turn_ends[0] < 1000:
            await anyio.lowlevel.checkpoint()
            most, before = max(most, turn_ends[0] - before), turn_ends[0]
    assert 1 == most


async def test_work_that_is_cancelled_ends_at_the_next_turn() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        turn = Turn()
        for _ in range(MAX_TURN_STEPS):
            if turn.is_over():
                await turn.end()
        raise AssertionError("the work was not cancelled")


def test_work_without_a_pause_has_the_same_result() -> None:
    assert 5 == at_once(count_to(5))
