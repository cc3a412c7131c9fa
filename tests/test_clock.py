"""Waits on the system clock, which may be set meanwhile."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from collector.clock import SystemClock

pytestmark = pytest.mark.anyio

SOON = timedelta(seconds=0.05)


class SteppingClock(SystemClock):
    """A clock that is ahead when it is first read, and correct from then on."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        ahead, self._ahead = self._ahead, timedelta(0)
        return datetime.now(UTC) + ahead


async def test_until_returns_at_the_instant() -> None:
    instant = SystemClock().now() + SOON
    await SystemClock().until(instant)
    assert SystemClock().now() >= instant


async def test_setting_the_clock_back_does_not_extend_the_wait() -> None:
    ahead = timedelta(hours=2)
    with anyio.fail_after(10):
        await SteppingClock(ahead).until(datetime.now(UTC) + ahead + SOON)


async def test_setting_the_clock_forward_ends_the_wait() -> None:
    with anyio.fail_after(10):
        await SteppingClock(-timedelta(seconds=30)).until(datetime.now(UTC) - SOON)
