"""The fields that the events of all finest exports have, with their descriptions."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import quote

from msgspec import Meta, Struct

from collector.instants import Timestamp, format_local, format_ms
from collector.model import Record
from collector.vendors.event_fields import LocationId

T = TypeVar("T")

StartedLocal = Annotated[
    str, Meta(description="Arrival on the clock of the location: `2018-01-29T01:28:52`, without a zone.")
]
UtcOffset = Annotated[int, Meta(description="Local time minus UTC, in seconds, in the place's time zone.")]
Ambiguous = Annotated[
    bool, Meta(description="Whether the local time occurs twice, at the end of summer time. The first one is used.")
]
VrId = Annotated[
    str | None,
    Meta(description="The number that the box gives the record, not unique; null if the vendor sends none."),
]
Occurrence = Annotated[int, Meta(description="Number of the record among those with equal rows, from 0.", ge=0)]


class Started(Struct, frozen=True, kw_only=True, gc=False):
    """The first fields of an event. A type describes its `record_id`."""

    record_id: str
    location_id: LocationId
    started_at: Annotated[Timestamp, Meta(description="When the person or vehicle arrived, in UTC.")]
    started_local: StartedLocal
    utc_offset_s: UtcOffset
    ambiguous: Ambiguous


class Lasting(Started, frozen=True, kw_only=True, gc=False):
    """The first fields of the event of a person or vehicle."""

    ended_at: Annotated[
        Timestamp | None, Meta(description="`started_at` plus the presence, in UTC; null without a presence.")
    ]


class _Row(Protocol):
    """What is needed of a row."""

    @property
    def location_id(self) -> int: ...
    @property
    def key_fields(self) -> tuple[int | str | None, ...]: ...
    @property
    def length_ms(self) -> int | None: ...


class _Located(Protocol):
    """What is needed of a decoded row."""

    @property
    def row(self) -> _Row: ...
    @property
    def ambiguous(self) -> bool: ...


def common_fields(record: Record[Any], located: _Located, kind: str, occurrence: int, user: str) -> dict[str, Any]:
    """The fields that do not depend on the type. `kind` is what the row is, as ids contain it."""
    row, fields = located.row, located.row.key_fields
    utc_offset_s = record.vendor_local_s - record.start_ms // 1000
    parts = ["" if each is None else quote(each, safe="") if isinstance(each, str) else str(each) for each in fields]
    started_local = format_local(record.start_ms + utc_offset_s * 1000)
    place = f"{row.location_id}/{started_local}/{'-'.join(parts)}"
    return {
        "record_id": f"quividi/{quote(user, safe='')}/{kind}/{place}/{occurrence}",
        "location_id": row.location_id,
        "started_at": format_ms(record.start_ms),
        "started_local": started_local,
        "utc_offset_s": utc_offset_s,
        "ambiguous": located.ambiguous,
        "occurrence": occurrence,
    }


def ended_at(record: Record[Any], row: _Row) -> Timestamp | None:
    """The end, in UTC; None if the row has no length."""
    return None if row.length_ms is None else format_ms(record.end_ms)


def word(words: Mapping[int, T], code: int | None, unknown: T) -> T | None:
    """The word for a code: `unknown` for an undocumented code, None without a code."""
    return None if code is None else words.get(code, unknown)
