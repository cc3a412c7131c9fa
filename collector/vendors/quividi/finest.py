"""What the rows of all finest exports have in common. Each row is one person or one vehicle, and has no reliable id.

Source: the vendor's document, "Data formats". Equal rows are counted, so two equal rows are two persons or vehicles.
The **key** of a row has its place, its local start and the fields that every version of the API sends, whatever the box
and the licence. What came later and does not change, such as the number that the box gives (`vr_id`), is in the
**fingerprint**: it tells which of several rows with one key is which, but a row that gains it stays the same record.
What may change is in neither: a link to a record that is uploaded later, a factor that the vendor's user sets, a name.

A new type is a struct with these two lists, a function that makes the event's fields of it, and a `FinestForm`.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from collector.instants import MAX_MS, MIN_MS, to_ms
from collector.model import Event, EventType, Record, Reject
from collector.vendors.leniency import MalformedRow, RowDecoder, understood
from collector.vendors.quividi.finest_fields import common_fields
from collector.vendors.quividi.wire import ABSENT, Identifier, Integer, Number, instant_of, parse_local, place_of
from collector.vendors.quividi.zones import instant
from collector.vendors.row_fields import RowFields, paths_of

_PACKED = tuple(struct.Struct(f">{count}q") for count in range(12))


class Link(Struct, frozen=True, gc=False):
    """What a row says about the record of the same person in another export.

    It is published as it came: the other record may be in another window, or not uploaded yet.
    """

    id: str | None = None
    """The other record's `vr_id`; None without one."""
    start_local: str | None = None
    start_ms: int | None = None
    """Unix time in milliseconds."""


NO_LINK = Link()


class FinestRow(Struct, frozen=True, gc=False, omit_defaults=True):
    """A row of a finest export, and the lists of the fields that identify and describe it."""

    KIND: ClassVar[str]
    """What a row is, as ids contain it: `viewer`."""
    REQUIRED: ClassVar[Sequence[Sequence[str]]]
    """The fields without which a row is malformed, each with all of its names, newest first."""
    LINK: ClassVar[tuple[str, str]] = ("", "")
    """The vendor's names of the link's fields."""
    FORMER: ClassVar[Mapping[str, str]] = {"start_time": "period_start"}
    """The newest names of other fields, by their former names."""
    SPARSE: ClassVar[frozenset[str]] = frozenset()
    """The fields that some rows lack."""

    location_id: Identifier
    period_start: str | None = None
    start_time: str | None = None
    period_start_date: str | None = None
    period_start_time: str | None = None

    @property
    def start_text(self) -> str:
        """The start, as the vendor wrote it in one field or in two; empty without one."""
        if text := self.period_start or self.start_time:
            return text
        return f"{self.period_start_date}T{self.period_start_time}" if self.period_start_date else ""

    @property
    def lacking(self) -> str | None:
        """The newest name of a required field that is absent; None if none is. An explicit null is a value."""
        for names in self.REQUIRED:
            if all(getattr(self, name) == ABSENT for name in names):
                return names[0]
        return None

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        """The fields in the key beside place and start: milliseconds, counts and codes; the last one may be a text.

        Each required field is among them, so a row that lacks one has `ABSENT` or None here.
        """
        raise NotImplementedError

    @property
    def fingerprint_fields(self) -> tuple[object, ...]:
        """The fields in the fingerprint."""
        raise NotImplementedError

    def fingerprint(self, link: Link) -> tuple[object, ...]:  # noqa: ARG002 - that of viewers has a part of it
        """The values in the fingerprint."""
        return self.fingerprint_fields

    @property
    def length_ms(self) -> int | None:
        """How long it lasted, in milliseconds."""
        return None

    @property
    def link(self) -> tuple[int | str | None, str | None]:
        """The id and the start of the linked record, as the vendor sends them."""
        return None, None

    @property
    def is_placeholder(self) -> bool:
        """Whether the row only marks that the vendor has no data ("Placeholder data and null values")."""
        return all(each is None for each in self.key_fields)

    @property
    def doubts(self) -> Sequence[str]:
        """The fields that are decoded, but make no sense. They are counted as ignored."""
        return ()


W = TypeVar("W", bound=FinestRow)


class Located(Struct, Generic[W], frozen=True, gc=False):
    """A decoded row whose local times are converted."""

    row: W
    ambiguous: bool
    link: Link


class FinestForm(Struct, Generic[W], frozen=True):
    """How the rows of one type are decoded, and how each becomes an event."""

    event_type: EventType
    decode: RowDecoder[W]
    fields: Callable[[Record[Located[W]]], Mapping[str, Any]]
    """Returns the event's fields beside those that all types have."""

    def read(
        self, raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None = None
    ) -> Record[Located[W]] | Reject | None:
        """Decode one row. Return None for a placeholder."""
        return read_row(raw, zone, ignored, self.decode)

    def explode(self, record: Record[Located[W]], digest: str, occurrence: int, user: str) -> Iterator[Event]:
        """Yield the row's event."""
        yield event_of(self.event_type, record, self.fields(record), (digest, occurrence, user))


