"""The sites of an account: a row of the list, and its event."""

from collections import Counter
from typing import Annotated

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import Revision, SiteId
from collector.vendors.quividi.topology.listing import First, IsGone, Listing, Row, SeenAt, decoder
from collector.vendors.quividi.topology.values import Identifier, LongText, Text, TextOrInteger, id_of, text_of
from collector.vendors.quividi.wire import Integer


class SiteRow(Row, frozen=True):
    """A row of `/sites/`, with the fields that are published."""

    network_id: Identifier | None = None
    label: Text | None = None
    active: bool | None = None
    address: LongText | None = None
    description: LongText | None = None
    venue_type: TextOrInteger | None = None
    venue_subtype: TextOrInteger | None = None
    max_active_locations: Integer | None = None


class SiteV1(Struct, frozen=True, kw_only=True):
    """A site that the account may see: locations at one address. Published when it is new or changes."""

    record_id: Annotated[str, Meta(description="`quividi/<user>/site/<site>`: equal for all revisions of the record.")]
    revision: Revision
    site_id: SiteId
    seen_at: SeenAt
    is_gone: IsGone
    network_id: Annotated[int | None, Meta(description="The vendor's number of the site's network.")]
    label: Annotated[str | None, Meta(description="The user's name for the site. Names may change, and repeat.")]
    active: Annotated[bool | None, Meta(description="Whether the site is in use.")]
    address: Annotated[str | None, Meta(description="The postal address of the site.")]
    description: Annotated[str | None, Meta(description="The user's description of the site.")]
    venue_type: Annotated[str | None, Meta(description="The vendor's type of the site.")]
    venue_subtype: Annotated[str | None, Meta(description="The vendor's finer type of the site.")]
    max_active_locations: Annotated[
        int | None, Meta(description="How many locations of the site may be in use at a time.")
    ]


SITE = EventType("quividi.site.v1", "quividi.sites", SiteV1, compacted=True)


def _event(row: SiteRow, number: int, first: First, _: Counter[str] | None) -> SiteV1:
    return SiteV1(
        **first,
        site_id=number,
        network_id=id_of(row.network_id),
        label=text_of(row.label),
        active=row.active,
        address=text_of(row.address),
        description=text_of(row.description),
        venue_type=text_of(row.venue_type),
        venue_subtype=text_of(row.venue_subtype),
        max_active_locations=row.max_active_locations,
    )


SITES = Listing(
    path="/sites/",
    noun="site",
    event_type=SITE,
    number="site_id",
    row=SiteRow,
    decode=decoder(SiteRow),
    event=_event,
)
