"""Time as an argument: the system's in production, a simulated one in tests."""

from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    def now(self) -> datetime:
        """Now, in UTC."""
        ...

    async def until(self, instant: datetime) -> None:
        """Return when `now()` has reached the instant."""
        ...


class SystemClock:
    """The clock on the wall, which may step: it is looked at again at least once a minute."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def until(self, instant: datetime) -> None:
        while (left := (instant - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - nobody tells when it steps
            await anyio.sleep(min(left, 60))
