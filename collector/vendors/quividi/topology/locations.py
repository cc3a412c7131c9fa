"""The locations of an account: a row of the list, and its event."""

from collections import Counter
from typing import Annotated

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import LocationId, Revision
from collector.vendors.quividi.topology.listing import First, IsGone, Listing, Row, SeenAt, decoder
from collector.vendors.quividi.topology.values import (
    Identifier,
    LongText,
    Text,
    TextOrInteger,
    id_of,
    local_time,
    text_of,
    utc_offset_s,
)
from collector.vendors.quividi.wire import Integer

_CLOCK = "as the vendor writes it, without a zone. Its clock is not documented."
_Reference = Annotated[
    str | None, Meta(description="The location's id in another system; null if it is not set, or no longer sent.")
]
_BroadsignId = Annotated[str | None, Meta(description="An id of the location in Broadsign; null if it is not set.")]


class LocationRow(Row, frozen=True):
    """A row of `/locations/`, with the names of today's API and of earlier ones."""

    site_id: Identifier | None = None
    box_id: Identifier | None = None
    label: Text | None = None
    description: LongText | None = None
    active: bool | None = None
    bm_ignore: bool | None = None
    creation_date: Text | None = None
    last_upload_timestamp: Text | None = None
    last_seen: TextOrInteger | None = None
    last_ots_uploaded: TextOrInteger | None = None
    last_timezone: Integer | None = None
    location_type: TextOrInteger | None = None
    venue_type: TextOrInteger | None = None
    venue_subtype: TextOrInteger | None = None
    id_pointer: TextOrInteger | None = None
    id_broadsign_uuid: TextOrInteger | None = None
    id_broadsign_playerid: TextOrInteger | None = None
    id_broadsign_screenid_v1: TextOrInteger | None = None
    id_broadsign_displayunitid: TextOrInteger | None = None
    id_broadsign: TextOrInteger | None = None
    id_hivestack: TextOrInteger | None = None
    id_vistar: TextOrInteger | None = None
    id_pladway: TextOrInteger | None = None
    second_id: TextOrInteger | None = None
    third_id: TextOrInteger | None = None


class LocationV1(Struct, frozen=True, kw_only=True):
    """A location that the account may see. Published when it is new or changes, also with each upload of its box."""

    record_id: Annotated[
        str, Meta(description="`quividi/<user>/location/<location>`: equal for all revisions of the record.")
    ]
    revision: Revision
    location_id: LocationId
    seen_at: SeenAt
    is_gone: IsGone
    site_id: Annotated[int | None, Meta(description="The vendor's number of the location's site.")]
    box_id: Annotated[int | None, Meta(description="The vendor's number of the box at the location.")]
    label: Annotated[str | None, Meta(description="The user's name for the location. Names may change, and repeat.")]
    description: Annotated[str | None, Meta(description="The user's description of the location.")]
    active: Annotated[bool | None, Meta(description="Whether the location is in use.")]
    is_benchmark_ignored: Annotated[
        bool | None, Meta(description="Whether the vendor leaves the location out of its benchmarks.")
    ]
    creation_date: Annotated[str | None, Meta(description=f"When the location was created, {_CLOCK}")]
    last_upload_timestamp: Annotated[str | None, Meta(description=f"When its box last uploaded, {_CLOCK}")]
    last_seen: Annotated[str | None, Meta(description=f"When its box was last seen, {_CLOCK}")]
    last_ots_uploaded: Annotated[str | None, Meta(description=f"When its box last uploaded OTS, {_CLOCK}")]
    utc_offset_s: Annotated[
        int | None,
        Meta(
            description="Local time minus UTC at the last upload, in seconds. A number that can only be minutes is "
            "converted. It names no time zone."
        ),
    ]
    location_type: Annotated[str | None, Meta(description="The vendor's type of the location.")]
    venue_type: Annotated[str | None, Meta(description="The vendor's type of the site.")]
    venue_subtype: Annotated[str | None, Meta(description="The vendor's finer type of the site.")]
    id_pointer: Annotated[str | None, Meta(description="The id of another location, which this one points to.")]
    id_broadsign_uuid: _BroadsignId
    id_broadsign_playerid: _BroadsignId
    id_broadsign_screenid_v1: _BroadsignId
    id_broadsign_displayunitid: _BroadsignId
    id_broadsign: _Reference
    id_hivestack: _Reference
    id_vistar: _Reference
    id_pladway: _Reference
    second_id: _Reference
    third_id: _Reference


LOCATION = EventType("quividi.location.v1", "quividi.locations", LocationV1, compacted=True)


def _event(row: LocationRow, number: int, first: First, ignored: Counter[str] | None) -> LocationV1:
    return LocationV1(
        **first,
        location_id=number,
        site_id=id_of(row.site_id),
        box_id=id_of(row.box_id),
        label=text_of(row.label),
        description=text_of(row.description),
        active=row.active,
        is_benchmark_ignored=row.bm_ignore,
        creation_date=local_time(row.creation_date, "creation_date", ignored),
        last_upload_timestamp=local_time(row.last_upload_timestamp, "last_upload_timestamp", ignored),
        last_seen=local_time(row.last_seen, "last_seen", ignored),
        last_ots_uploaded=local_time(row.last_ots_uploaded, "last_ots_uploaded", ignored),
        utc_offset_s=utc_offset_s(row.last_timezone, ignored),
        location_type=text_of(row.location_type),
        venue_type=text_of(row.venue_type),
        venue_subtype=text_of(row.venue_subtype),
        id_pointer=text_of(row.id_pointer),
        id_broadsign_uuid=text_of(row.id_broadsign_uuid),
        id_broadsign_playerid=text_of(row.id_broadsign_playerid),
        id_broadsign_screenid_v1=text_of(row.id_broadsign_screenid_v1),
        id_broadsign_displayunitid=text_of(row.id_broadsign_displayunitid),
        id_broadsign=text_of(row.id_broadsign),
        id_hivestack=text_of(row.id_hivestack),
        id_vistar=text_of(row.id_vistar),
        id_pladway=text_of(row.id_pladway),
        second_id=text_of(row.second_id),
        third_id=text_of(row.third_id),
    )


LOCATIONS = Listing(
    path="/locations/",
    noun="location",
    event_type=LOCATION,
    number="location_id",
    row=LocationRow,
    decode=decoder(LocationRow),
    event=_event,
)
