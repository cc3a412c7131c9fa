"""The tags of an account, of locations and of sites: a row of either list, and its event.

Requests for exports name tags by their numbers, and paths of other lists by their labels, which may change and repeat.
So tags are read from the two lists that have numbers, and no path contains a label.
"""

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import Revision
from collector.vendors.quividi.topology.listing import First, IsGone, Listing, Row, SeenAt, decoder
from collector.vendors.quividi.topology.values import Identifier, Text, id_of, text_of

Kind = Literal["location", "site"]


class TagRow(Row, frozen=True):
    """A row of `/location_tags/` or `/site_tags/`."""

    network_id: Identifier | None = None
    label: Text | None = None
    extrapolation: bool | None = None


class TagV1(Struct, frozen=True, kw_only=True):
    """A tag of locations or of sites that the account may see. Published when it is new or changes."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/location_tag/<tag>` or `quividi/<user>/site_tag/<tag>`: equal for all "
            "revisions of the record."
        ),
    ]
    revision: Revision
    tag_id: Annotated[int, Meta(description="The vendor's number of the tag. Tags of either kind have their own.")]
    seen_at: SeenAt
    is_gone: IsGone
    kind: Annotated[Kind, Meta(description="What the tag marks: locations or sites.")]
    network_id: Annotated[int | None, Meta(description="The vendor's number of the tag's network.")]
    label: Annotated[str | None, Meta(description="The user's name for the tag. Names may change, and repeat.")]
    is_extrapolation: Annotated[
        bool | None, Meta(description="Whether the vendor keeps the tag for extrapolations: users cannot change it.")
    ]


TAG = EventType("quividi.tag.v1", "quividi.tags", TagV1, compacted=True)


def _listing(kind: Kind, *, is_second: bool) -> Listing[TagRow]:
    def event(row: TagRow, number: int, first: First, _: Counter[str] | None) -> TagV1:
        return TagV1(
            **first,
            tag_id=number,
            kind=kind,
            network_id=id_of(row.network_id),
            label=text_of(row.label),
            is_extrapolation=row.extrapolation,
        )

    return Listing(
        path=f"/{kind}_tags/",
        noun=f"{kind}_tag",
        event_type=TAG,
        number="tag_id",
        row=TagRow,
        decode=decoder(TagRow),
        event=event,
        constants={"kind": kind},
        is_second=is_second,
    )


LOCATION_TAGS = _listing("location", is_second=False)
SITE_TAGS = _listing("site", is_second=True)
