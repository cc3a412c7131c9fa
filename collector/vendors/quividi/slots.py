"""The state of an account's exports, and its slots for running exports. All sources of an account share both."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from collector.clock import Clock
from collector.vendors.quividi.export import (
    MAX_RUNNING_EXPORTS,
    REMEMBERED,
    Export,
    Kind,
    abandoned,
    expected_s,
    resumed,
)

ABANDONED_AFTER = timedelta(minutes=10)
"""After this time without a poll, an export no longer counts as running, nor as requested by this process."""
SLOT_KEPT_FOR = timedelta(seconds=30)
"""How long a running export that nobody polls keeps its slot. If it runs for longer, the vendor may reject another."""
CACHED_FOR = timedelta(hours=24)
"""How long the vendor caches an export. Its state is stored here for as long."""
FAILED_KEPT_FOR = timedelta(hours=72)
"""How long the state of an export that failed is stored: it may be retried once a day, and then not rebuilt at once."""


class Exports:
    """The known exports of one account, by name, and its slots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[datetime, Export]] = {}
        self._polled: list[str] = []
        self._left_at: dict[str, datetime] = {}
        """When the callers of the known exports left their slots, whether the exports were finished or not."""
        self._queue: deque[object] = deque()
        self._durations: dict[Kind, deque[float]] = {}
        self.has_status_only = True
        """Whether the vendor answers `status_only` with the state of the export that has the same other arguments."""

    def get(self, name: str, not_before: datetime) -> Export:
        """The last known state of an export; a new one when it is unknown."""
        polled_at, export = self._known.get(name, (self._clock.now(), Export(not_before)))
        return resumed(export) if self._clock.now() - polled_at < ABANDONED_AFTER else abandoned(export)

    def put(self, name: str, export: Export) -> None:
        now = self._clock.now()
        self._known = {
            name: (at, known)
            for name, (at, known) in self._known.items()
            if now - at < (FAILED_KEPT_FOR if known.rebuilds else CACHED_FOR)
        }
        self._known[name] = now, export
        self._left_at = {name: left_at for name, left_at in self._left_at.items() if name in self._known}

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def expected_s(self, kind: Kind) -> float:
        """How long the vendor will probably build an export, in seconds: as long as those of the most similar size."""
        of_type = [known for known in self._durations if known[:3] == kind[:3]]
        nearest = min(of_type, key=lambda known: abs(known.size - kind.size), default=kind)
        return expected_s(self._durations.get(nearest, ()))

    def built(self, kind: Kind, took_s: float | None) -> None:
        """The vendor built an export within this many seconds; None if that is unknown."""
        if took_s is not None:
            self._durations.setdefault(kind, deque(maxlen=REMEMBERED)).append(took_s)

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[None]:
        """Hold a slot for an export. A running export already has one; a new export waits in a queue for a free one."""
        ticket = object()
        self._queue.append(ticket)
        try:
            while name not in (taken := self._taken()):
                if len(taken) < MAX_RUNNING_EXPORTS and self._queue[0] is ticket:
                    break
                await self._clock.until(self._clock.now() + timedelta(seconds=1))
            self._polled.append(name)
        finally:
            self._queue.remove(ticket)
        try:
            yield
        finally:
            self._polled.remove(name)
            self._left_at[name] = self._clock.now()

    def _taken(self) -> set[str]:
        """The exports that have a slot: those that are polled now, and running ones that were polled lately."""
        oldest = self._clock.now() - SLOT_KEPT_FOR
        return {
            *self._polled,
            *(
                name
                for name, (at, export) in self._known.items()
                if export.is_running and max(at, self._left_at.get(name, at)) > oldest
            ),
        }
