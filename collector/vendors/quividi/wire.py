"""The structs of VidiCenter's responses, with the old and the new names of fields.

Source of every field: the vendor's document, "Data formats". The new names, `vr_id` and `footfall_…` were observed in
newer versions of VidiCenter. The vendor may add fields without warning: unknown ones are ignored.
"""

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Annotated, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import MAX_MS, MIN_MS, to_ms
from collector.model import Record, Reject
from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder, comparable, understood
from collector.vendors.quividi.zones import Instant, instant
from collector.vendors.raw_rows import MAX_ROWS, NO_ROWS, Form, RawRows, as_list

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Tenths = Annotated[int, Meta(ge=0, le=10 * 366 * 864_000)] | Annotated[float, Meta(ge=0, le=10 * 366 * 864_000)]
"""A duration in tenths of a second; at most ten years, so that no end exceeds the calendar."""
Number = Integer | float
P = TypeVar("P")
R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""
NULL = Raw(b"null")

FIELDS_VERSION = 1
"""The version of the lists of fields in `_key_of` and `_fingerprint`."""
ABSENT = -(2**63)
"""The default of the fields without which a row is malformed: another version of the API may have renamed them. An
explicit null is a value."""

_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


class Viewer(Struct, frozen=True, gc=False, omit_defaults=True):
    """A row of an export of finest viewers."""

    location_id: Identifier
    period_start: str | None = None
    start_time: str | None = None
    gender: Integer | None = ABSENT
    age: Integer | None = ABSENT
    dwell_time: Tenths | None = ABSENT
    dwell_time_in_tenths_of_sec: Tenths | None = ABSENT
    attention_time: Tenths | None = ABSENT
    attention_time_in_tenths_of_sec: Tenths | None = ABSENT
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
    def lacking(self) -> str | None:
        """The name of a field without which the row is malformed; None if it has all of them."""
        if self.gender == ABSENT:
            return "gender"
        if self.age == ABSENT:
            return "age"
        if self.dwell_time == self.dwell_time_in_tenths_of_sec == ABSENT:
            return "dwell_time_in_tenths_of_sec"
        if self.attention_time == self.attention_time_in_tenths_of_sec == ABSENT:
            return "attention_time_in_tenths_of_sec"
        return None

    @property
    def is_placeholder(self) -> bool:
        """Whether the row only marks that the vendor has no data ("Placeholder data and null values")."""
        return self.gender is None and self.age is None and self.dwell_ms is None and self.attention_ms is None


class LocatedViewer(Struct, frozen=True, gc=False):
    """A viewer whose local time is converted."""

    row: Viewer
    ambiguous: bool
    footfall_ms: int | None
    """Unix time in milliseconds."""


class ExportResponse(Struct, Generic[R], frozen=True):
    """Any response of `/data/`. An error has a number as `error`, and a message, which is not decoded."""

    state: str | None = None
    data: R = NO_ROWS  # type: ignore[assignment]
    fail_reason: Raw = NULL
    error: Raw = NULL

    @property
    def reason(self) -> str:
        """Why the export failed, in the vendor's words; empty if it does not send a text."""
        return _text(self.fail_reason) or ""

    @property
    def error_number(self) -> int | None:
        """The number of the error; None if it does not send one."""
        try:
            return _decode_number(self.error)
        except msgspec.DecodeError:
            return None


class Whoami(Struct, frozen=True):
    """The response of `/whoami/`."""

    username: str


class Location(Struct, frozen=True):
    """A row of `/locations/`, with the fields that are needed."""

    id: Identifier
    site_id: Identifier | None = None


_decode_export = ResponseDecoder(
    ExportResponse[Raw],
    ExportResponse[RawRows],
    lambda row: not {"location_id", "site_id", "period_start"}.isdisjoint(row),  # extrapolations have no place
)
_decode_viewer = RowDecoder(
    Viewer,
    side=[
        *("age_value", "very_happy", "happy", "neutral", "unhappy", "very_unhappy"),
        *("glasses", "mustache", "beard", "vr_id", "footfall_id", "footfall_start"),
    ],
)
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int).decode
_decode_whoami = ResponseDecoder(Whoami, Whoami)
_decode_locations = ResponseDecoder(Raw, RawRows, lambda row: "id" in row)
_decode_location = RowDecoder(Location)
_key = struct.Struct(">qqqqqq")


