"""The rows of finest exports of retail analytics: those of footfall, with the zones in which the person was.

Source: the vendor's newer document, "Retail analytics footfall export". Times in zones are in milliseconds. A row lacks
the lists and the counters that it has no values for. The names of zones, clips and doorways came in July 2026.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, structs

from collector.instants import MAX_MS
from collector.model import Record, Reject
from collector.vendors.leniency import RowDecoder
from collector.vendors.quividi.finest import Located, fields_of, read_row, row_decoder
from collector.vendors.quividi.footfall import Footfall
from collector.vendors.quividi.wire import Amount, Integer

FIELDS_VERSION = 1
"""The version of the lists of fields in the key, the fingerprint and the parts."""
MAX_TIMINGS = 2000
"""The most timings of one visitor; far more than anyone has. Each is a message, and an entry of the ledger."""
_TEN_YEARS_MS = 10 * 366 * 86_400_000

Milliseconds = Annotated[int, Meta(ge=0, le=_TEN_YEARS_MS)] | Annotated[float, Meta(ge=0, le=_TEN_YEARS_MS)]
"""At least 0: nothing in a zone is before the start of its visitor, so `collector.progress` holds for it, too."""

TimingKind = Literal["visit", "clip", "door_pass"]


class Timing(Struct, frozen=True, gc=False):
    """One presence in a zone. The start counts from that of the row."""

    start: Milliseconds
    duration: Milliseconds


class Zone(Struct, frozen=True, gc=False):
    """A zone, and the presences in it."""

    id: Integer
    timings: tuple[Timing, ...] | None = None
    name: str | Integer | None = None


class RetailVisitor(Footfall, frozen=True, gc=False, omit_defaults=True):
    """A row: a person who passed, and was in zones."""

    KIND = "retail_visitor"
    SPARSE: ClassVar[frozenset[str]] = frozenset(
        ("nb_visits", "nb_clips", "nb_doorpass", "visits", "clips", "doorpass")
    )

    nb_visits: Amount | None = None
    nb_clips: Amount | None = None
    nb_doorpass: Amount | None = None
    visits: tuple[Zone, ...] | None = None
    clips: tuple[Zone, ...] | None = None
    doorpass: tuple[Zone, ...] | None = None

    @property
    def doubts(self) -> Sequence[str]:
        """Counters that are no whole numbers."""
        counters = {"nb_visits": self.nb_visits, "nb_clips": self.nb_clips, "nb_doorpass": self.nb_doorpass}
        return [name for name, each in counters.items() if each is not None and each != int(each)]

    @property
    def timings(self) -> "Iterator[VisitorTiming]":
        """The presences of all kinds, in the vendor's order."""
        lists: Mapping[TimingKind, tuple[Zone, ...] | None] = {
            "visit": self.visits,
            "clip": self.clips,
            "door_pass": self.doorpass,
        }
        for kind, zones in lists.items():
            for zone in zones or ():
                name = None if zone.name is None else str(zone.name) or None
                for timing in zone.timings or ():
                    yield VisitorTiming(kind, zone.id, name, round(timing.start), round(timing.duration))


class VisitorTiming(Struct, frozen=True, gc=False):
    """One presence in a zone, with its zone. Times are in milliseconds."""

    kind: TimingKind
    zone_id: int
    zone_name: str | None
    start_ms: int
    """From the start of the row."""
    duration_ms: int

    @property
    def part(self) -> bytes:
        """Identifies it among those of its visitor: without the zone's name, and the duration, which may change."""
        return f"{self.kind}/{self.zone_id}/{self.start_ms}".encode()


class VisitorWithTimings(Struct, frozen=True, gc=False):
    """A decoded row."""

    visitor: Located[RetailVisitor]
    timings: tuple[VisitorTiming, ...]
    positions: Mapping[int, int] | None = None
    """The timings to publish, by index, with their positions; None for the visitor with all timings."""


_LISTS = ("visits", "clips", "doorpass")
_decode = row_decoder(RetailVisitor, main=_LISTS)
_decode.parts.update(dict.fromkeys(_LISTS, RowDecoder(Zone, side=["name"])))
FIELDS = fields_of(RetailVisitor)


def read_retail_visitor(
    raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None = None
) -> Record[VisitorWithTimings] | Reject | None:
    """Decode one row. Return None for a placeholder."""
    visitor = read_row(raw, zone, ignored, _decode)
    if not isinstance(visitor, Record):
        return visitor
    timings = tuple(visitor.payload.row.timings)
    place = str(visitor.payload.row.location_id)
    if len(timings) > MAX_TIMINGS:
        return Reject(raw, f"more than {MAX_TIMINGS} timings", place)
    if any(visitor.start_ms + each.start_ms + each.duration_ms > MAX_MS for each in timings):
        return Reject(raw, "outside the years 1 to 9999 - at `$.[...].timings[...]`", place)
    return Record(
        key=visitor.key,
        fingerprint=visitor.fingerprint,
        start_ms=visitor.start_ms,
        end_ms=visitor.end_ms,
        vendor_local_s=visitor.vendor_local_s,
        payload=VisitorWithTimings(visitor.payload, timings),
        parts=[each.part for each in timings],
    )


def only_timings(record: Record[VisitorWithTimings], positions: Mapping[int, int]) -> Record[VisitorWithTimings]:
    """The record of which only these timings are published, by index, with their positions."""
    return structs.replace(record, payload=structs.replace(record.payload, positions=positions))
