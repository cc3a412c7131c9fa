"""Kafka messages: CloudEvents 1.0 in the binary content mode of the Kafka protocol binding.

A message is encoded once, as a part of a record in Kafka's format version 2: its key, its value and its headers, each
after its length.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import force_setattr

Header = tuple[str, bytes]
_SPECVERSION: Header = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Header = ("content-type", b"application/json")
SCHEMA_ID = "__value_schema_id"
"""The header in which Confluent's deserializers look for the schema of a value."""
_BEFORE_VALUE_ID = b'{"event_id":"'
_NULL = b"\x01"
"""The length of a field that is absent: -1."""
_MORE = 0x80
"""Set in each byte of a varint but the last."""
_RECORD_BYTES = 16
"""Upper bound for what precedes the key of a record: its own length, attributes, and the deltas of time and offset."""


def varint(number: int) -> bytes:
    """A number from 0 on as a zigzag varint: seven bits in a byte, the lowest first."""
    encoded, rest = bytearray(), number << 1
    while rest >= _MORE:
        encoded.append(rest % _MORE + _MORE)
        rest //= _MORE
    encoded.append(rest)
    return bytes(encoded)


VARINTS = tuple(map(varint, range(4096)))
"""The varints of the usual lengths."""


def usual_varint(number: int) -> bytes:
    """As `varint`, and faster for usual numbers."""
    return VARINTS[number] if number < len(VARINTS) else varint(number)


def record_of(key: bytes, value: bytes | None, headers: Iterable[Header] = ()) -> bytes:
    """Key, value and headers, in the form in which a record contains them. Without a value, it is a tombstone."""
    headers = list(headers)
    with_length = _NULL if value is None else _with_length(value)
    return b"".join([_with_length(key), with_length, varint(len(headers)), *map(_encoded, headers)])


def _with_length(field: bytes) -> bytes:
    return usual_varint(len(field)) + field


def _encoded(header: Header) -> bytes:
    name, value = header
    return _with_length(name.encode()) + _with_length(value)


class Envelope(Struct, frozen=True):
    """What all messages of one event type from one stream have in common."""

    topic: str
    """The whole name, with its prefix."""
    source: Header
    type: Header
    schema_id: bytes | None = None
    """Names the schema of the values in a schema registry; None if the messages do not name it."""
    fields: bytes = b""
    """The fields that all values have after the event's id: JSON, with a comma at the end of each."""
    type_name: str = ""
    """The name of the type, as it is counted."""
    _value_bytes: int = 0
    """Bytes of a value without its id and `data`."""
    _after_value_id: bytes = b""
    _before_id: bytes = b""
    _before_subject: bytes = b""
    _before_time: bytes = _with_length(b"ce_time")
    _after_time: bytes = b""

    def __post_init__(self) -> None:
        force_setattr(self, "type_name", self.type[1].decode())
        force_setattr(self, "_after_value_id", b'",' + self.fields)
        force_setattr(self, "_value_bytes", len(_BEFORE_VALUE_ID) + len(self._after_value_id) - 1)
        headers = self.headers(b"", b"", b"")
        last = headers[headers.index(_CONTENT_TYPE) :]
        force_setattr(self, "_before_id", varint(len(headers)) + _encoded(_SPECVERSION) + _with_length(b"ce_id"))
        force_setattr(
            self, "_before_subject", _encoded(self.source) + _encoded(self.type) + _with_length(b"ce_subject")
        )
        force_setattr(self, "_after_time", b"".join(map(_encoded, last)))

    def event(self, key: bytes, event_id: bytes, data: bytes, subject: bytes, time: bytes) -> "Message":
        """The message of an event. `data` is a JSON object with the fields of its type; everything is in UTF-8.

        What is equal for all messages of the envelope is encoded once. `plain_event` is the same without that.
        """
        try:
            parts = (
                VARINTS[len(key)],
                key,
                VARINTS[self._value_bytes + len(event_id) + len(data)],
                _BEFORE_VALUE_ID,
                event_id,
                self._after_value_id,
                data[1:],
                self._before_id,
                VARINTS[len(event_id)],
                event_id,
                self._before_subject,
                VARINTS[len(subject)],
                subject,
                self._before_time,
                VARINTS[len(time)],
                time,
                self._after_time,
            )
        except IndexError:  # unusually long
            return self.plain_event(key, event_id, data, subject, time)
        return Message(self, key, b"".join(parts))

    def of_record(self, key: bytes, subject: bytes, id_before_number: bytes) -> "RecordEnvelope":
        """The envelope for events of one record, which have this key and subject, and ids that begin like this."""
        return RecordEnvelope(
            self,
            key,
            self._value_bytes + 1 + len(id_before_number),
            _with_length(key),
            _BEFORE_VALUE_ID + id_before_number,
            self._after_value_id,
            self._before_id,
            id_before_number,
            self._before_subject + _with_length(subject) + self._before_time,
            self._after_time,
        )

    def plain_event(self, key: bytes, event_id: bytes, data: bytes, subject: bytes, time: bytes) -> "Message":
        """As `event`, without anything that is encoded in advance."""
        value = b'{"event_id":"%b",%b%b' % (event_id, self.fields, data[1:])
        return Message(self, key, record_of(key, value, self.headers(event_id, subject, time)))

    def headers(self, event_id: bytes, subject: bytes, time: bytes) -> list[Header]:
        """The headers of a message with these attributes."""
        headers = [
            _SPECVERSION,
            ("ce_id", event_id),
            self.source,
            self.type,
            ("ce_subject", subject),
            ("ce_time", time),
            _CONTENT_TYPE,
        ]
        return headers if self.schema_id is None else [*headers, (SCHEMA_ID, self.schema_id)]


