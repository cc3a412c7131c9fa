"""The clock, passed as an argument: the system's clock in production, a simulated one in tests."""

from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

import anyio

MAX_SLEEP_S = 60.0
"""The longest sleep before the clock is read again: if it is set forward, a wait ends at most this much late."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an unknown instant. They pass as time passes, also while the clock is set."""
        ...

    async def until(self, instant: datetime) -> None:
        """Return when `now()` reaches the instant, or when the time that remained at the call has passed.

        The second condition keeps the wait from becoming longer when the clock is set back.
        """
        ...


class SystemClock:
    """The system's clock, which may step: waits read it at least once a minute."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return monotonic()

    async def until(self, instant: datetime) -> None:
        deadline = anyio.current_time() + (instant - self.now()).total_seconds()
        while (left_s := min((instant - self.now()).total_seconds(), deadline - anyio.current_time())) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left_s, MAX_SLEEP_S))