def event_of(
    event_type: EventType, record: Record[Located[W]], fields: Mapping[str, Any], numbered: tuple[str, int, str]
) -> Event:
    """The event of a row. `numbered` are the digest, the occurrence and the user of the record."""
    (digest, occurrence, user), row = numbered, record.payload.row
    common = common_fields(record, record.payload, row.KIND, occurrence, user)
    key = str(row.location_id)
    return Event(
        event_type,
        f"{digest}/{row.KIND}/0",
        f"location/{key}/{row.KIND}/{digest}",
        common["started_at"],
        key,
        event_type.data(**common, **fields),
    )


def row_decoder(row_type: type[W], main: Sequence[str] = ()) -> RowDecoder[W]:
    """A decoder of rows. What cannot be understood is null, unless it is the place, a time, or required or main."""
    keep = {name for names in row_type.REQUIRED for name in names}.union(FinestRow.__struct_fields__, main)
    return RowDecoder(row_type, side=[name for name in row_type.__struct_fields__ if name not in keep])


def fields_of(row_type: type[FinestRow], more: frozenset[str] = frozenset()) -> RowFields:
    """The fields of rows of this type, and `more`, which another struct decodes."""
    former = {name: newest for newest, *names in row_type.REQUIRED for name in names}
    return RowFields(
        known=paths_of(row_type) | more,
        newest={**FinestRow.FORMER, **row_type.FORMER, **former},
        descriptive=frozenset(FinestRow.__struct_fields__),
        sparse=row_type.SPARSE,
    )


def read_row(
    raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None, decode: RowDecoder[W]
) -> Record[Located[W]] | Reject | None:
    """Decode one row. Return None for a placeholder, which the vendor sends where it has no data."""
    try:
        row = decode(raw, ignored)
        fields, text = row.key_fields, row.start_text
        is_partial = None in fields or ABSENT in fields
        if lacking := (row.lacking if is_partial else None) or (None if text else "period_start"):
            raise MalformedRow(f"Object missing required field `{lacking}`")
        local = parse_local(text, "period_start")
        start = instant_of(local, zone, "period_start")
    except ValueError as error:
        return Reject(raw, str(error), place_of(raw))
    link = _link_of(row, zone, ignored)
    if is_partial and row.is_placeholder:
        return None
    if ignored is not None:
        for name in row.doubts:
            ignored[name] += 1
    start_ms, length_ms = to_ms(start.utc), row.length_ms or 0
    if not MIN_MS <= start_ms <= start_ms + length_ms <= MAX_MS:
        return Reject(raw, "outside the years 1 to 9999 - at `$.period_start`", str(row.location_id))
    local_ms = to_ms(local)
    return Record(
        key=_key_of(row.KIND, row.location_id, local_ms, fields),
        fingerprint=msgspec.msgpack.encode(row.fingerprint(link)),
        start_ms=start_ms,
        end_ms=start_ms + length_ms,
        vendor_local_s=local_ms // 1000,
        payload=Located(row, start.ambiguous, link),
    )


def _key_of(kind: str, place: int, local_ms: int, fields: Sequence[int | str | None]) -> bytes:
    *numbers, last = [ABSENT if each is None else each for each in fields]
    text = last.encode() if isinstance(last, str) else b""
    if not isinstance(last, str):
        numbers.append(last)
    return b"quividi.%b%b%b" % (kind.encode(), _PACKED[2 + len(numbers)].pack(place, local_ms, *numbers), text)


def _link_of(row: FinestRow, zone: ZoneInfo, ignored: Counter[str] | None) -> Link:
    """The row's link. The id 0 without a start means that there is none; with a start it is kept, and counted."""
    linked, text = row.link
    if linked is None and text is None:
        return NO_LINK
    id_name, start_name = row.LINK
    if linked in (0, "0"):
        if text is None:
            return NO_LINK
        if ignored is not None:
            ignored[id_name] += 1
    local = None if text is None else understood(ignored, start_name, partial(_link_start, text, zone, start_name))
    return Link(
        None if linked is None else str(linked),
        None if local is None else local.isoformat(),
        None if local is None else to_ms(instant(local, zone).utc),
    )


def _link_start(text: str, zone: ZoneInfo, field: str) -> datetime:
    """The local time. Raises ValueError if it is none, or outside the calendar."""
    local = parse_local(text, field)
    instant_of(local, zone, field)
    return local


def milliseconds(*tenths: Number | None) -> int | None:
    """The first value that is neither null nor absent, in milliseconds; None if there is none."""
    return next((round(each * 100) for each in tenths if each is not None and each != ABSENT), None)


def text_of(identifier: Integer | str | None) -> str | None:
    """An id, as events contain it."""
    return None if identifier is None else str(identifier)
