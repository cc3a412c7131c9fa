"""The structs of VidiCenter's responses, with the old and the new names of fields.

Source of every field: the vendor's document, "Data formats". The new names, `vr_id` and `footfall_…` were observed in
newer versions of VidiCenter. The vendor may add fields without warning: unknown ones are ignored.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import MAX_MS, MIN_MS, to_ms
from collector.model import Record, Reject
from collector.vendors.leniency import decode_record, decode_response
from collector.vendors.quividi.zones import Instant, instant

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Tenths = Annotated[int, Meta(ge=0, le=10 * 366 * 864_000)] | Annotated[float, Meta(ge=0, le=10 * 366 * 864_000)]
"""A duration in tenths of a second; at most ten years, so that no end exceeds the calendar."""
Number = Integer | float
P = TypeVar("P")

FIELDS_VERSION = 1
"""The version of the lists of fields in `_key_of` and `_fingerprint`."""
DECIMALS = 3
"""The decimals that a fingerprint contains. Percentages are fractions of 255: further decimals are not significant."""

_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_MISSING = -(2**63)
"""Stands for null in a key."""


class Viewer(Struct, frozen=True, gc=False, omit_defaults=True):
    """A row of an export of finest viewers."""

    location_id: Identifier
    period_start: str | None = None
    start_time: str | None = None
    gender: Integer | None = None
    age: Integer | None = None
    dwell_time: Tenths | None = None
    dwell_time_in_tenths_of_sec: Tenths | None = None
    attention_time: Tenths | None = None
    attention_time_in_tenths_of_sec: Tenths | None = None
    age_value: Number | None = None
    very_happy: Number | None = None
    happy: Number | None = None
    neutral: Number | None = None
    unhappy: Number | None = None
    very_unhappy: Number | None = None
    glasses: Integer | None = None
    mustache: Integer | None = None
    beard: Integer | None = None
    vr_id: Integer | str | None = None
    footfall_id: Integer | str | None = None
    footfall_start: str | None = None

    @property
    def dwell_ms(self) -> int | None:
        return _ms(self.dwell_time_in_tenths_of_sec, self.dwell_time)

    @property
    def attention_ms(self) -> int | None:
        return _ms(self.attention_time_in_tenths_of_sec, self.attention_time)

    @property
    def moods(self) -> tuple[Number | None, ...]:
        return self.very_happy, self.happy, self.neutral, self.unhappy, self.very_unhappy

    @property
    def is_placeholder(self) -> bool:
        """Whether the row only marks that the vendor has no data ("Placeholder data and null values")."""
        return self.gender is None and self.age is None and self.dwell_ms is None and self.attention_ms is None


class LocatedViewer(Struct, frozen=True, gc=False):
    """A viewer whose local time is converted."""

    row: Viewer
    start_local: str
    """As the vendor wrote it."""
    ambiguous: bool
    footfall_ms: int | None
    """Unix time in milliseconds."""


class ExportResponse(Struct, frozen=True):
    """Any response of `/data/`. An error has a number as `error`, and a message, which is not decoded."""

    state: str | None = None
    data: Raw = Raw()
    fail_reason: str | None = None
    error: Integer | str | None = None


class Whoami(Struct, frozen=True):
    """The response of `/whoami/`."""

    username: str


class Location(Struct, frozen=True):
    """A row of `/locations/`, with the fields that are needed."""

    id: Identifier
    site_id: Identifier | None = None


_decode_export = msgspec.json.Decoder(ExportResponse).decode
_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_viewer = msgspec.json.Decoder(Viewer).decode
_decode_whoami = msgspec.json.Decoder(Whoami).decode
_decode_locations = msgspec.json.Decoder(list[Location]).decode
_key = struct.Struct(">qqqqqq")


class _Place(Struct, frozen=True):
    """The part of a malformed row that names its place."""

    location_id: Identifier | None = None
    site_id: Identifier | None = None


_decode_place = msgspec.json.Decoder(_Place).decode


def decode_export(body: bytes) -> ExportResponse:
    """Decode a response of `/data/`. Raises msgspec.DecodeError."""
    return decode_response(body, _decode_export)


def rows(export: ExportResponse) -> list[Raw] | None:
    """The rows of a finished export, not decoded yet; None if the response has no list of rows."""
    try:
        return _decode_rows(export.data)
    except msgspec.DecodeError:
        return None


def username(body: bytes) -> str:
    """The name of the token's user. Raises msgspec.DecodeError."""
    return decode_response(body, _decode_whoami).username


