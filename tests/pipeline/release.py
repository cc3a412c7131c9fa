"""A stream in one release of the collector, on the state that the previous release left in the state topic."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.cloudevents import Message
from collector.model import Account, Checkpoint, Record, Reject, Window
from collector.pipeline.batch import Batch, Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.message import Origin
from collector.pipeline.state import State, StateFormat, load
from tests.field_changes import FieldLists
from tests.pipeline.stream_cases import SEEN_MS, Row, StreamCase
from tests.rows import without_steps

START = datetime(2016, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
CHECKPOINT = Checkpoint(START, END, START, timedelta(hours=6), START)
PREFIX = "vendor/user/source/stream"


class Release:
    """One stream in one release, after `changes` of its field lists. `topic` is the state topic."""

    def __init__(self, case: StreamCase, topic: dict[str, bytes], *changes: FieldLists) -> None:
        self._case = case
        self._topic = topic
        self._changes = changes
        self._state_format = StateFormat(
            case.dedup_mode, 1 + len(changes), case.max_clock_offset, changes[-1].former if changes else None
        )
        self.state = load(PREFIX, self._state_format, topic)
        if self.state.checkpoint is None:
            self.commit(Batch(checkpoint=CHECKPOINT))

    def commit(self, batch: Batch) -> None:
        for key, value in self.state.pairs(batch).items():
            rest = key.decode().removeprefix(PREFIX).removeprefix("/")
            if value is None:
                del self._topic[rest]
            else:
                self._topic[rest] = value
        self.state.apply(batch)
        assert dict(_pages(load(PREFIX, self._state_format, self._topic))) == dict(_pages(self.state))

    def publish(self, rows: Sequence[Row], *, is_whole: bool = True) -> list[Message]:
        """Process one response and return the messages that are published for it."""
        case, state = self._case, self.state
        deduplicator: Deduplicator[Any] = Deduplicator(
            state.ledger, since_ms=0, until_ms=None, final_s=state.final_s, requested_s=SEEN_MS // 1000
        )
        deduplicator.add(map(self._upgraded, case.decode(rows)))
        gone = case.gone
        for change in self._changes:
            gone = None if gone is None else change.gone(gone)
        if gone is not None:
            deduplicator.find_missing(gone, is_whole=is_whole)
        context = Context(
            case.dedup_mode,
            Origin(Account("vendor", "632"), "mall", case.name),
            Window(START, END),
            END,
            END,
            is_live=True,
        )
        found: list[Message] = []
        for batch in without_steps(batches(deduplicator, case.explode, context)):
            self.commit(batch)
            found += batch.messages
        return found

    def _upgraded(self, row: Record[Any] | Reject) -> Record[Any] | Reject:
        for change in self._changes:
            row = change.upgraded(row) if isinstance(row, Record) else row
        return row

    def pages(self) -> dict[int, int]:
        """Return the field list version of each page. Pages of rejects have negative numbers."""
        return {number: version for number, (version, _) in _pages(self.state).items()}

    def versions(self) -> Counter[int]:
        """Count the pages of records by field list version."""
        return Counter(version for number, version in self.pages().items() if number >= 0)


class ProcessDied(BaseException):
    """The process died between two transactions."""


class CrashingRelease(Release):
    """A release whose process dies before a commit, once `commits_left` is 0."""

    commits_left = 1

    def commit(self, batch: Batch) -> None:
        if not self.commits_left:
            raise ProcessDied
        self.commits_left -= 1
        super().commit(batch)


def _pages(state: State) -> dict[int, tuple[int, bytes]]:
    return {number: (page.version, page.entries) for number, page in state.ledger.pages().items()}


def ids(messages: Iterable[Message]) -> Counter[str]:
    return Counter(message.id.decode() for message in messages)


def revisions(messages: Iterable[Message]) -> dict[str, int]:
    """Return the revision in each message by its record."""
    values = [json.loads(message.value) for message in messages]
    return {value["record_id"]: value["revision"] for value in values if "revision" in value}
