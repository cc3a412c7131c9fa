"""Responses that are computed once for all clients, because computing them takes long."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from collector.clock import Clock

MAX_AGE_S = 1.0
"""Shorter than the intervals at which the page and Prometheus request the status."""
T = TypeVar("T")


class Shared(Generic[T]):
    """A result that is computed once for all who request it meanwhile, or within `max_age_s` seconds after that."""

    def __init__(self, compute: Callable[[], Awaitable[T]], clock: Clock, max_age_s: float) -> None:
        self._compute = compute
        self._clock = clock
        self._max_age_s = max_age_s
        self._lock = anyio.Lock()
        self._last: tuple[float, T] | None = None

    async def get(self) -> T:
        """The result. Raises what `compute` raises; the next call then computes it again."""
        async with self._lock:
            if self._last is None or self._clock.monotonic_s() - self._last[0] >= self._max_age_s:
                result = await self._compute()
                self._last = self._clock.monotonic_s(), result
            return self._last[1]
