"""What alerts and monitoring messages have in common: their list, their times, their texts and their place.

Source: the vendor's documentation of today, "Alerts" and "Monitoring messages". Both are plain lists of latest rows.

`timestamp` and `host_timestamp` are local times of clocks that are not documented: the two may be ten hours apart. They
are published as they are, and are never subtracted from each other.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, Raw, Struct

from collector.instants import Timestamp, to_ms
from collector.model import Record, Reject
from collector.steps import Steps
from collector.vendors.leniency import MalformedRow, ResponseDecoder, RowDecoder, understood
from collector.vendors.quividi.wire import parse_local
from collector.vendors.raw_rows import MAX_ROWS, RawRows, as_list

P = TypeVar("P")
ReadOne = Callable[[bytes, int, "Counter[str] | None"], Record[P] | Reject]
"""Decodes a row of the response to a request at this Unix time in milliseconds."""

MAX_CLOCK_OFFSET = timedelta(days=1)
"""More than the offset of any time zone."""
_MAX_OFFSET_MS = MAX_CLOCK_OFFSET // timedelta(milliseconds=1)
_WESTERNMOST_MS = 12 * 3_600_000
"""The local time of no zone is further behind UTC."""
_DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,15})?")
_NO_NUMBER = ("", "-")
"""What the vendor sends for a number that it does not have."""

VendorTime = Annotated[
    str,
    Meta(description="The vendor's `timestamp`: `2026-07-30T14:05:00`. Clock not documented: do not convert it."),
]
HostTime = Annotated[
    str | None,
    Meta(
        description="The vendor's `host_timestamp`. Clock not documented, and not that of `vendor_time`: do not "
        "subtract one from the other."
    ),
]
SeenAt = Annotated[
    Timestamp, Meta(description="Time of the request that returned it first, in UTC, by the collector's clock.")
]

_decode = ResponseDecoder(Raw, RawRows, {"timestamp"}.issubset)
_decode_object = RowDecoder(dict[str, Any])


def decode(body: bytes, max_rows: int = MAX_ROWS) -> Steps[RawRows]:
    """The rows of a response, not decoded yet. Raises msgspec.DecodeError for anything but a list."""
    return as_list((yield from _decode(body, max_rows)))


def read_each(
    rows: Iterable[bytes], read_one: ReadOne[P], seen_ms: int, ignored: Counter[str] | None = None
) -> Iterator[Record[P] | Reject]:
    """Decode the rows of the response to a request at `seen_ms`, Unix time in milliseconds.

    Counts side fields that cannot be understood in `ignored`.
    """
    for row in rows:
        yield read_one(row, seen_ms, ignored)


def record_of(key: bytes, fingerprint: Sequence[object], vendor_time: datetime, seen_ms: int, payload: P) -> Record[P]:
    """The record of a row with this `timestamp`, which a request at `seen_ms` returned.

    The ledger page follows from the time alone, read as if it were UTC. The start must not be before the row's true
    start, whatever the clock is: a row that is newer than the stream's `since` would not be published. So it is twelve
    hours after the time that is read as UTC, but not after the request. It must not depend on the clock that a reader
    assumes, so events do not contain it.

    Raises ValueError for a time that is more than a day ahead of the request: no zone's clock is. Its page would stay
    in the ledger until then.
    """
    local_ms = to_ms(vendor_time)
    if local_ms > seen_ms + _MAX_OFFSET_MS:
        raise ValueError("more than a day after the request - at `$.timestamp`")
    start_ms = min(local_ms + _WESTERNMOST_MS, seen_ms)
    return Record(
        key=key,
        fingerprint=msgspec.msgpack.encode(fingerprint),
        start_ms=start_ms,
        end_ms=start_ms,
        vendor_local_s=local_ms // 1000,
        payload=payload,
    )


def reject_of(raw: bytes, row_type: type[Struct], error: str, place_fields: Sequence[str]) -> Reject:
    """The reject of a malformed row: the plain values of the fields that are read; nothing if it is no object.

    Any other field may contain what is never published, such as a camera's address with its password. The Kafka key is
    the first of `place_fields` that is a number.
    """
    try:
        fields = _decode_object(raw)
    except MalformedRow:
        return Reject(b"", error)
    names = row_type.__struct_fields__
    kept = {name: each for name, each in fields.items() if name in names and not isinstance(each, list | dict)}
    places = (fields.get(name) for name in place_fields)
    place = next((each for each in places if type(each) is int), None)  # and not a boolean, which is an int too
    return Reject(msgspec.json.encode(kept), error, None if place is None else str(place))


def host_time(text: str | None, ignored: Counter[str] | None) -> str | None:
    """The `host_timestamp` in ISO form; None if it cannot be understood."""
    if text is None:
        return None
    found = understood(ignored, "host_timestamp", partial(parse_local, text, "host_timestamp"))
    return None if found is None else found.isoformat()


def words(text: str | None) -> Sequence[str] | None:
    """The words of a list that is joined by commas, which is a set: sorted, in lower case, with underscores for spaces.

    `"Input Lost,Processing"` is `input_lost`, `processing`. None without a text.
    """
    if text is None:
        return None
    return sorted({"_".join(each.lower().split()) for each in text.split(",")} - {""})


def decimal(value: float | str | None, suffix: str = "") -> float | None:
    """A number, or the number in a text; None for `-`. Raises ValueError for any other text."""
    if not isinstance(value, str):
        return None if value is None else float(value)
    text = value.strip().removesuffix(suffix).rstrip()
    if text in _NO_NUMBER:
        return None
    if not _DECIMAL.fullmatch(text):
        raise ValueError("expected a number")
    return float(text)


def place_key(location: int | None, site: int | None, user: str) -> str:
    """The Kafka key: the location, otherwise the site, otherwise the user."""
    place = site if location is None else location
    return f"user/{quote(user, safe='')}" if place is None else str(place)
