"""One stream in one release of the collector, from what the release before left in the state topic."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.cloudevents import Message
from collector.model import Checkpoint, Record, Reject, Window
from collector.pipeline.batch import Batch, Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.message import Origin
from collector.pipeline.state import Shape, State, load
from tests.changed import Lists
from tests.pipeline.kinds import SEEN_MS, Kind, Row

BEGIN = datetime(2016, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
HEAD = Checkpoint(BEGIN, END, BEGIN, timedelta(hours=6), BEGIN)
PREFIX = "vendor/user/source/stream"


class Release:
    """One stream in one release of the collector, from what the one before left in the state topic."""

    def __init__(self, kind: Kind, topic: dict[str, bytes], *changes: Lists) -> None:
        self._kind = kind
        self._topic = topic
        self._changes = changes
        self._shape = Shape(
            kind.dedup_mode, 1 + len(changes), kind.max_clock_offset, changes[-1].former if changes else None
        )
        self.state = load(PREFIX, self._shape, topic)
        if self.state.checkpoint is None:
            self.commit(Batch(checkpoint=HEAD))

    def commit(self, batch: Batch) -> None:
        for key, value in self.state.pairs(batch).items():
            place = key.decode().removeprefix(PREFIX).removeprefix("/")
            if value is None:
                del self._topic[place]
            else:
                self._topic[place] = value
        self.state.apply(batch)
        assert dict(_pages(load(PREFIX, self._shape, self._topic))) == dict(_pages(self.state))

    def take(self, rows: Sequence[Row], *, is_whole: bool = True) -> list[Message]:
        """What is published of one answer."""
        kind, state = self._kind, self.state
        deduplicator: Deduplicator[Any] = Deduplicator(
            state.ledger, since_ms=0, until_ms=None, final_s=state.final_s, requested_s=SEEN_MS // 1000
        )
        deduplicator.add(map(self._present, kind.read(rows)))
        gone = kind.gone
        for change in self._changes:
            gone = None if gone is None else change.gone(gone)
        if gone is not None:
            deduplicator.miss(gone, is_whole=is_whole)
        context = Context(kind.dedup_mode, Origin("vendor", "mall", kind.name), Window(BEGIN, END), END, END, live=True)
        found: list[Message] = []
        for batch in batches(deduplicator, kind.explode, context):
            self.commit(batch)
            found += batch.messages
        return found

    def _present(self, row: Record[Any] | Reject) -> Record[Any] | Reject:
        for change in self._changes:
            row = change.present(row) if isinstance(row, Record) else row
        return row

    def pages(self) -> dict[int, int]:
        """The version of each page's lists of fields; pages of rejects have numbers below zero."""
        return {number: version for number, (version, _) in _pages(self.state).items()}

    def versions(self) -> Counter[int]:
        """How many pages of records are of each version."""
        return Counter(version for number, version in self.pages().items() if number >= 0)


class ProcessDied(BaseException):
    """Between two transactions."""


class Dying(Release):
    """One that survives so many commits."""

    survives = 1

    def commit(self, batch: Batch) -> None:
        if not self.survives:
            raise ProcessDied
        self.survives -= 1
        super().commit(batch)


def _pages(state: State) -> dict[int, tuple[int, bytes]]:
    return {number: (page.version, page.entries) for number, page in state.ledger.pages().items()}


def ids(messages: Iterable[Message]) -> Counter[str]:
    return Counter(message.id.decode() for message in messages)


def revisions(messages: Iterable[Message]) -> dict[str, int]:
    """By record."""
    values = [json.loads(message.value) for message in messages]
    return {value["record_id"]: value["revision"] for value in values if "revision" in value}
