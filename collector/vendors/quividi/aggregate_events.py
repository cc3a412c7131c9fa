"""The events of aggregated exports: one for each row, and a revision whenever the row's metrics change."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.model import EventType
from collector.vendors.event_fields import (
    AgeCode,
    GenderCode,
    LocationId,
    PeriodEnd,
    PeriodStart,
    Revision,
    SiteId,
)
from collector.vendors.vocabulary import AgeGroup, Gender

Quality = Literal["observed", "no_data", "imputed", "extrapolated"]

_WatcherCount = Annotated[int | None, Meta(description="People who looked at the screen.")]
_DurationMs = Annotated[int | None, Meta(description="Duration of the observation, in milliseconds.")]


class _Identity(Struct, frozen=True, gc=False):
    """The first fields of every event of this module."""

    record_id: str  # each subclass describes its own
    revision: Revision


class _Aggregate(_Identity, frozen=True, kw_only=True, gc=False):
    """The fields about the period. Being keyword-only, they follow the key fields that subclasses add below."""

    resolution: Annotated[str, Meta(description="Length of the period, in the vendor's notation: `5m` to `1M`.")]
    period_start: PeriodStart
    period_end: PeriodEnd
    period_start_local: Annotated[
        str, Meta(description="Start of the period on the clock of the place: `2018-01-29T02:00:00`, without a zone.")
    ]
    utc_offset_s: Annotated[
        int, Meta(description="Local time minus UTC at the start of the period, in seconds, in the source's time zone.")
    ]
    ambiguous: Annotated[
        bool,
        Meta(
            description="Whether the local start occurs twice, at the end of summer time. The first one is used, and "
            "the numbers are those of both."
        ),
    ]
    quality: Annotated[
        Quality,
        Meta(
            description="`observed`: measured; a zero is a measured zero. `imputed`: filled in by the vendor, from "
            "other times or places. `extrapolated`: projected by the vendor, from a sample of places. `no_data`: the "
            "vendor has no data, and all metrics are null. When it sends rows of gates, contents or demographic groups "
            "for the period later, the record without one gets a revision: `observed`, with all metrics still null."
        ),
    ]


class _ByLocation(_Aggregate, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>`: equal for all revisions of "
            "the record."
        ),
    ]
    location_id: LocationId


class _ByDemographics(_ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>`, followed by "
            "`/<gender>-<age>` in codes if rows are grouped by demographics: equal for all revisions of the record."
        ),
    ]
    gender: Annotated[Gender | None, Meta(description="Gender of the group; null if not grouped by demographics.")]
    gender_code: GenderCode
    age_group: Annotated[
        AgeGroup | None, Meta(description="Age group of the group; null if not grouped by demographics.")
    ]
    age_code: AgeCode


class ViewersAggregatedV1(_ByDemographics, frozen=True, kw_only=True, gc=False):
    """The number of people who looked at a location's screen in a period, and their total times."""

    watcher_count: _WatcherCount
    dwell_ms: Annotated[int | None, Meta(description="Total time in front of the screen, in milliseconds.")]
    attention_ms: Annotated[int | None, Meta(description="Total time of looking at the screen, in milliseconds.")]
    conversion_percent: Annotated[
        float | None, Meta(description="Watchers as a percentage of OTS; null if grouped by demographics.")
    ]


class OtsV1(_ByLocation, frozen=True, kw_only=True, gc=False):
    """The number of people who had the opportunity to see (OTS) a location's screen in a period."""

    ots_count: Annotated[int | None, Meta(description="Opportunities to see; includes the watchers.")]
    watcher_count: _WatcherCount
    duration_ms: _DurationMs


class _ByGate(_ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>/<gate>`: equal for all "
            "revisions of the record."
        ),
    ]
    gate_id: Annotated[int | None, Meta(description="The vendor's number of the gate; null if there is no data.")]


class GateV1(_ByGate, frozen=True, kw_only=True, gc=False):
    """The number of people who passed a location's gate in a period."""

    in_count: Annotated[int | None, Meta(description="People who entered.")]
    out_count: Annotated[int | None, Meta(description="People who left.")]
    duration_ms: _DurationMs


_ContentId = Annotated[str | None, Meta(description="The content's id in the player; null if there is no data.")]
_ContentDurationMs = Annotated[int | None, Meta(description="Time for which the content was played, in milliseconds.")]
_Impressions = Annotated[
    float | None, Meta(description="Views of the content, as estimated by the vendor from its conversion ratio.")
]
_EstimatedOts = Annotated[
    float | None, Meta(description="Deprecated by the vendor in favour of `impressions`; null if it sends none.")
]
_PlayCount = Annotated[int | None, Meta(description="Number of times that the content was played.")]
_Watchers = Annotated[int | None, Meta(description="People who looked at the screen while the content was played.")]
_WatchersOver2s = Annotated[int | None, Meta(description="Watchers who looked for more than two seconds.")]


class _ByContentAtLocation(_ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>/<content>`, followed by "
            "`/content_ids=<digest>` if the source selects contents: equal for all revisions of the record."
        ),
    ]
    content_id: _ContentId


class ProofOfPlayByLocationV1(_ByContentAtLocation, frozen=True, kw_only=True, gc=False):
    """The plays of a content at a location in a period, and the people who watched."""

    content_duration_ms: _ContentDurationMs
    duration_ms: _DurationMs
    impressions: _Impressions
    estimated_ots: _EstimatedOts
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s


class _ByContentAtSite(_Aggregate, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<site>/<local start>/<resolution>/<content>`: equal for all "
            "revisions of the record."
        ),
    ]
    site_id: SiteId
    content_id: _ContentId


class ProofOfPlayBySiteV1(_ByContentAtSite, frozen=True, kw_only=True, gc=False):
    """The plays of a content at all locations of a site in a period, and the people who watched."""

    content_duration_ms: _ContentDurationMs
    duration_ms: _DurationMs
    impressions: _Impressions
    estimated_ots: _EstimatedOts
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s


VIEWERS_AGGREGATED = EventType("quividi.viewers_aggregated.v1", "quividi.viewers_aggregated", ViewersAggregatedV1)
OTS = EventType("quividi.ots.v1", "quividi.ots", OtsV1)
GATE = EventType("quividi.gate.v1", "quividi.gate", GateV1)
PROOF_OF_PLAY_BY_LOCATION = EventType(
    "quividi.proof_of_play_by_location.v1", "quividi.proof_of_play_by_location", ProofOfPlayByLocationV1
)
PROOF_OF_PLAY_BY_SITE = EventType(
    "quividi.proof_of_play_by_site.v1", "quividi.proof_of_play_by_site", ProofOfPlayBySiteV1
)
