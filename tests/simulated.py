"""Simulated time, in which nothing waits."""

from datetime import UTC, datetime, timedelta

import anyio.lowlevel

from collector.instants import UNIX_EPOCH

START = datetime(2026, 11, 1, tzinfo=UTC)


def at(unix_s: int) -> datetime:
    """The instant in UTC."""
    return UNIX_EPOCH + timedelta(seconds=unix_s)


class SimulatedClock:
    """A clock that jumps to the instant that is waited for."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return (self._now - UNIX_EPOCH).total_seconds()

    async def until(self, instant: datetime) -> None:
        await anyio.lowlevel.checkpoint()
        self._now = max(self._now, instant)

    def pass_s(self, seconds: float) -> None:
        """Let this much time pass."""
        self._now += timedelta(seconds=seconds)
