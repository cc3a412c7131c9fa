"""The zones of an account's locations, areas in the picture of a camera: a row of the list, and its event."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import Revision
from collector.vendors.quividi.topology.listing import First, IsGone, Listing, Row, SeenAt, decoder
from collector.vendors.quividi.topology.values import (
    Identifier,
    LongText,
    Seconds,
    Text,
    id_of,
    local_time,
    milliseconds,
    text_of,
)
from collector.vendors.quividi.wire import Integer, Number
from collector.vendors.vocabulary import ZoneType

ZONE_TYPES: Mapping[int, ZoneType] = {0: "regular", 1: "doorway_in", 2: "doorway_out", 3: "carpet"}
MAX_CORNERS = 1000

_CLOCK = "as the vendor writes it, without a zone. Its clock is not documented."


class CornerRow(Struct, frozen=True):
    """A corner in a row."""

    x: Number
    y: Number


class ZoneRow(Row, frozen=True):
    """A row of `/zones/`."""

    location_id: Identifier | None = None
    name: Text | None = None
    description: LongText | None = None
    type: Integer | None = None
    presence_threshold: Seconds | None = None
    coordinates: Annotated[tuple[CornerRow, ...], Meta(max_length=MAX_CORNERS)] | None = None
    created_at: Text | None = None
    updated_at: Text | None = None


class Corner(Struct, frozen=True):
    """A corner of a zone, in shares of the picture of the camera."""

    x: Annotated[float, Meta(description="Position from one side of the picture to the other, usually 0 to 1.")]
    y: Annotated[float, Meta(description="Position between top and bottom of the picture, usually 0 to 1.")]


class ZoneV1(Struct, frozen=True, kw_only=True):
    """A zone of a location that the account may see. Published when it is new or changes."""

    record_id: Annotated[str, Meta(description="`quividi/<user>/zone/<zone>`: equal for all revisions of the record.")]
    revision: Revision
    zone_id: Annotated[int, Meta(description="The vendor's number of the zone.")]
    seen_at: SeenAt
    is_gone: IsGone
    location_id: Annotated[int | None, Meta(description="The vendor's number of the zone's location.")]
    name: Annotated[str | None, Meta(description="The user's name for the zone. Names may change, and repeat.")]
    description: Annotated[str | None, Meta(description="The user's description of the zone.")]
    zone_type: Annotated[
        ZoneType | None, Meta(description="`unknown` for a code that is not documented; null if there is no code.")
    ]
    zone_type_code: Annotated[int | None, Meta(description="The vendor's code of the type.")]
    presence_threshold_ms: Annotated[
        int | None,
        Meta(description="The shortest presence that counts as a visit, in milliseconds. The vendor sends seconds."),
    ]
    coordinates: Annotated[Sequence[Corner] | None, Meta(description="The corners of the zone, in the vendor's order.")]
    creation_date: Annotated[str | None, Meta(description=f"When the zone was created, {_CLOCK}")]
    update_date: Annotated[str | None, Meta(description=f"When the zone last changed, {_CLOCK}")]


ZONE = EventType("quividi.zone.v1", "quividi.zones", ZoneV1, compacted=True)


def _event(row: ZoneRow, number: int, first: First, ignored: Counter[str] | None) -> ZoneV1:
    corners = row.coordinates
    return ZoneV1(
        **first,
        zone_id=number,
        location_id=id_of(row.location_id),
        name=text_of(row.name),
        description=text_of(row.description),
        zone_type=None if row.type is None else ZONE_TYPES.get(row.type, "unknown"),
        zone_type_code=row.type,
        presence_threshold_ms=milliseconds(row.presence_threshold, "presence_threshold", ignored),
        coordinates=None if corners is None else [Corner(float(each.x), float(each.y)) for each in corners],
        creation_date=local_time(row.created_at, "created_at", ignored),
        update_date=local_time(row.updated_at, "updated_at", ignored),
    )


ZONES = Listing(
    path="/zones/",
    noun="zone",
    event_type=ZONE,
    number="zone_id",
    row=ZoneRow,
    decode=decoder(ZoneRow),
    event=_event,
)