class _Place(Struct, frozen=True):
    """The part of a malformed row that names its place."""

    location_id: Identifier | None = None
    site_id: Identifier | None = None


_decode_place = RowDecoder(_Place)


def decode_export(body: bytes, max_rows: int = MAX_ROWS) -> Steps[ExportResponse[RawRows]]:
    """Decode a response of `/data/`. Raises msgspec.DecodeError."""
    return _decode_export(body, max_rows)


def rows(export: ExportResponse[RawRows]) -> RawRows | None:
    """The rows of a finished export, not decoded yet; None if the response has no list of rows."""
    return export.data if export.data.form is Form.LIST else None


def username(body: bytes) -> Steps[str]:
    """The name of the token's user. Raises msgspec.DecodeError."""
    return (yield from _decode_whoami(body)).username


def locations(body: bytes) -> Steps[tuple[list[Location], bool]]:
    """The account's locations, and whether they are all: a malformed row is skipped.

    Raises msgspec.DecodeError, also if all rows are malformed.
    """
    rows = as_list((yield from _decode_locations(body)))
    found, reason = [], ""
    for row in rows:
        try:
            found.append(_decode_location(row))
        except MalformedRow as error:
            reason = str(error)
        yield
    if reason and not found:
        raise msgspec.DecodeError(reason)
    return found, len(found) == len(rows)


def read_each(
    raw: Iterable[bytes],
    zone: ZoneInfo,
    read_one: Callable[[bytes, ZoneInfo, Counter[str] | None], Record[P] | Reject | None],
    ignored: Counter[str] | None = None,
) -> Iterator[Record[P] | Reject | None]:
    """Decode the rows. Yields None for a placeholder. Counts side fields that cannot be understood in `ignored`."""
    for row in raw:
        yield read_one(row, zone, ignored)


def read_viewer(
    raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None = None
) -> Record[LocatedViewer] | Reject | None:
    """Decode one row. Return None for a placeholder, which the vendor sends where it has no data."""
    try:
        row = _decode_viewer(raw, ignored)
        if row.lacking:
            raise MalformedRow(f"Object missing required field `{row.lacking}`")
        text = row.period_start or row.start_time
        if text is None:
            raise MalformedRow("Object missing required field `period_start`")
        local = parse_local(text, "period_start")
        start = _instant(local, zone, "period_start")
    except ValueError as error:
        return Reject(raw, str(error), place_of(raw))
    footfall_local = footfall = None
    if row.footfall_start is not None:
        footfall_local = understood(ignored, "footfall_start", partial(_footfall_start, row.footfall_start, zone))
        footfall = None if footfall_local is None else instant(footfall_local, zone)
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
        payload=LocatedViewer(row, start.ambiguous, None if footfall is None else to_ms(footfall.utc)),
    )


def _key_of(row: Viewer, local_ms: int) -> bytes:
    """The key: only fields that every version of the API sends for every viewer, whatever the box and the licence."""
    fields = (row.gender, row.age, row.dwell_ms, row.attention_ms)
    parts = (ABSENT if each is None else each for each in fields)
    return b"quividi.viewer" + _key.pack(row.location_id, local_ms, *parts)


def _fingerprint(row: Viewer, footfall_local: datetime | None) -> bytes:
    age_value, *moods = [comparable(each) for each in (row.age_value, *row.moods)]
    footfall_start = None if footfall_local is None else footfall_local.isoformat()
    fields = (row.vr_id, row.footfall_id, footfall_start, age_value, row.glasses, row.mustache, row.beard)
    return msgspec.msgpack.encode((*fields, *moods))


def _footfall_start(text: str, zone: ZoneInfo) -> datetime:
    """The local time. Raises ValueError if it is none, or outside the calendar."""
    local = parse_local(text, "footfall_start")
    _instant(local, zone, "footfall_start")
    return local


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
    """The first value that is neither null nor absent, in milliseconds; None if there is none."""
    return next((round(each * 100) for each in tenths if each is not None and each != ABSENT), None)


def _text(value: Raw) -> str | None:
    """The text that the value is; None if it is no text."""
    try:
        return _decode_text(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def place_of(raw: bytes, field: str = "location_id") -> str | None:
    """The Kafka key of a malformed row; None where its place cannot be read."""
    try:
        place = getattr(_decode_place(raw), field)
    except MalformedRow:
        return None
    return None if place is None else str(place)
