"""Lets the backfills of an account fetch only while none of its live streams fetches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class LiveFirst:
    """The turns of an account's streams in this process: they share the account's limits."""

    def __init__(self) -> None:
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
        while self._fetching:
            await self._is_idle.wait()
        yield
