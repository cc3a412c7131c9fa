"""What the vendors' documents show, through the code that reads and publishes it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from collector.cloudevents import Message
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.pipeline.message import Origin, of_event, of_reject, record_digest

ASKED_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WINDOW = Window(ASKED_AT - timedelta(hours=1), ASKED_AT)


class Example(Struct, frozen=True):
    """An answer to a stream, and what its records become: as in the stream's own `ask` and `explode`."""

    origin: Origin
    dedup_mode: DedupMode
    records: Callable[[], Iterable[Record[Any] | Reject]]
    explode: Callable[[Record[Any], str, int], Iterable[Event]]


def published(example: Example) -> Iterator[Message]:
    """As the daemon does, of what it never saw before."""
    origin = example.origin
    for record in example.records():
        if isinstance(record, Reject):
            yield of_reject(record, origin, window=WINDOW, seen_at=ASKED_AT, reason="malformed")
        else:
            digest = record_digest(example.dedup_mode, record, 0)
            yield from (of_event(event, origin) for event in example.explode(record, digest, 0))
