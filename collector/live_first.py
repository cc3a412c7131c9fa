"""Lets the backfills of an account fetch only while none of its live streams fetches, as far as possible."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

MAX_WAIT_S = 60.0
"""How long a backfill waits at most: live streams that always fetch must not stop it, and one window a minute disturbs
them little."""


class LiveFirst:
    """The turns of an account's streams in this process: they share the account's limits."""

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self._max_wait_s = max_wait_s
        self._fetching = 0
        self._is_idle = anyio.Event()
        self._is_idle.set()

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """A live stream fetches a window during the block. It waits for nobody."""
        self._fetching += 1
        if self._is_idle.is_set():
            self._is_idle = anyio.Event()
        try:
            yield
        finally:
            self._fetching -= 1
            if not self._fetching:
                self._is_idle.set()

    @asynccontextmanager
    async def backfill(self) -> AsyncIterator[None]:
        """A backfill fetches a window during the block, which begins when no live stream fetches.

        A live stream may begin meanwhile: it shares the account with one window of the backfill at most.
        """
        with anyio.move_on_after(self._max_wait_s):
            while self._fetching:
                await self._is_idle.wait()
        yield
