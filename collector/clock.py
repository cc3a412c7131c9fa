"""Time as an argument: the system's in production, a simulated one in tests."""

from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    def now(self) -> datetime:
        """Now, in UTC."""
        ...

    async def until(self, instant: datetime) -> None:
        """Return when `now()` has reached the instant, or as much time has passed as was left to it at the call.

        So a clock that is set back meanwhile does not make the wait longer.
        """
        ...


class SystemClock:
    """The clock on the wall, which may step: it is looked at again at least once a minute."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def until(self, instant: datetime) -> None:
        ends = anyio.current_time() + (instant - self.now()).total_seconds()
        while (left := min((instant - self.now()).total_seconds(), ends - anyio.current_time())) > 0:  # noqa: ASYNC110
            await anyio.sleep(min(left, 60))
