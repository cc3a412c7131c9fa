"""What one transaction commits: whole records' messages, what the ledger learns from them, and how far that is."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from collector.cloudevents import Message
from collector.instants import to_ms
from collector.model import Checkpoint, DedupMode, Event, Record, Reject, Tally, Window
from collector.pipeline.ledger import Deduplicator, NewRecords
from collector.pipeline.message import Origin, of_event, of_reject, record_digest
from collector.pipeline.page import Entry

P = TypeVar("P")
Explode = Callable[[Record[P], str, int], Iterable[Event]]
"""The events of a record, given the digest of its id and its number."""

MAX_TRANSACTION_BYTES = 4 << 20
"""Of messages in one transaction: its fixed cost is spread over thousands, and it is made in a tenth of a second."""
MAX_TRANSACTION_ENTRIES = 20_000
"""Of the ledger in one transaction: each page's chunk stays below half a message."""
MAX_RECORD_BYTES = 8 << 20
"""Of one record's messages, which must commit together."""
MAX_MESSAGE_BYTES = 900_000
"""Of one message with its key and headers: below Kafka's default of 1 MiB for a batch, whatever surrounds it."""


class Batch(Struct, frozen=True):
    """One transaction of one stream."""

    messages: Sequence[Message] = ()
    entries: Sequence[Entry] = ()
    checkpoint: Checkpoint | None = None
    tally: Tally = Tally()


class Context(Struct, frozen=True):
    """What the messages of one answer have in common."""

    dedup_mode: DedupMode
    origin: Origin
    window: Window
    requested_at: datetime
    watermark: datetime
    live: bool


class _Growing:
    """The batch that is being filled."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.entries: list[Entry] = []
        self.records: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.ends_ms: list[int] = []
        self.size = 0

    def has_room(self, size: int, entries: int) -> bool:
        return self.size + size <= MAX_TRANSACTION_BYTES and len(self.entries) + entries <= MAX_TRANSACTION_ENTRIES

    def add(self, row: "_Row") -> None:
        self.messages += row.messages
        self.size += row.size
        self.records[row.outcome] += 1
        if row.reason:
            self.dead_letters[row.reason] += 1
            return
        self.events.update(row.types)
        if row.delay_from_ms is not None:
            self.ends_ms.append(row.delay_from_ms)

    def done(self) -> Batch:
        tally = Tally(self.records, self.events, self.dead_letters, self.ends_ms)
        return Batch(self.messages, self.entries, None, tally)


class _Row(Struct, frozen=True):
    """The messages of one record, or its dead letter."""

    messages: Sequence[Message]
    types: Sequence[str]
    size: int
    outcome: str
    reason: str = ""
    delay_from_ms: int | None = None


def batches(deduplicator: Deduplicator[P], explode: Explode[P], context: Context) -> Iterator[Batch]:
    """Sift, explode, encode, and cut by size; lazily, so that only one transaction's messages exist at a time."""
    growing = _Growing()
    for new_records in deduplicator.new():
        rows = _rows(new_records, explode, context)
        if growing.entries and not growing.has_room(sum(row.size for row in rows), len(new_records.entries)):
            yield growing.done()
            growing = _Growing()
        for row in rows:
            growing.add(row)
        growing.entries += new_records.entries
    growing.records.update(duplicate=deduplicator.duplicate, outside=deduplicator.outside)
    if growing.entries or any(growing.records.values()):
        yield growing.done()


def _rows(new_records: NewRecords[P], explode: Explode[P], context: Context) -> list[_Row]:
    if new_records.reject is not None:
        return [_letter(new_records.reject, "malformed", context)]
    return [_row(new.record, new.number, explode, context) for new in new_records.records]


def _row(record: Record[P], number: int, explode: Explode[P], context: Context) -> _Row:
    messages: list[Message] = []
    types: list[str] = []
    size, origin = 0, context.origin
    for event in explode(record, record_digest(context.dedup_mode, record, number), number):
        message = of_event(event, origin)
        messages.append(message)
        types.append(event.type.name)
        own = message.size
        size += own
        if own > MAX_MESSAGE_BYTES or size > MAX_RECORD_BYTES:
            error = (
                f"its message {event.id} has {own} bytes, of {MAX_MESSAGE_BYTES} at most"
                if own > MAX_MESSAGE_BYTES
                else f"its messages have more than {MAX_RECORD_BYTES} bytes"
            )
            return _letter(Reject(msgspec.json.encode(record.payload), error, event.key), "too_large", context)
    if context.dedup_mode is not DedupMode.MULTISET and number:
        return _Row(messages, types, size, "revision")
    if record.end_ms < to_ms(context.watermark):
        return _Row(messages, types, size, "late")
    return _Row(messages, types, size, "fresh", delay_from_ms=record.end_ms if context.live else None)


def _letter(reject: Reject, reason: Literal["malformed", "too_large"], context: Context) -> _Row:
    message = of_reject(reject, context.origin, window=context.window, seen_at=context.requested_at, reason=reason)
    return _Row([message], (), message.size, "rejected", reason)
