"""Batches: the messages, ledger entries and checkpoint that one transaction commits."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct, field

from collector.cloudevents import Envelope, Message
from collector.instants import to_ms
from collector.model import Checkpoint, DedupMode, Event, EventType, Record, Reject, Tally, Window
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import NewRecords, NumberedRecord, too_many_versions
from collector.pipeline.message import Origin, dead_letter_message, encoded, event_envelope, record_digest
from collector.pipeline.page import Entry
from collector.steps import Steps, at_once

P = TypeVar("P")
Explode = Callable[[Record[P], str, int], Iterable[Event]]
"""Returns the events of a record, given the digest for their ids and the record's number."""

Encode = Callable[[Record[P], str, int, Callable[[EventType], Envelope]], Iterable[Message]]
"""Returns the messages of these events, given the envelope of each type."""

OnlyParts = Callable[[Record[P], Mapping[int, int]], Record[P]]
"""Returns a record of which only these parts are published, by index, with the position of each."""

MAX_TRANSACTION_BYTES = 4 << 20
"""Bytes of the messages of one transaction: enough to spread its fixed cost, few enough to be encoded in 0.1 s."""
MIN_TRANSACTION_BYTES = 64 << 10
"""The same under a quota, however low: 30 s of 2 kB/s, before compression."""
MAX_TRANSACTION_ENTRIES = 20_000
"""Ledger entries of one transaction, unless a single key has more."""
MAX_RECORD_BYTES = 8 << 20
"""Bytes of the messages of one record, which must be committed together."""
MAX_KEY_BYTES = 32 << 20
"""Bytes of the messages of one key, whose new records must be committed together."""
STEP_BYTES = 16 << 10
"""Bytes of messages that are encoded in one step: those of a usual record, in a tenth of a millisecond."""
MAX_MESSAGE_BYTES = 900_000
"""Bytes of one message with key and headers: below Kafka's default of 1 MiB for a batch, with room for its overhead."""


class Batch(Struct, frozen=True):
    """What one transaction of one stream commits."""

    messages: Sequence[Message] = ()
    entries: Sequence[Entry] = ()
    checkpoint: Checkpoint | None = None
    tally: Tally = Tally()


