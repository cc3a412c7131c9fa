"""The boxes of an account: a row of the list, and its event.

A row also has the box's MAC address and the configuration of its camera, with the address of the camera in its network.
Neither is read.
"""

from collections import Counter
from typing import Annotated

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import Revision
from collector.vendors.quividi.topology.listing import First, IsGone, Listing, Row, SeenAt, decoder
from collector.vendors.quividi.topology.values import Identifier, Text, id_of, local_time, text_of


class BoxRow(Row, frozen=True):
    """A row of `/boxes/`, with the fields that are published."""

    location_id: Identifier | None = None
    site_id: Identifier | None = None
    label: Text | None = None
    active: bool | None = None
    last_upload_timestamp: Text | None = None


class BoxV1(Struct, frozen=True, kw_only=True):
    """A box, the device at a screen, that the account may see. Published when it is new or changes, and uploads."""

    record_id: Annotated[str, Meta(description="`quividi/<user>/box/<box>`: equal for all revisions of the record.")]
    revision: Revision
    box_id: Annotated[int, Meta(description="The vendor's number of the box.")]
    seen_at: SeenAt
    is_gone: IsGone
    location_id: Annotated[int | None, Meta(description="The vendor's number of the location where the box is.")]
    site_id: Annotated[int | None, Meta(description="The vendor's number of the site where the box is.")]
    label: Annotated[str | None, Meta(description="The user's name for the box. Names may change, and repeat.")]
    active: Annotated[bool | None, Meta(description="Whether the box is in use.")]
    last_upload_timestamp: Annotated[
        str | None,
        Meta(
            description="When the box last uploaded, as the vendor writes it, without a zone. Its clock is not "
            "documented."
        ),
    ]


BOX = EventType("quividi.box.v1", "quividi.boxes", BoxV1, compacted=True)


def _event(row: BoxRow, number: int, first: First, ignored: Counter[str] | None) -> BoxV1:
    return BoxV1(
        **first,
        box_id=number,
        location_id=id_of(row.location_id),
        site_id=id_of(row.site_id),
        label=text_of(row.label),
        active=row.active,
        last_upload_timestamp=local_time(row.last_upload_timestamp, "last_upload_timestamp", ignored),
    )


BOXES = Listing(
    path="/boxes/",
    noun="box",
    event_type=BOX,
    number="box_id",
    row=BoxRow,
    decode=decoder(BoxRow),
    event=_event,
)
