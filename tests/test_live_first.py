"""A backfill fetches while no live stream of its account does."""

import anyio
import pytest

from collector.live_first import LiveFirst

pytestmark = pytest.mark.anyio


async def test_a_backfill_waits_until_no_live_stream_fetches() -> None:
    turns, steps = LiveFirst(), list[str]()
    first_may_end, second_may_end = anyio.Event(), anyio.Event()

    async def live(may_end: anyio.Event, name: str) -> None:
        async with turns.live():
            steps.append(f"{name} begins")
            await may_end.wait()
        steps.append(f"{name} ends")

    async def backfill() -> None:
        async with turns.backfill():
            steps.append("backfill")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live, first_may_end, "first")
        tasks.start_soon(live, second_may_end, "second")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(backfill)
        first_may_end.set()
        await anyio.wait_all_tasks_blocked()
        assert "backfill" not in steps
        second_may_end.set()

    assert ["first begins", "second begins", "first ends"] == steps[:3]
    assert "backfill" in steps[3:]


async def test_live_streams_that_always_fetch_do_not_stop_a_backfill() -> None:
    turns = LiveFirst(max_wait_s=0)
    async with turns.live():
        with anyio.fail_after(5):
            async with turns.backfill():
                pass


async def test_a_live_stream_never_waits() -> None:
    turns = LiveFirst()
    async with turns.backfill(), turns.live(), turns.live():
        pass


async def test_a_live_stream_that_fails_or_is_cancelled_no_longer_fetches() -> None:
    turns = LiveFirst()
    with pytest.raises(LookupError):
        async with turns.live():
            raise LookupError
    with anyio.move_on_after(0):
        async with turns.live():
            await anyio.sleep_forever()
    with anyio.fail_after(1):
        async with turns.backfill():
            pass
