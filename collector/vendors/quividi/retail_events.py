"""The events of a visitor in retail analytics: one for the visitor, and one for each presence in a zone."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta, Struct

from collector.instants import Timestamp, format_ms
from collector.model import Event, EventType, Record
from collector.vendors.event_fields import LocationId
from collector.vendors.quividi.finest import event_of
from collector.vendors.quividi.finest_fields import Ambiguous, UtcOffset
from collector.vendors.quividi.footfall import FootfallV1, footfall_fields
from collector.vendors.quividi.retail import RetailVisitor, TimingKind, VisitorWithTimings
from collector.vendors.quividi.wire import Number


class RetailVisitorV1(FootfallV1, frozen=True, kw_only=True, gc=False):
    """A person who passed the location, with counts of what the person did there. The same persons as in footfall."""

    record_id: Annotated[
        str, Meta(description="As of `quividi.footfall.v1`, with `retail_visitor` instead of `footfall`.")
    ]
    visit_count: Annotated[
        int | None,
        Meta(description="Visits to zones, as the vendor counts them when it is published; null if it sends no count."),
    ]
    clip_count: Annotated[int | None, Meta(description="Views of clips, likewise.")]
    door_pass_count: Annotated[int | None, Meta(description="Passages of doorways, likewise.")]


class RetailVisitV1(Struct, frozen=True, kw_only=True, gc=False):
    """A presence of a visitor in a zone.

    The vendor may report it later than the visitor. It is published then, with the next `position` of the visitor.
    """

    record_id: Annotated[str, Meta(description="`record_id` of the visitor.")]
    visitor_event_id: Annotated[str, Meta(description="`event_id` of the visitor's event.")]
    location_id: LocationId
    zone_id: Annotated[int, Meta(description="The vendor's number of the zone.")]
    zone_name: Annotated[
        str | None,
        Meta(description="Name of the zone when it was published; null if the vendor sends none."),
    ]
    position: Annotated[
        int,
        Meta(
            description="Position among all visits, clips and passages of the visitor, in the order of publication, "
            "from 0.",
            ge=0,
        ),
    ]
    started_at: Annotated[
        Timestamp, Meta(description="Start in UTC, exact to about a second: it counts from the arrival, which is cut.")
    ]
    started_local: Annotated[
        str,
        Meta(
            description="Arrival of the visitor, not the start of this, on the clock of the location: "
            "`2018-01-29T01:28:52`, without a zone."
        ),
    ]
    utc_offset_s: UtcOffset
    ambiguous: Ambiguous
    ended_at: Annotated[Timestamp, Meta(description="`started_at` + `duration_ms`, in UTC.")]
    duration_ms: Annotated[int, Meta(description="How long it lasted, in milliseconds.", ge=0)]


class RetailClipV1(RetailVisitV1, frozen=True, kw_only=True, gc=False):
    """A view of a clip by a visitor in a zone. The vendor names the zone, but not the clip.

    As a visit, it may be published later than the visitor.
    """


class RetailDoorPassV1(RetailVisitV1, frozen=True, kw_only=True, gc=False):
    """A passage of a visitor through the doorway of a zone.

    As a visit, it may be published later than the visitor.
    """


VISITOR = EventType("quividi.retail_visitor.v1", "quividi.retail_visitors", RetailVisitorV1)
TIMINGS: Mapping[TimingKind, EventType] = {
    "visit": EventType("quividi.retail_visit.v1", "quividi.retail_visits", RetailVisitV1),
    "clip": EventType("quividi.retail_clip.v1", "quividi.retail_clips", RetailClipV1),
    "door_pass": EventType("quividi.retail_door_pass.v1", "quividi.retail_door_passes", RetailDoorPassV1),
}


def explode_retail_visitor(
    record: Record[VisitorWithTimings], digest: str, occurrence: int, user: str
) -> Iterator[Event]:
    """Yield the visitor's event, then those of the presences in zones, in the vendor's order.

    If only some presences are published, because they came later than the visitor, yield their events alone.
    """
    seen, positions = record.payload, record.payload.positions
    row = seen.visitor.row
    visitor = Record(
        record.key, record.fingerprint, record.start_ms, record.end_ms, record.vendor_local_s, seen.visitor
    )
    fields = {**footfall_fields(visitor), **_counts(row)}
    event = event_of(VISITOR, visitor, fields, (digest, occurrence, user))
    if positions is None:
        yield event
        positions = {index: index for index in range(len(seen.timings))}
    data: RetailVisitorV1 = event.data  # type: ignore[assignment]
    for index, position in positions.items():
        timing = seen.timings[index]
        start_ms = record.start_ms + timing.start_ms
        started_at = format_ms(start_ms)
        event_type = TIMINGS[timing.kind]
        yield Event(
            event_type,
            f"{digest}/retail_{timing.kind}/{position}",
            f"{event.subject}/{timing.kind}/{position}",
            started_at,
            event.key,
            event_type.data(
                record_id=data.record_id,
                visitor_event_id=event.id,
                location_id=data.location_id,
                zone_id=timing.zone_id,
                zone_name=timing.zone_name,
                position=position,
                started_at=started_at,
                started_local=data.started_local,
                utc_offset_s=data.utc_offset_s,
                ambiguous=data.ambiguous,
                ended_at=format_ms(start_ms + timing.duration_ms),
                duration_ms=timing.duration_ms,
            ),
        )


def _counts(row: RetailVisitor) -> dict[str, int | None]:
    return {
        "visit_count": _whole(row.nb_visits),
        "clip_count": _whole(row.nb_clips),
        "door_pass_count": _whole(row.nb_doorpass),
    }


def _whole(count: Number | None) -> int | None:
    """The number; None if it is not whole, which is counted as a doubt."""
    return int(count) if count is not None and count == int(count) else None
