"""The event of rows of exports whose type is configured by hand."""

from typing import Annotated

from msgspec import Meta, Struct

from collector.instants import Timestamp
from collector.model import EventType


class RowV1(Struct, frozen=True, kw_only=True, gc=False):
    """A row of a Quividi export whose type an operator has configured, as VidiCenter sends it.

    Rows of the resolution `finest` have an occurrence and a start. Rows of other resolutions have revisions and a
    period.
    """

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/row/<stream>/<data type>/<kind of place>/<place>/<local start>/<resolution>`, "
            "followed by the fields of the key, or by a digest of all compared fields, and for `finest` by the "
            "occurrence: equal for all revisions of the record."
        ),
    ]
    revision: Annotated[
        int,
        Meta(
            description="Revision of the record, from 0. The highest revision replaces the others. Always 0 for "
            "`finest`.",
            ge=0,
        ),
    ]
    occurrence: Annotated[
        int | None,
        Meta(
            description="Number of the record among those with equal rows, from 0; null unless the resolution is "
            "`finest`."
        ),
    ]
    stream: Annotated[str, Meta(description="The name of the stream in the collector's configuration.")]
    data_type: Annotated[str, Meta(description="VidiCenter's name of the type of export.")]
    resolution: Annotated[
        str, Meta(description="`finest`, or the length of the period in the vendor's notation: `5m` to `1M`.")
    ]
    location_id: Annotated[
        int | None, Meta(description="The vendor's number of the location; null if rows are not about locations.")
    ]
    site_id: Annotated[
        int | None, Meta(description="The vendor's number of the site; null if rows are not about sites.")
    ]
    selection: Annotated[
        str | None,
        Meta(
            description="A digest of the locations, sites or tags that the source selects, for rows that name no "
            "place; null for all others."
        ),
    ]
    started_at: Annotated[
        Timestamp | None, Meta(description="The time of a row of `finest`, in UTC; null for rows with a period.")
    ]
    started_local: Annotated[
        str | None,
        Meta(description="The same on the clock of the place: `2026-01-29T01:28:52`, without a zone."),
    ]
    period_start: Annotated[
        Timestamp | None, Meta(description="Start of the period, in UTC; null if the resolution is `finest`.")
    ]
    period_end: Annotated[
        Timestamp | None, Meta(description="End of the period, exclusive, in UTC; null if the resolution is `finest`.")
    ]
    period_start_local: Annotated[
        str | None,
        Meta(
            description="Start of the period on the clock of the place, without a zone; null if the resolution is "
            "`finest`."
        ),
    ]
    utc_offset_s: Annotated[
        int, Meta(description="Local time minus UTC at that time, in seconds, in the time zone of the source.")
    ]
    ambiguous: Annotated[
        bool,
        Meta(description="Whether the local time occurs twice, at the end of summer time. The first one is used."),
    ]
    row_json: Annotated[
        str,
        Meta(
            description="The row as JSON, with the vendor's fields in alphabetical order and their values as received, "
            "also the fields that are above and those that are ignored in comparisons."
        ),
    ]


ROW = EventType("quividi.row.v1", "quividi.rows", RowV1)
TYPES = (ROW,)