class RecordEnvelope(Struct, frozen=True):
    """What all messages of one kind of event from one record have in common. Their ids end with different numbers."""

    envelope: Envelope
    key: bytes
    value_bytes: int
    """Bytes of a value without the number and its own fields."""
    before_value: bytes
    before_number: bytes
    after_number: bytes
    headers: bytes
    """Those before the header with the id."""
    id_before_number: bytes
    before_time: bytes
    after_time: bytes

    def event(self, number: bytes, fields: bytes, time: bytes) -> "Message":
        """As `Envelope.event`, for the event with this number. `fields` is `data` without its opening brace."""
        size = self.value_bytes + len(number) + len(fields)
        parts = (
            self.before_value,
            VARINTS[size] if size < len(VARINTS) else varint(size),
            self.before_number,
            number,
            self.after_number,
            fields,
            self.headers,
            VARINTS[len(self.id_before_number) + len(number)],
            self.id_before_number,
            number,
            self.before_time,
            VARINTS[len(time)],
            time,
            self.after_time,
        )
        return Message(self.envelope, self.key, b"".join(parts))


class Message(Struct, frozen=True, gc=False):
    """One Kafka message.

    A transaction holds thousands of messages, so each is small: its parts are decoded when they are read.
    """

    envelope: Envelope
    key: bytes
    record: bytes
    """Key, value and headers, as `record_of` returns them."""

    @property
    def topic(self) -> str:
        return self.envelope.topic

    @property
    def value(self) -> bytes:
        return self._decoded()[0]

    @property
    def headers(self) -> list[Header]:
        return self._decoded()[1]

    @property
    def id(self) -> bytes:
        return dict(self.headers)["ce_id"]

    @property
    def subject(self) -> bytes:
        return dict(self.headers)["ce_subject"]

    @property
    def time(self) -> bytes:
        return dict(self.headers)["ce_time"]

    @property
    def size(self) -> int:
        """Upper bound for the uncompressed size in bytes, with key and headers."""
        return len(self.record) + _RECORD_BYTES

    def _decoded(self) -> tuple[bytes, list[Header]]:
        """Value and headers."""
        fields = _Fields(self.record)
        fields.bytes()
        value = fields.bytes()
        return value, [(fields.bytes().decode(), fields.bytes()) for _ in range(fields.number())]


class _Fields:
    """Reads the fields of an encoded record, one after the other."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._position = 0

    def number(self) -> int:
        number, unit = 0, 1
        while True:
            byte = self._record[self._position]
            self._position += 1
            number, unit = number + byte % _MORE * unit, unit * _MORE
            if byte < _MORE:
                return number >> 1

    def bytes(self) -> bytes:
        length = self.number()
        self._position += length
        return self._record[self._position - length : self._position]
