"""Encodes events and dead letters as Kafka messages: CloudEvents 1.0 in binary mode with JSON values."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from collector.cloudevents import Envelope, Message
from collector.instants import Timestamp, format_instant
from collector.model import Account, DedupMode, Event, EventType, Record, Reject, Window
from collector.occurrences import beginning

MAX_PAYLOAD_BYTES = 64 << 10
"""The maximum payload of a dead letter: enough to find the error, and small enough to fit into any message."""
MAX_ERROR_BYTES = 4 << 10
MAX_KEY_CHARACTERS = 1000
"""A key that is longer is not that of any event. The dead letter then has the key of its stream."""
SECRET_BYTES = 512 << 10
"""More than any secret in a payload: a secret has at most 64 KiB, and each byte may be escaped, as in `\\u003d`."""

_encode = msgspec.json.Encoder().encode


class CommonFields(Struct, frozen=True, kw_only=True):
    """The first fields of every value. They are written here for all types, before those of the type itself."""

    event_id: Annotated[str, Meta(description="`<digest>/<kind>/<number>`: unique, and never changes.")]
    type: Annotated[str, Meta(description="The type and its version.")]
    vendor: Annotated[str, Meta(description="The vendor: `quividi` or `seemetrix`.")]
    source: Annotated[str, Meta(description="The source's name in the collector's configuration.")]


class DeadLetterV1(Struct, frozen=True, kw_only=True):
    """A row, or a record, that could not be published."""

    stream: Annotated[str, Meta(description="The stream's name, e.g. `sessions`.")]
    seen_at: Annotated[Timestamp, Meta(description="When the collector requested the window.")]
    window_start: Annotated[Timestamp, Meta(description="Start of the window whose response contained the row.")]
    window_end: Annotated[Timestamp, Meta(description="End of that window, exclusive.")]
    reason: Annotated[
        Literal["malformed", "too_large"],
        Meta(description="`malformed`: it could not be decoded. `too_large`: its messages exceed the size limits."),
    ]
    error: Annotated[str, Meta(description="What is wrong, and where in the row.")]
    payload: Annotated[str, Meta(description="The row as received, without secrets, truncated to 64 KiB.")]
    place: Annotated[
        str | None,
        Meta(
            description="Where the row was found, as far as the row does not say it: for example the device and the "
            "period of the request. Empty if the row says all; null in dead letters of earlier releases."
        ),
    ] = None
    timezone: Annotated[
        str | None,
        Meta(
            description="The time zone in which the collector reads the stream's local times, such as "
            "`Europe/Paris`; null in dead letters of earlier releases."
        ),
    ] = None


DEAD_LETTER = EventType("collector.dead_letter.v1", "collector.dead_letters", DeadLetterV1)


StreamProgress = Literal["live", "catching_up", "complete"]
"""What a stream is doing, as `collector.progress` reports it."""


class ProgressV1(Struct, frozen=True, kw_only=True):
    """How far a stream is. Published when it changes, in the transaction that changes it.

    Everything that the stream published before is in Kafka already: it is never ahead of the events.
    """

    stream: Annotated[str, Meta(description="The stream's name, e.g. `sessions`.")]
    watermark: Annotated[
        Timestamp,
        Meta(
            description="Every event that started before it is published, as far as the vendor had it when requested."
        ),
    ]
    final: Annotated[
        Timestamp,
        Meta(
            description="Every event that started before it is published, and nothing more is expected: all of it was "
            "requested again after the allowed lateness. Holds for what the source selected then. Moves back only when "
            "an operator rewinds the stream, or changes its lateness, resolution, time zones or account."
        ),
    ]
    state: Annotated[
        StreamProgress,
        Meta(
            description="`live`: polls reach the present. `catching_up`: older data is being fetched, or fetching "
            "fails. `complete`: the stream has an end, and everything before it is published."
        ),
    ]
    committed_at: Annotated[
        Timestamp, Meta(description="When the transaction was committed, by the collector's clock.")
    ]


PROGRESS = EventType("collector.progress.v1", "collector.progress", ProgressV1, compacted=True)


class Origin(Struct, frozen=True):
    """The source and the stream of records, as their messages name them."""

    account: Account
    source: str
    stream: str
    redact: Callable[[str], str] = str
    """Removes secrets from a text."""
    topic_prefix: str = ""
    """Of the topics of its events and dead letters."""
    progress_prefix: str = ""
    """Of the topic of its progress, which all sources share."""
    schema_ids: Mapping[str, bytes] = {}
    """The ids of the schemas, by the name of the type, that the headers of the messages contain."""
    timezone: str | None = None
    """The time zone of the vendor's local times."""


