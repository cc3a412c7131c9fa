"""Messages from documented responses, through the code that decodes and publishes them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from collector.cloudevents import Message
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.pipeline.message import Origin, dead_letter_message, event_message, record_digest
from tests.rows import published_rows

REQUESTED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WINDOW = Window(REQUESTED_AT - timedelta(hours=1), REQUESTED_AT)


class Example(Struct, frozen=True):
    """A stream's decoding of a response, and its `explode`."""

    origin: Origin
    dedup_mode: DedupMode
    records: Callable[[], Iterable[Record[Any] | Reject | None]]
    explode: Callable[[Record[Any], str, int], Iterable[Event]]


def published(example: Example) -> Iterator[Message]:
    """Yield the messages that the daemon publishes for new records."""
    origin = example.origin
    for record in published_rows(example.records()):
        if isinstance(record, Reject):
            yield dead_letter_message(record, origin, window=WINDOW, seen_at=REQUESTED_AT, reason="malformed")
        elif not record.only_if_known:
            digest = record_digest(example.dedup_mode, record, 0, origin.account)
            yield from (event_message(event, origin) for event in example.explode(record, digest, 0))