def locations(body: bytes) -> list[Location]:
    """The account's locations. Raises msgspec.DecodeError."""
    return decode_response(body, _decode_locations)


def read(raw: Iterable[Raw], zone: ZoneInfo) -> Iterator[Record[LocatedViewer] | Reject]:
    """Decode the rows of an export of finest viewers, without placeholders."""
    return read_each(raw, zone, read_viewer)


def read_each(
    raw: Iterable[Raw], zone: ZoneInfo, read_one: Callable[[bytes, ZoneInfo], Record[P] | Reject | None]
) -> Iterator[Record[P] | Reject]:
    """Decode the rows, without placeholders."""
    for row in raw:
        if (decoded := read_one(bytes(row), zone)) is not None:
            yield decoded


def read_viewer(raw: bytes, zone: ZoneInfo) -> Record[LocatedViewer] | Reject | None:
    """Decode one row. Return None for a placeholder, which the vendor sends where it has no data."""
    try:
        row = decode_record(raw, _decode_viewer, Viewer)
        text = row.period_start or row.start_time
        if text is None:
            raise ValueError("Object missing required field `period_start`")  # noqa: TRY301 - one way to reject a row
        local = parse_local(text, "period_start")
        start = _instant(local, zone, "period_start")
        footfall_local = None if row.footfall_start is None else parse_local(row.footfall_start, "footfall_start")
        footfall = None if footfall_local is None else _instant(footfall_local, zone, "footfall_start")
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        return Reject(raw, str(error), place_of(raw))
    if row.is_placeholder:
        return None
    start_ms, dwell_ms = to_ms(start.utc), row.dwell_ms or 0
    if not MIN_MS <= start_ms <= start_ms + dwell_ms <= MAX_MS:
        return Reject(raw, "outside the years 1 to 9999 - at `$.period_start`", str(row.location_id))
    local_ms = to_ms(local)
    return Record(
        key=_key_of(row, local_ms),
        fingerprint=_fingerprint(row, footfall_local),
        start_ms=start_ms,
        end_ms=start_ms + dwell_ms,
        vendor_local_s=local_ms // 1000,
        payload=LocatedViewer(row, text, start.ambiguous, None if footfall is None else to_ms(footfall.utc)),
    )


def _key_of(row: Viewer, local_ms: int) -> bytes:
    """The key: only fields that every version of the API sends for every viewer, whatever the box and the licence."""
    fields = (row.gender, row.age, row.dwell_ms, row.attention_ms)
    parts = (_MISSING if each is None else each for each in fields)
    return b"quividi.viewer" + _key.pack(row.location_id, local_ms, *parts)


def _fingerprint(row: Viewer, footfall_local: datetime | None) -> bytes:
    age_value, *moods = [comparable(each) for each in (row.age_value, *row.moods)]
    footfall_start = None if footfall_local is None else footfall_local.isoformat()
    fields = (row.vr_id, row.footfall_id, footfall_start, age_value, row.glasses, row.mustache, row.beard)
    return msgspec.msgpack.encode((*fields, *moods))


def comparable(number: Number | None) -> float | None:
    """A number as fingerprints contain it: 19 and 19.0 are equal, and so are 0.0 and -0.0."""
    return None if number is None else round(float(number), DECIMALS) + 0.0


def parse_local(text: str, field: str) -> datetime:
    """A local time without a zone, with a T or a space between date and time. Raises ValueError naming the field."""
    try:
        if not _DATE_AND_TIME.match(text):
            raise ValueError(text)  # noqa: TRY301 - fromisoformat accepts weeks, and dates without a time
        local = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"Expected a date and time - at `$.{field}`") from None
    if local.tzinfo is not None:
        raise ValueError(f"Expected a local time without a zone - at `$.{field}`")
    return local


def _instant(local: datetime, zone: ZoneInfo, field: str) -> Instant:
    """The instant of a local time. Raises ValueError that names the field, outside the years 1 to 9999."""
    try:
        return instant(local, zone)
    except OverflowError:
        raise ValueError(f"outside the years 1 to 9999 - at `$.{field}`") from None


def _ms(*tenths: Number | None) -> int | None:
    """The first value that is not null, in milliseconds; None if all are null."""
    return next((round(each * 100) for each in tenths if each is not None), None)


def place_of(raw: bytes, field: str = "location_id") -> str | None:
    """The Kafka key of a malformed row; None where its place cannot be read."""
    try:
        place = getattr(decode_record(raw, _decode_place, _Place), field)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return None if place is None else str(place)
