"""The structs of Seemetrix's raw data. The meaning of `d`, `a`, `i`, `e`, `s` and `o` depends on the struct.

Source of every field: the vendor's REST API document, "Raw data".
"""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import MAX_MS, MIN_MS, to_ms
from collector.model import Record, Reject
from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder
from collector.vendors.raw_rows import MAX_ROWS, RawRows, as_list
from collector.vendors.row_fields import RowFields, paths_of

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Identifier = Annotated[int, Meta(ge=0, le=2**63 - 1)]
MAX_DURATION_MS = 10 * 366 * 86_400_000
"""Ten years."""
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_DURATION_MS)]
"""A duration. It is limited so that the sum of a record's durations does not exceed the calendar."""

R = TypeVar("R")
"""What represents rows: `Raw` while the response is decoded, then `RawRows`."""

FIELDS_VERSION = 1
"""The version of the lists of fields in the key and in `_fingerprint`."""


class AttentionInterval(Struct, frozen=True, gc=False):
    """An attention interval. `a` is 1 if the person looked at the screen, else 0; `d` is the duration."""

    a: Annotated[int, Meta(ge=0, le=1)]
    d: Milliseconds


class EmotionInterval(Struct, frozen=True, gc=False):
    """An emotion interval. `d` is the duration, `e` the code of the emotion."""

    d: Milliseconds
    e: Integer | None = None


class Play(Struct, frozen=True, gc=False):
    """A movie that was played during the session. `i` is its number, `d` the duration, `s` the start.

    The start is in milliseconds, relative to the start of the session.
    """

    d: Milliseconds
    i: Integer
    s: Annotated[int, Meta(ge=-MAX_DURATION_MS, le=MAX_DURATION_MS)]


class Session(Struct, frozen=True, gc=False):
    """From the detection of a face to its loss.

    `d` is the device's number, `o` the device's sequence number of the session, `b` its start and `e` its end, both in
    UTC, since requests have `tzo=0`. `i` is the duration, `a` the code of the age group, `s` that of the gender. `at`,
    `em` and `v` are the intervals of attention, emotion and movies.
    """

    d: Identifier
    o: Identifier
    b: datetime
    e: datetime
    i: Milliseconds | None = None
    a: Integer | None = None
    s: Integer | None = None
    at: tuple[AttentionInterval, ...] | None = None
    em: tuple[EmotionInterval, ...] | None = None
    v: tuple[Play, ...] | None = None


class RawData(Struct, Generic[R], frozen=True):
    """The response of `/statistics/user/<id>/raw/data/`."""

    objects: R


class _Named(Struct, frozen=True):
    """The part of a malformed session, or of a device, that names the device."""

    d: Identifier


_decode_raw_data = ResponseDecoder(RawData[Raw], RawData[RawRows], {"d", "o", "b"}.issubset)
_decode_named = RowDecoder(_Named)
_decode_session = RowDecoder(Session, side=("a", "s"))
_decode_session.parts["em"] = RowDecoder(EmotionInterval, side=("e",))
FIELDS = RowFields(known=paths_of(Session))
_key = struct.Struct(">qqq")


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[RawRows]:
    """The rows of a response, not decoded yet. Raises msgspec.DecodeError if the response is malformed."""
    return as_list((yield from _decode_raw_data(body, max_rows)).objects)


def read(raw: Iterable[bytes], ignored: Counter[str] | None = None) -> Iterator[Record[Session] | Reject]:
    """Decode the rows; a malformed one is a reject. Counts side fields that cannot be understood in `ignored`."""
    for row in raw:
        yield read_session(row, ignored)


def read_session(row: bytes, ignored: Counter[str] | None = None) -> Record[Session] | Reject:
    """Decode one row."""
    try:
        session = _decode_session(row, ignored)
    except MalformedRow as error:
        device = device_of(row)
        return Reject(row, str(error), None if device is None else str(device))
    start_ms, end_ms = to_ms(session.b), to_ms(session.e)
    if not MIN_MS <= end_ms <= MAX_MS:
        return Reject(row, "outside the years 1 to 9999 - at `$.e`", str(session.d))
    if not _is_in_calendar(session, start_ms):
        return Reject(row, "an interval is outside the years 1 to 9999 - at `$.b`", str(session.d))
    return Record(
        key=b"seemetrix.session" + _key.pack(session.d, session.o, start_ms * 1000 + session.b.microsecond % 1000),
        fingerprint=_fingerprint(session, end_ms),
        start_ms=start_ms,
        end_ms=end_ms,
        vendor_local_s=start_ms // 1000,
        payload=session,
    )


def _fingerprint(session: Session, end_ms: int) -> bytes:
    return msgspec.msgpack.encode(
        (
            end_ms,
            session.i,
            session.a,
            session.s,
            [(attention.a, attention.d) for attention in session.at or ()],
            [(emotion.e, emotion.d) for emotion in session.em or ()],
            [(play.i, play.s, play.d) for play in session.v or ()],
        )
    )


def _is_in_calendar(session: Session, start_ms: int) -> bool:
    """Whether all intervals are in the years 1 to 9999."""
    longest_ms = MAX_DURATION_MS * max(2, len(session.at or ()), len(session.em or ()))
    if MIN_MS + MAX_DURATION_MS <= start_ms <= MAX_MS - longest_ms:
        return True  # whatever their durations are: that is nearly every session
    attention_ms = sum(attention.d for attention in session.at or ())
    emotion_ms = sum(emotion.d for emotion in session.em or ())
    plays = session.v or ()
    first_ms = min((play.s for play in plays), default=0)
    last_ms = max((play.s + play.d for play in plays), default=0)
    return start_ms + first_ms >= MIN_MS and start_ms + max(attention_ms, emotion_ms, last_ms) <= MAX_MS


def device_of(row: bytes) -> int | None:
    """The device of a row that may be malformed; None if it cannot be read."""
    try:
        return _decode_named(row).d
    except MalformedRow:
        return None
