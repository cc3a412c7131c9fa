"""The clock as an argument: the system's clock in production, a simulated one in tests."""

from datetime import UTC, datetime
from typing import Protocol

import anyio

MAX_SLEEP_S = 60.0
"""A clock that is set forward shortens the wait within this time."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The present time in UTC."""
        ...

    async def until(self, instant: datetime) -> None:
        """Return when `now()` reaches the instant, or after as much time as was left at the call.

        So the wait does not become longer when the clock is set back meanwhile.
        """
        ...


class SystemClock:
    """The system's clock, which may step: waits read it at least once a minute."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def until(self, instant: datetime) -> None:
        deadline = anyio.current_time() + (instant - self.now()).total_seconds()
        while (left_s := min((instant - self.now()).total_seconds(), deadline - anyio.current_time())) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left_s, MAX_SLEEP_S))
