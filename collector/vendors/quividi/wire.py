"""What VidiCenter sends, typed, under its old and its new names.

Source of every field: the vendor's document, "Data formats"; of the new names and of `vr_id` and `footfall_…`, what was
observed of its newer one. Fields may be added without warning, and are ignored.
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
from collector.vendors.leniency import decode_answer, decode_record
from collector.vendors.quividi.zones import instant

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Tenths = Annotated[int, Meta(ge=0, le=10 * 366 * 864_000)] | Annotated[float, Meta(ge=0, le=10 * 366 * 864_000)]
"""A duration in tenths of a second; ten years at most, so that no end leaves the calendar."""
Number = Integer | float
P = TypeVar("P")

FIELDS_VERSION = 1
"""Of the lists of fields in `_key_of` and `_fingerprint`."""
MOOD_DIGITS = 3
"""Percentages are fractions of 255, written with more digits than they have."""

_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_NOTHING = -(2**63)


class Viewer(Struct, frozen=True, gc=False, omit_defaults=True):
    """A row of a finest viewers export."""

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
    def says_nothing(self) -> bool:
        """Whether the row only stands where the vendor has no data ("Placeholder data and null values")."""
        return self.gender is None and self.age is None and self.dwell_ms is None and self.attention_ms is None


class Seen(Struct, frozen=True, gc=False):
    """A viewer, with what the local time means."""

    row: Viewer
    start_local: str
    ambiguous: bool
    footfall_ms: int | None
    """Unix time in milliseconds."""


class ExportAnswer(Struct, frozen=True):
    """Every answer of `/data/`; an error has a message and a number in its place."""

    state: str | None = None
    data: Raw = Raw()
    fail_reason: str | None = None
    error: Integer | str | None = None


class Whoami(Struct, frozen=True):
    """The answer of `/whoami/`."""

    username: str


class Location(Struct, frozen=True):
    """A row of `/locations/`, as far as it is needed."""

    id: Identifier
    site_id: Identifier | None = None


_decode_answer = msgspec.json.Decoder(ExportAnswer).decode
_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_viewer = msgspec.json.Decoder(Viewer).decode
_decode_whoami = msgspec.json.Decoder(Whoami).decode
_decode_locations = msgspec.json.Decoder(list[Location]).decode
_key = struct.Struct(">qqqqqq")


class _Place(Struct, frozen=True):
    """As much of a broken row as names its place."""

    location_id: Identifier | None = None
    site_id: Identifier | None = None


_decode_place = msgspec.json.Decoder(_Place).decode


def answer(body: bytes) -> ExportAnswer:
    """Raises msgspec.DecodeError when it is no answer at all."""
    return decode_answer(body, _decode_answer)


def rows(told: ExportAnswer) -> list[Raw] | None:
    """The rows of a finished export, not decoded yet; None where there is no list of them."""
    try:
        return _decode_rows(told.data)
    except msgspec.DecodeError:
        return None


def username(body: bytes) -> str:
    """Raises msgspec.DecodeError."""
    return decode_answer(body, _decode_whoami).username


def locations(body: bytes) -> list[Location]:
    """The account's locations. Raises msgspec.DecodeError."""
    return decode_answer(body, _decode_locations)


def read(raw: Iterable[Raw], zone: ZoneInfo) -> Iterator[Record[Seen] | Reject]:
    return read_each(raw, zone, read_viewer)


def read_each(
    raw: Iterable[Raw], zone: ZoneInfo, read_one: Callable[[bytes, ZoneInfo], Record[P] | Reject | None]
) -> Iterator[Record[P] | Reject]:
    """The rows, without those that only say that there is no data."""
    for row in raw:
        if (found := read_one(bytes(row), zone)) is not None:
            yield found


def read_viewer(raw: bytes, zone: ZoneInfo) -> Record[Seen] | Reject | None:
    """One viewer, or why it is none, or None for a row that only says that there is no data."""
    try:
        row = decode_record(raw, _decode_viewer, Viewer)
        written = row.period_start or row.start_time
        if written is None:
            raise ValueError("Object missing required field `period_start`")  # noqa: TRY301 - one way to refuse a row
        local = parse_local(written, "period_start")
        meant = instant(local, zone)
        came_by = None if row.footfall_start is None else parse_local(row.footfall_start, "footfall_start")
        footfall = None if came_by is None else instant(came_by, zone)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        return Reject(raw, str(error), place_of(raw))
    if row.says_nothing:
        return None
    start_ms, dwell_ms = to_ms(meant.utc), row.dwell_ms or 0
    if not MIN_MS <= start_ms <= start_ms + dwell_ms <= MAX_MS:
        return Reject(raw, "outside the years 1 to 9999 - at `$.period_start`", str(row.location_id))
    local_ms = to_ms(local)
    return Record(
        key=_key_of(row, local_ms),
        fingerprint=_fingerprint(row, came_by),
        start_ms=start_ms,
        end_ms=start_ms + dwell_ms,
        vendor_local_s=local_ms // 1000,
        payload=Seen(row, written, meant.ambiguous, None if footfall is None else to_ms(footfall.utc)),
    )


def _key_of(row: Viewer, local_ms: int) -> bytes:
    """What was always told of every viewer, by every box, to every licence."""
    said = (row.gender, row.age, row.dwell_ms, row.attention_ms)
    parts = (_NOTHING if each is None else each for each in said)
    return b"quividi.viewer" + _key.pack(row.location_id, local_ms, *parts)


def _fingerprint(row: Viewer, came_by: datetime | None) -> bytes:
    age_value, *moods = [number(each) for each in (row.age_value, *row.moods)]
    footfall_start = None if came_by is None else came_by.isoformat()
    said = (row.vr_id, row.footfall_id, footfall_start, age_value, row.glasses, row.mustache, row.beard)
    return msgspec.msgpack.encode((*said, *moods))


def number(said: Number | None) -> float | None:
    """For a fingerprint: 19 and 19.0 say the same, and so do 0.0 and -0.0."""
    return None if said is None else round(float(said), MOOD_DIGITS) + 0.0


def parse_local(text: str, field: str) -> datetime:
    """With a T or a space between date and time; local, without a zone."""
    try:
        if not _DATE_AND_TIME.match(text):
            raise ValueError(text)  # noqa: TRY301 - fromisoformat takes weeks, and dates alone
        local = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"Expected a date and time - at `$.{field}`") from None
    if local.tzinfo is not None:
        raise ValueError(f"Expected a local time without a zone - at `$.{field}`")
    return local


def _ms(*tenths: Number | None) -> int | None:
    """Of the first that is there."""
    return next((round(each * 100) for each in tenths if each is not None), None)


def place_of(raw: bytes, field: str = "location_id") -> str | None:
    """The Kafka key of a row that could not be read, where it can be."""
    try:
        place = getattr(decode_record(raw, _decode_place, _Place), field)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return None if place is None else str(place)
