"""Kafka messages: CloudEvents 1.0 in the binary content mode of the Kafka protocol binding."""

from msgspec import Struct

Header = tuple[str, bytes]
_SPECVERSION: Header = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Header = ("content-type", b"application/json")
SCHEMA_ID = "__value_schema_id"
"""The header in which Confluent's deserializers look for the schema of a value."""
_FRAME_BYTES = 250
"""Upper bound for the header names, the length prefixes and the two fixed header values of one message."""


class Envelope(Struct, frozen=True):
    """What all messages of one event type from one stream have in common."""

    topic: str
    """The whole name, with its prefix."""
    source: Header
    type: Header
    schema_id: bytes | None = None
    """Names the schema of the values in a schema registry; None if the messages do not name it."""


class Message(Struct, frozen=True, gc=False):
    """One Kafka message.

    A transaction holds thousands of messages, so each stays small: headers are built when they are read.
    """

    envelope: Envelope
    key: bytes
    value: bytes
    id: bytes
    subject: bytes
    time: bytes

    @property
    def topic(self) -> str:
        return self.envelope.topic

    @property
    def headers(self) -> list[Header]:
        envelope = self.envelope
        headers = [
            _SPECVERSION,
            ("ce_id", self.id),
            envelope.source,
            envelope.type,
            ("ce_subject", self.subject),
            ("ce_time", self.time),
            _CONTENT_TYPE,
        ]
        if envelope.schema_id is not None:
            headers.append((SCHEMA_ID, envelope.schema_id))
        return headers

    @property
    def size(self) -> int:
        """Upper bound for the uncompressed size in bytes, with key and headers."""
        values = len(self.id) + len(self.subject) + len(self.envelope.source[1]) + len(self.envelope.type[1])
        return _FRAME_BYTES + len(self.key) + len(self.value) + values
