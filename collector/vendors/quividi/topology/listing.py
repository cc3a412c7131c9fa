"""What all lists of an account have in common: how they are decoded, and the first fields of their events. Pure.

Source: the vendor's pages on its topology, on tags and on clip metadata. All lists are plain arrays of objects with a
number, `id`. They contain all that the user may see, whatever the source selects.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct, structs

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record, Reject
from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder
from collector.vendors.quividi.topology.values import Identifier
from collector.vendors.raw_rows import MAX_ROWS, RawRows, as_list

FIELDS_VERSION = 1
"""The version of the lists of fields, in all streams of this package: the key is the number, and the kind of a tag; the
fingerprint all fields of the event after the first ones."""

SeenAt = Annotated[Timestamp, Meta(description="Time of the request for the list, in UTC.")]
IsGone = Annotated[
    bool,
    Meta(description="Whether several consecutive complete lists lacked it. All fields about it are then null."),
]

_GONE = b"gone"
_FIRST = frozenset(("record_id", "revision", "seen_at", "is_gone"))
_key = struct.Struct(">Q")
"""Eight bytes: the number, and in the last bit which of the stream's lists has it."""
_decode_list = ResponseDecoder(Raw, RawRows, lambda row: "id" in row)
_decode_object = RowDecoder(dict[str, Any])


class First(TypedDict):
    """The fields that all events of this package have."""

    record_id: str
    revision: int
    seen_at: Timestamp
    is_gone: bool


class Row(Struct, frozen=True):
    """The field that every row has."""

    id: Identifier


R = TypeVar("R", bound=Row)


class Listing(Struct, Generic[R], frozen=True, kw_only=True):
    """One list of the vendor, and the type of its events."""

    path: str
    noun: str
    """What its rows are, as ids and keys contain it, such as `location`."""
    event_type: EventType
    number: str
    """The event's field with the vendor's number."""
    row: type[R]
    decode: RowDecoder[R]
    event: Callable[[R, int, First, Counter[str] | None], Struct]
    """Returns the event of a row, given its number and the first fields. Counts fields that cannot be understood."""
    constants: Mapping[str, str] = {}
    """Fields that are the same in all events of the list."""
    is_second: bool = False
    """Whether this is the second list of a stream, whose numbers may be equal to those of the first one."""


class Thing(Struct, frozen=True):
    """A row of a list, or a thing that is gone."""

    noun: str
    number: int
    event: Struct
    """The event but for its revision."""


def decoder(row: type[R]) -> RowDecoder[R]:
    """Decodes rows of a type. All fields but the number are side fields."""
    return RowDecoder(row, side=[name for name in row.__struct_fields__ if name != "id"])


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[RawRows]:
    """The rows of a list, not decoded yet. Raises msgspec.DecodeError for anything but an array, also for an object."""
    return as_list((yield from _decode_list(body, max_rows)))


def read(
    listing: Listing[R], rows: Iterable[bytes], seen_ms: int, user: str, ignored: Counter[str] | None = None
) -> Iterator[Record[Thing] | Reject]:
    """Decode the rows of the response to a request at `seen_ms`, Unix time in milliseconds.

    Counts side fields that cannot be understood in `ignored`.
    """
    for row in rows:
        try:
            decoded = listing.decode(row, ignored)
        except MalformedRow as error:
            yield Reject(_published_part(row, listing), str(error), place=listing.noun)
            continue
        number = int(decoded.id)
        event = listing.event(decoded, number, _first(listing, number, seen_ms, user, is_gone=False), ignored)
        yield _record(listing, number, event, fingerprint(event, listing.number), seen_ms)


def gone(listings: Iterable[Listing[Any]], key: bytes, seen_ms: int, user: str) -> Record[Thing]:
    """The record of a thing that has disappeared from the list that has it. `listings` are those of one stream."""
    (packed,) = _key.unpack(key)
    number, is_second = packed >> 1, bool(packed & 1)
    listing = next(each for each in listings if each.is_second == is_second)
    data = listing.event_type.data
    event = data(
        **dict.fromkeys(data.__struct_fields__)
        | _first(listing, number, seen_ms, user, is_gone=True)
        | {listing.number: number, **listing.constants}
    )
    return _record(listing, number, event, _GONE, seen_ms)


def fingerprint(event: Struct, number: str) -> bytes:
    """The fingerprint of a thing that is listed: what its event says about it. `number` is the field of its number."""
    described = [name for name in event.__struct_fields__ if name not in _FIRST and name != number]
    return msgspec.msgpack.encode([getattr(event, name) for name in described])


def explode(record: Record[Thing], digest: str, revision: int, event_type: EventType, user: str) -> Iterator[Event]:
    """Yield the event of a thing. Its Kafka key names the user: it may disappear from one user's list only."""
    thing, seen_at = record.payload, format_ms(record.start_ms)
    name = f"{thing.noun}/{thing.number}"
    event = structs.replace(thing.event, revision=revision)
    yield Event(event_type, f"{digest}/{thing.noun}/0", name, seen_at, f"user/{quote(user, safe='')}/{name}", event)


def _first(listing: Listing[Any], number: int, seen_ms: int, user: str, *, is_gone: bool) -> First:
    return First(
        record_id=f"quividi/{quote(user, safe='')}/{listing.noun}/{number}",
        revision=0,
        seen_at=format_ms(seen_ms),
        is_gone=is_gone,
    )


def _record(listing: Listing[Any], number: int, event: Struct, fingerprint: bytes, seen_ms: int) -> Record[Thing]:
    return Record(
        key=_key.pack(number << 1 | listing.is_second),
        fingerprint=fingerprint,
        start_ms=seen_ms,
        end_ms=seen_ms,
        vendor_local_s=seen_ms // 1000,
        payload=Thing(listing.noun, number, event),
    )


def _published_part(row: bytes, listing: Listing[R]) -> bytes:
    """The plain values of the fields that events contain; nothing of a row that is not an object.

    Any other field may contain what is never published, such as a camera's address with its password.
    """
    try:
        decoded = _decode_object(row)
    except MalformedRow:
        return b""
    names = listing.row.__struct_fields__
    return msgspec.json.encode(
        {name: value for name, value in decoded.items() if name in names and not isinstance(value, list | dict)}
    )
