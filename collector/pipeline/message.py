"""An event, or a dead letter, as Kafka sees it: CloudEvents 1.0 in Kafka's binary mode, JSON values."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from collector.cloudevents import Envelope, Message
from collector.instants import Timestamp, format_instant
from collector.model import DedupMode, Event, EventType, Record, Reject, Window

MAX_PAYLOAD_BYTES = 64 << 10
"""Of a dead letter's payload: enough to see what was wrong, and a dead letter must always fit into a message."""

_encode = msgspec.json.Encoder().encode


class DeadLetterV1(Struct, frozen=True, kw_only=True):
    """A record that could not be published."""

    source: Annotated[str, Meta(description="The source's name in the configuration.")]
    stream: Annotated[str, Meta(description="The stream's name, e.g. `sessions`.")]
    window_start: Annotated[Timestamp, Meta(description="Start of the window whose answer held the record.")]
    window_end: Annotated[Timestamp, Meta(description="End of that window, itself not in it.")]
    reason: Annotated[
        Literal["malformed", "too_large"],
        Meta(description="`malformed`: it could not be understood. `too_large`: its events do not fit into Kafka."),
    ]
    error: Annotated[str, Meta(description="What was wrong, and where in the record.")]
    payload: Annotated[str, Meta(description="The record as it came, without secrets, cut at 64 KiB.")]
    seen_at: Annotated[Timestamp, Meta(description="When the collector asked for it.")]


DEAD_LETTER = EventType("collector.dead_letter.v1", "collector.dead_letters", DeadLetterV1)


class Origin(Struct, frozen=True):
    """Where the records of a stream come from, for what their messages say of it."""

    vendor: str
    source: str
    stream: str
    redact: Callable[[str], str] = str
    """Takes the secrets out of a text."""


def record_digest(dedup_mode: DedupMode, record: Record[Any], number: int) -> str:
    """32 hex digits that are the same for the same record for ever, in every replica, after every restart."""
    said = b"" if dedup_mode is DedupMode.MULTISET else record.fingerprint
    parts = (len(record.key).to_bytes(4, "big"), record.key, said, number.to_bytes(8, "big"))
    return blake2b(b"".join(parts), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _envelope(vendor: str, source: str, topic: str, name: str) -> Envelope:
    return Envelope(topic, ("ce_source", f"/{vendor}/{source}".encode()), ("ce_type", name.encode()))


def of_event(event: Event, origin: Origin) -> Message:
    kind = event.type
    return Message(
        _envelope(origin.vendor, origin.source, kind.topic, kind.name),
        event.key.encode(),
        _encode(event.data),
        event.id.encode(),
        event.subject.encode(),
        event.time.encode(),
    )


def of_reject(
    reject: Reject, origin: Origin, *, window: Window, seen_at: datetime, reason: Literal["malformed", "too_large"]
) -> Message:
    identity = blake2b(reject.payload, digest_size=16, person=b"dead_letter").hexdigest()
    stream = f"{origin.source}/{origin.stream}"
    letter = DeadLetterV1(
        source=origin.source,
        stream=origin.stream,
        window_start=format_instant(window.start),
        window_end=format_instant(window.end),
        reason=reason,
        error=origin.redact(reject.error),
        payload=_cut(origin.redact(reject.payload.decode("utf-8", "replace"))),
        seen_at=format_instant(seen_at),
    )
    subject = f"stream/{stream}"
    return of_event(
        Event(DEAD_LETTER, f"{identity}/dead_letter/0", subject, letter.seen_at, reject.key or stream, letter), origin
    )


def _cut(text: str) -> str:
    """After the secrets are taken out: one that lay across the cut would not be recognised."""
    return text.encode()[:MAX_PAYLOAD_BYTES].decode("utf-8", "ignore")
