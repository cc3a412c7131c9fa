"""What is known of an account's exports, and the places that the vendor gives them: its sources share both."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from collector.clock import Clock
from collector.vendors.quividi.export import MAX_RUNNING_EXPORTS, Export, abandoned

ABANDONED = timedelta(minutes=10)
"""An export that nobody asked about for so long is not taken to be running any more, nor to be ours."""
LEFT = timedelta(seconds=30)
"""How long one that was left running is taken to have its place still: after that, the vendor says who has one."""
CACHED = timedelta(hours=24)
"""How long the vendor knows an export, and so how long we do."""


class Exports:
    """What is known of one account's exports: its sources share the places that the vendor gives them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[datetime, Export]] = {}
        self._followed: list[str] = []
        self._queue: deque[object] = deque()

    def get(self, name: str, not_before: datetime) -> Export:
        heard_at, export = self._known.get(name, (self._clock.now(), Export(not_before)))
        return export if self._clock.now() - heard_at < ABANDONED else abandoned(export)

    def note(self, name: str, export: Export) -> None:
        now = self._clock.now()
        self._known = {name: known for name, known in self._known.items() if now - known[0] < CACHED}
        self._known[name] = now, export

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[None]:
        """One of the places, for a new export, in turn; one that is running already has its own."""
        ticket = object()
        self._queue.append(ticket)
        try:
            while name not in (taken := self._taken()):
                if len(taken) < MAX_RUNNING_EXPORTS and self._queue[0] is ticket:
                    break
                await self._clock.until(self._clock.now() + timedelta(seconds=1))
            self._followed.append(name)
        finally:
            self._queue.remove(ticket)
        try:
            yield
        finally:
            self._followed.remove(name)

    def _taken(self) -> set[str]:
        """By those who follow an export, and by exports that were left running not long ago."""
        latest = self._clock.now() - LEFT
        return {
            *self._followed,
            *(name for name, (at, export) in self._known.items() if export.running and at > latest),
        }
