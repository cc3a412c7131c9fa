"""What consumers see of a row of an aggregated export: one event, and a revision of it whenever its numbers change."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.instants import Timestamp
from collector.model import EventType
from collector.vendors.quividi.wire import Number
from collector.vendors.vocabulary import AgeGroup, Gender

Quality = Literal["observed", "no_data"]

_EventId = Annotated[str, Meta(description="`<32 hex digits of the record's id>/<kind>/0`: unique, and stable.")]
_Revision = Annotated[int, Meta(description="Counts the versions of the record, from 0; the highest counts.", ge=0)]
_Source = Annotated[str, Meta(description="The source's name in the collector's configuration.")]
_LocationId = Annotated[int, Meta(description="The vendor's number of the location.")]
_SiteId = Annotated[int, Meta(description="The vendor's number of the site.")]
_Resolution = Annotated[str, Meta(description="How long the period is, as the vendor names it: `5m` to `1M`.")]
_PeriodStart = Annotated[Timestamp, Meta(description="When the period begins, UTC.")]
_PeriodEnd = Annotated[Timestamp, Meta(description="When it ends, itself not in it, UTC.")]
_PeriodStartLocal = Annotated[str, Meta(description="Its begin as the vendor wrote it: local, without a zone.")]
_UtcOffset = Annotated[
    int, Meta(description="Local time minus UTC at its begin, in seconds, by the source's time zone.")
]
_Ambiguous = Annotated[
    bool, Meta(description="Whether the local begin comes twice, when summer ends: the first is taken.")
]
_Quality = Annotated[
    Quality,
    Meta(description="`no_data`: the vendor has none, so every metric is null. A zero that was seen is a zero."),
]
_ContentId = Annotated[str | None, Meta(description="The player's id of the content; null where there is no data.")]
_WatcherCount = Annotated[int | None, Meta(description="People who looked at the screen.")]
_DurationMs = Annotated[int | None, Meta(description="For how long there was an observation, in milliseconds.")]
_ContentDurationMs = Annotated[int | None, Meta(description="For how long the content was played, in milliseconds.")]
_Impressions = Annotated[
    Number | None, Meta(description="Views of the content, estimated by the vendor from its conversion ratio.")
]
_EstimatedOts = Annotated[
    Number | None, Meta(description="Deprecated by the vendor, and null where it is gone: `impressions` says it.")
]
_PlayCount = Annotated[int | None, Meta(description="How often the content was played.")]
_Watchers = Annotated[int | None, Meta(description="People who looked while the content was played.")]
_WatchersOver2s = Annotated[int | None, Meta(description="Those of them who looked for more than two seconds.")]


class ViewersAggregatedV1(Struct, frozen=True, kw_only=True, gc=False):
    """How many people looked at a location's screen in a period, and for how long in all."""

    event_id: _EventId
    record_id: Annotated[
        str,
        Meta(
            description="`<location>/<local begin>/<resolution>`, and `/<gender>-<age>` in codes where it is grouped: "
            "the same for every revision."
        ),
    ]
    revision: _Revision
    source: _Source
    location_id: _LocationId
    gender: Annotated[Gender | None, Meta(description="Of whom; null where it is not grouped by demographics.")]
    gender_code: Annotated[int | None, Meta(description="The vendor's code of the gender.")]
    age_group: Annotated[AgeGroup | None, Meta(description="Of whom; null where it is not grouped by demographics.")]
    age_code: Annotated[int | None, Meta(description="The vendor's code of the age.")]
    resolution: _Resolution
    period_start: _PeriodStart
    period_end: _PeriodEnd
    period_start_local: _PeriodStartLocal
    utc_offset_s: _UtcOffset
    ambiguous: _Ambiguous
    quality: _Quality
    watcher_count: _WatcherCount
    dwell_ms: Annotated[int | None, Meta(description="In front of the screen, all of them together, in milliseconds.")]
    attention_ms: Annotated[int | None, Meta(description="Looking at it, all of them together, in milliseconds.")]
    conversion_percent: Annotated[
        Number | None, Meta(description="Watchers of a hundred OTS; null where it is grouped by demographics.")
    ]


class OtsV1(Struct, frozen=True, kw_only=True, gc=False):
    """How many people had the opportunity to see a location's screen in a period."""

    event_id: _EventId
    record_id: Annotated[str, Meta(description="`<location>/<local begin>/<resolution>`: the same for every revision.")]
    revision: _Revision
    source: _Source
    location_id: _LocationId
    resolution: _Resolution
    period_start: _PeriodStart
    period_end: _PeriodEnd
    period_start_local: _PeriodStartLocal
    utc_offset_s: _UtcOffset
    ambiguous: _Ambiguous
    quality: _Quality
    ots_count: Annotated[int | None, Meta(description="Opportunities to see; those who looked are among them.")]
    watcher_count: _WatcherCount
    duration_ms: _DurationMs


class GateV1(Struct, frozen=True, kw_only=True, gc=False):
    """How many people went through a location's gate in a period."""

    event_id: _EventId
    record_id: Annotated[
        str, Meta(description="`<location>/<local begin>/<resolution>/<gate>`: the same for every revision.")
    ]
    revision: _Revision
    source: _Source
    location_id: _LocationId
    gate_id: Annotated[int | None, Meta(description="The vendor's number of the gate; null where there is no data.")]
    resolution: _Resolution
    period_start: _PeriodStart
    period_end: _PeriodEnd
    period_start_local: _PeriodStartLocal
    utc_offset_s: _UtcOffset
    ambiguous: _Ambiguous
    quality: _Quality
    in_count: Annotated[int | None, Meta(description="People who entered.")]
    out_count: Annotated[int | None, Meta(description="People who left.")]
    duration_ms: _DurationMs


class ProofOfPlayByLocationV1(Struct, frozen=True, kw_only=True, gc=False):
    """How often and before how many people a content was played at a location in a period."""

    event_id: _EventId
    record_id: Annotated[
        str, Meta(description="`<location>/<local begin>/<resolution>/<content>`: the same for every revision.")
    ]
    revision: _Revision
    source: _Source
    location_id: _LocationId
    content_id: _ContentId
    resolution: _Resolution
    period_start: _PeriodStart
    period_end: _PeriodEnd
    period_start_local: _PeriodStartLocal
    utc_offset_s: _UtcOffset
    ambiguous: _Ambiguous
    quality: _Quality
    content_duration_ms: _ContentDurationMs
    duration_ms: _DurationMs
    impressions: _Impressions
    estimated_ots: _EstimatedOts
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s


class ProofOfPlayBySiteV1(Struct, frozen=True, kw_only=True, gc=False):
    """How often and before how many people a content was played at all locations of a site in a period."""

    event_id: _EventId
    record_id: Annotated[
        str, Meta(description="`<site>/<local begin>/<resolution>/<content>`: the same for every revision.")
    ]
    revision: _Revision
    source: _Source
    site_id: _SiteId
    content_id: _ContentId
    resolution: _Resolution
    period_start: _PeriodStart
    period_end: _PeriodEnd
    period_start_local: _PeriodStartLocal
    utc_offset_s: _UtcOffset
    ambiguous: _Ambiguous
    quality: _Quality
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
