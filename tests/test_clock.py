"""The system's clock, which may be set while one waits for it."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from collector.clock import SystemClock

pytestmark = pytest.mark.anyio

SOON = timedelta(seconds=0.05)


class Steps(SystemClock):
    """A clock that was ahead when it was first looked at, and is right from then on."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        ahead, self._ahead = self._ahead, timedelta(0)
        return datetime.now(UTC) + ahead


async def test_one_waits_until_the_instant() -> None:
    instant = SystemClock().now() + SOON
    await SystemClock().until(instant)
    assert SystemClock().now() >= instant


async def test_a_clock_that_is_set_back_does_not_make_the_wait_longer() -> None:
    ahead = timedelta(hours=2)
    with anyio.fail_after(10):
        await Steps(ahead).until(datetime.now(UTC) + ahead + SOON)


async def test_a_clock_that_is_set_forward_ends_the_wait() -> None:
    with anyio.fail_after(10):
        await Steps(-timedelta(seconds=30)).until(datetime.now(UTC) - SOON)
