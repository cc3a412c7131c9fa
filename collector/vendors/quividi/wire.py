"""The structs of VidiCenter's responses, and the types of values in them.

The rows of exports have modules of their own. The vendor may add fields without warning: unknown ones are ignored.
"""

import re
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Raw, Struct

from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder
from collector.vendors.quividi.zones import Instant, instant
from collector.vendors.raw_rows import MAX_ROWS, NO_ROWS, Form, RawRows

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Tenths = Annotated[int, Meta(ge=0, le=10 * 366 * 864_000)] | Annotated[float, Meta(ge=0, le=10 * 366 * 864_000)]
"""A duration in tenths of a second; at most ten years, so that no end exceeds the calendar."""
Number = Integer | float
Count = Annotated[int, Meta(ge=0, le=10**15)]
"""The bound is above any real value. Sums of counts still fit into 64 bits."""
Amount = Count | Annotated[float, Meta(ge=0, le=1e15)]
"""A count that may be written with a fraction, or an estimate."""
R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""
NULL = Raw(b"null")

ABSENT = -(2**63)
"""The default of the fields without which a row is malformed: another version of the API may have renamed them. An
explicit null is a value."""

_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


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


_decode_export = ResponseDecoder(
    ExportResponse[Raw],
    ExportResponse[RawRows],
    lambda row: not {"location_id", "site_id", "period_start"}.isdisjoint(row),  # extrapolations have no place
)
_decode_text = msgspec.json.Decoder(str).decode
_decode_number = msgspec.json.Decoder(int).decode
_decode_whoami = ResponseDecoder(Whoami, Whoami)


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


def instant_of(local: datetime, zone: ZoneInfo, field: str) -> Instant:
    """The instant of a local time. Raises ValueError that names the field, outside the years 1 to 9999."""
    try:
        return instant(local, zone)
    except OverflowError:
        raise ValueError(f"outside the years 1 to 9999 - at `$.{field}`") from None


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