class TransactionSize:
    """How many bytes the messages of one stream's transactions may have, after how long its commits take.

    Under a quota of the brokers, a commit of the usual size may not end before its deadline. To repeat it would use up
    the quota again, without end.
    """

    def __init__(self) -> None:
        self.limit = MAX_TRANSACTION_BYTES

    def committed(self, messages: Sequence[Message], took_s: float, deadline_s: float) -> None:
        """A commit took so long; it would have failed at the deadline."""
        if took_s > deadline_s / 2:
            self.timed_out()
            return
        if self.limit == MAX_TRANSACTION_BYTES or took_s > deadline_s / 8:
            return
        if sum(each.size for each in messages) > self.limit / 2:  # a small commit says nothing of a larger one
            self.limit = min(MAX_TRANSACTION_BYTES, self.limit * 2)

    def timed_out(self) -> None:
        """A commit did not end before its deadline."""
        self.limit = max(MIN_TRANSACTION_BYTES, self.limit // 2)


class Context(Struct, frozen=True):
    """What is needed to encode the records of one result."""

    dedup_mode: DedupMode
    origin: Origin
    window: Window
    requested_at: datetime
    watermark: datetime
    """The watermark before the window: a record that ends before it is late."""
    is_live: bool
    """Whether a live pass fetched the result: only then does a fresh record have an event delay."""
    transaction: TransactionSize = field(default_factory=TransactionSize)

    _envelopes: dict[str, Envelope] = field(default_factory=dict)
    """By the name of the type."""

    def envelope_of(self, event_type: EventType) -> Envelope:
        """What the messages of a type have in common."""
        envelope = self._envelopes.get(event_type.name)
        if envelope is None:
            envelope = self._envelopes[event_type.name] = event_envelope(event_type, self.origin)
        return envelope


class _BatchBuilder:
    """Collects the rows of one batch."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.entries: list[Entry] = []
        self.records: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.ends_ms: list[int] = []
        self.size = 0

    def has_room(self, size: int, entries: int, limit: int) -> bool:
        """Whether messages of `size` bytes, and this many ledger entries, fit into a transaction of `limit` bytes."""
        return self.size + size <= limit and len(self.entries) + entries <= MAX_TRANSACTION_ENTRIES

    def add(self, row: "_EncodedRow") -> None:
        self.messages += row.messages
        self.size += row.size
        self.records[row.outcome] += 1
        if row.reason:
            self.dead_letters[row.reason] += 1
            return
        self.events.update([message.envelope.type_name for message in row.messages])
        if row.delay_from_ms is not None:
            self.ends_ms.append(row.delay_from_ms)

    def build(self) -> Batch:
        tally = Tally(self.records, self.events, self.dead_letters, self.ends_ms)
        return Batch(self.messages, self.entries, None, tally)


class _EncodedRow(Struct, frozen=True):
    """The messages of one record, or the dead letter of a row."""

    messages: Sequence[Message]
    size: int
    """Bytes of the messages."""
    outcome: str
    """The outcome under which the record is counted: see `Tally.records`."""
    reason: str = ""
    """Why it is a dead letter; empty for events."""
    delay_from_ms: int | None = None
    """From when the event delay is measured, in Unix milliseconds; None where it is not measured."""


def batches(
    deduplicator: Deduplicator[P],
    explode: Explode[P],
    context: Context,
    only_parts: OnlyParts[P] | None = None,
    encode: Encode[P] | None = None,
) -> Iterator[Batch | None]:
    """Explode and encode what is new, and divide it into transactions by size. Yields None after each other step.

    `only_parts` and `encode` are those of the stream. Lazy: the messages of only one transaction are in memory at a
    time. The last batch also counts the duplicates. Raises Park if a single key has more messages than one transaction
    may have.
    """
    builder, encode = _BatchBuilder(), encode or _encode_events(explode)
    for new_records in deduplicator.take_new():
        yield None
        if new_records is None:
            continue
        rows = yield from _rows(new_records, encode, context, only_parts)
        size, limit = sum(row.size for row in rows), context.transaction.limit
        if builder.entries and not builder.has_room(size, len(new_records.entries), limit):
            yield builder.build()
            builder = _BatchBuilder()
        for row in rows:
            builder.add(row)
        builder.entries += new_records.entries
    builder.records.update(duplicate=deduplicator.duplicate, outside=deduplicator.outside)
    if builder.entries or any(builder.records.values()):
        yield builder.build()


def _encode_events(explode: Explode[P]) -> Encode[P]:
    """Encode the events one by one."""

    def encode(
        record: Record[P], digest: str, number: int, envelope_of: Callable[[EventType], Envelope]
    ) -> Iterator[Message]:
        for event in explode(record, digest, number):
            yield encoded(event, envelope_of(event.type))

    return encode


def _rows(
    new_records: NewRecords[P], encode: Encode[P], context: Context, only_parts: OnlyParts[P] | None
) -> Steps[list[_EncodedRow]]:
    if new_records.reject is not None:
        return [_dead_letter(new_records.reject, "malformed", context)]
    rows: list[_EncodedRow] = []
    size = 0
    for new in new_records.records:
        row = yield from _row(new, encode, context, only_parts)
        rows.append(row)
        size += row.size
        if size > MAX_KEY_BYTES:
            raise too_many_versions(f"the messages of a single key have more than {MAX_KEY_BYTES} bytes")
    return rows


def record_messages(
    new: NumberedRecord[P], explode: Explode[P], context: Context, only_parts: OnlyParts[P] | None = None
) -> Sequence[Message] | None:
    """The messages of one record, without regard to others; None if they are too large."""
    row = at_once(_row(new, _encode_events(explode), context, only_parts))
    return None if row.reason else row.messages


def _row(
    new: NumberedRecord[P], encode: Encode[P], context: Context, only_parts: OnlyParts[P] | None
) -> Steps[_EncodedRow]:
    record, number = new.record, new.number
    if new.parts is not None and only_parts is not None:
        record = only_parts(record, new.parts)
    messages: list[Message] = []
    size, step_ends = 0, STEP_BYTES
    digest = record_digest(context.dedup_mode, record, number, context.origin.account)
    for message in encode(record, digest, number, context.envelope_of):
        messages.append(message)
        message_size = message.size
        size += message_size
        if message_size > MAX_MESSAGE_BYTES or size > MAX_RECORD_BYTES:
            error = (
                f"its message {message.id.decode()} has {message_size} bytes, the maximum is {MAX_MESSAGE_BYTES}"
                if message_size > MAX_MESSAGE_BYTES
                else f"its messages have more than {MAX_RECORD_BYTES} bytes in total"
            )
            reject = Reject(msgspec.json.encode(record.payload), error, message.key.decode())
            return _dead_letter(reject, "too_large", context)
        if size >= step_ends:
            yield
            step_ends = size + STEP_BYTES
    if new.parts is not None or (context.dedup_mode is not DedupMode.MULTISET and number):
        return _EncodedRow(messages, size, "revision")
    if record.end_ms < to_ms(context.watermark):
        return _EncodedRow(messages, size, "late")
    return _EncodedRow(messages, size, "fresh", delay_from_ms=record.end_ms if context.is_live else None)


def _dead_letter(reject: Reject, reason: Literal["malformed", "too_large"], context: Context) -> _EncodedRow:
    message = dead_letter_message(
        reject, context.origin, window=context.window, seen_at=context.requested_at, reason=reason
    )
    return _EncodedRow([message], message.size, "rejected", reason)