def topics_of(types: Iterable[EventType], topic_prefix: str, progress_prefix: str) -> dict[str, EventType]:
    """The topics of a source that publishes these types, its dead letters and its progress, each with its type.

    The prefixes are those of an Origin.
    """
    own = {topic_prefix + each.topic: each for each in (*types, DEAD_LETTER)}
    return own | {progress_prefix + PROGRESS.topic: PROGRESS}


def record_digest(dedup_mode: DedupMode, record: Record[Any], number: int, account: Account) -> str:
    """32 hex digits that identify a record and its number. Event ids contain them: their definition must not change.

    Two sources of one account make equal ids of one record; two accounts never do.
    """
    content = b"" if dedup_mode is DedupMode.MULTISET else record.fingerprint
    return _hexdigest(_account_bytes(account), record.key, content, number.to_bytes(8, "big"))


@lru_cache(maxsize=256)
def _account_bytes(account: Account) -> bytes:
    return str(account).encode()


def _hexdigest(*parts: bytes) -> str:
    """A digest of the parts, and of where one ends and the next one begins."""
    lengths = b"".join(len(part).to_bytes(4, "big") for part in parts)
    return blake2b(lengths + b"".join(parts), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _envelope(vendor: str, source: str, topic: str, name: str, schema_id: bytes | None) -> Envelope:
    fields = b'"type":%b,"vendor":%b,"source":%b,' % (_encode(name), _encode(vendor), _encode(source))
    headers = ("ce_source", f"/{vendor}/{source}".encode()), ("ce_type", name.encode())
    return Envelope(topic, *headers, schema_id, fields)


def event_message(event: Event, origin: Origin) -> Message:
    """The Kafka message of an event."""
    return encoded(event, event_envelope(event.type, origin))


def event_envelope(event_type: EventType, origin: Origin) -> Envelope:
    """What the messages of an event type have in common."""
    return _type_envelope(event_type, origin, origin.topic_prefix)


def _type_envelope(event_type: EventType, origin: Origin, topic_prefix: str) -> Envelope:
    name, topic = event_type.name, topic_prefix + event_type.topic
    return _envelope(origin.account.vendor, origin.source, topic, name, origin.schema_ids.get(name))


def encoded(event: Event, envelope: Envelope) -> Message:
    """The message of an event, in the envelope of its type."""
    return envelope.event(
        event.key.encode(), event.id.encode(), _encode(event.data), event.subject.encode(), event.time.encode()
    )


def dead_letter_digest(origin: Origin, place: str, payload: bytes) -> str:
    """The first part of a dead letter's id: 32 hex digits of the account, the stream, the place and the whole row."""
    stream = f"{origin.source}/{origin.stream}"
    return _hexdigest(_account_bytes(origin.account), stream.encode(), place.encode(), payload)


def dead_letter_message(
    reject: Reject, origin: Origin, *, window: Window, seen_at: datetime, reason: Literal["malformed", "too_large"]
) -> Message:
    """The dead letter of a row. Equal rows of one place in one stream have one id."""
    stream = f"{origin.source}/{origin.stream}"
    identity = dead_letter_digest(origin, reject.place, reject.payload)
    letter = DeadLetterV1(
        stream=origin.stream,
        seen_at=format_instant(seen_at),
        window_start=format_instant(window.start),
        window_end=format_instant(window.end),
        reason=reason,
        error=beginning(reject.error.encode("utf-8", "replace"), MAX_ERROR_BYTES, SECRET_BYTES, origin.redact),
        payload=beginning(reject.payload, MAX_PAYLOAD_BYTES, SECRET_BYTES, origin.redact),
        place=origin.redact(reject.place),
        timezone=origin.timezone,
    )
    subject = f"stream/{stream}"
    key = reject.key if reject.key and len(reject.key) <= MAX_KEY_CHARACTERS else stream
    return event_message(Event(DEAD_LETTER, f"{identity}/dead_letter/0", subject, letter.seen_at, key, letter), origin)


def progress_message(
    watermark: datetime, final: datetime, state: StreamProgress, origin: Origin, committed_at: datetime
) -> Message:
    """The message that tells consumers how far a stream is."""
    stream = f"{origin.source}/{origin.stream}"
    progress = ProgressV1(
        stream=origin.stream,
        watermark=format_instant(watermark),
        final=format_instant(final),
        state=state,
        committed_at=format_instant(committed_at),
    )
    parts = (stream, progress.watermark, progress.final, state, progress.committed_at)
    identity = _hexdigest(_account_bytes(origin.account), *(part.encode() for part in parts))
    event = Event(
        PROGRESS, f"{identity}/progress/0", f"stream/{stream}", progress.committed_at, key=stream, data=progress
    )
    return encoded(event, _type_envelope(PROGRESS, origin, origin.progress_prefix))
