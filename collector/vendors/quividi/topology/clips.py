"""What an account's users wrote about contents: a row of the list of clips, and its event.

The vendor documents the last fields only for writing (its page on clip metadata: `clip_duration` is in seconds). The
screenshot is published as text and never requested: its address comes from the vendor's data.
"""

from collections import Counter
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
    TextOrInteger,
    id_of,
    milliseconds,
    text_of,
)


class ClipRow(Row, frozen=True):
    """A row of `/clip/metadata/`."""

    clip_id: TextOrInteger | None = None
    network_id: Identifier | None = None
    name: Text | None = None
    description: LongText | None = None
    screenshot: LongText | None = None
    clip_duration: Seconds | None = None
    advertiser_name: Text | None = None
    creative_agency_name: Text | None = None


class ContentV1(Struct, frozen=True, kw_only=True):
    """A content as a user of the account describes it. Published when it is new or changes."""

    record_id: Annotated[
        str, Meta(description="`quividi/<user>/content/<clip_number>`: equal for all revisions of the record.")
    ]
    revision: Revision
    clip_number: Annotated[int, Meta(description="The vendor's number of the description, which it gives itself.")]
    seen_at: SeenAt
    is_gone: IsGone
    content_id: Annotated[
        str | None,
        Meta(description="The player's id, as `content_id` of other events: unique together with `network_id`."),
    ]
    network_id: Annotated[int | None, Meta(description="The vendor's number of the network that plays the content.")]
    name: Annotated[str | None, Meta(description="The user's name for the content.")]
    description: Annotated[str | None, Meta(description="The user's description of the content.")]
    duration_ms: Annotated[
        int | None, Meta(description="Length of the content, in milliseconds. The vendor may not send it.")
    ]
    advertiser_name: Annotated[str | None, Meta(description="The advertiser. The vendor may not send it.")]
    creative_agency_name: Annotated[str | None, Meta(description="The agency. The vendor may not send it.")]
    screenshot: Annotated[
        str | None, Meta(description="Address of a picture, as the vendor sends it. The collector does not request it.")
    ]


CONTENT = EventType("quividi.content.v1", "quividi.contents", ContentV1, compacted=True)


def _event(row: ClipRow, number: int, first: First, ignored: Counter[str] | None) -> ContentV1:
    return ContentV1(
        **first,
        clip_number=number,
        content_id=text_of(row.clip_id),
        network_id=id_of(row.network_id),
        name=text_of(row.name),
        description=text_of(row.description),
        duration_ms=milliseconds(row.clip_duration, "clip_duration", ignored),
        advertiser_name=text_of(row.advertiser_name),
        creative_agency_name=text_of(row.creative_agency_name),
        screenshot=text_of(row.screenshot),
    )


CLIPS = Listing(
    path="/clip/metadata/",
    noun="content",
    event_type=CONTENT,
    number="clip_number",
    row=ClipRow,
    decode=decoder(ClipRow),
    event=_event,
)
