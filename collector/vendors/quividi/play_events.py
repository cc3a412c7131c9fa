"""The events of proof of play: one for each content, place and period, and a revision when the row changes."""

from typing import Annotated

from msgspec import Meta

from collector.model import EventType
from collector.vendors.event_fields import SiteId
from collector.vendors.quividi.aggregate_bases import (
    AggregateFields,
    AvgPresenceMs,
    ByLocation,
    FootfallImpressions,
    FootfallPresenceMs,
    RepeatedDurationMs,
    TotalImpressions,
    TotalPresenceMs,
    VehicleCount,
    VehicleImpressions,
    VehiclePresenceMs,
)

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
_ImpressionsPerPlay = Annotated[
    float | None, Meta(description="Impressions of a play, on average. Compute it from sums; do not add it.")
]
_DwellMs = Annotated[int | None, Meta(description="Total time that the watchers were there, in milliseconds.")]
_AttentionMs = Annotated[int | None, Meta(description="Total time that the watchers looked, in milliseconds.")]
_AvgDwellMs = Annotated[
    int | None,
    Meta(description="Average time that a watcher was there, in milliseconds, rounded by the vendor; do not add it."),
]
_AvgAttentionMs = Annotated[
    int | None,
    Meta(description="Average time that a watcher looked, in milliseconds, rounded by the vendor; do not add it."),
]
_WatchersMasked = Annotated[
    int | None,
    Meta(description="Watchers with masks, and those of unknown gender or age; see `group_by_demographics`."),
]
_WatchersOfGroup = Annotated[
    int | None, Meta(description="Watchers of this age group and gender; see `group_by_demographics`.")
]


class _ByContentAtLocation(ByLocation, frozen=True, gc=False):
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
    duration_ms: RepeatedDurationMs
    impressions: _Impressions
    estimated_ots: _EstimatedOts
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s
    impressions_per_play: _ImpressionsPerPlay = None
    dwell_ms: _DwellMs = None
    attention_ms: _AttentionMs = None
    avg_dwell_ms: _AvgDwellMs = None
    avg_attention_ms: _AvgAttentionMs = None
    watchers_masked: _WatchersMasked = None
    watchers_child_male: _WatchersOfGroup = None
    watchers_young_adult_male: _WatchersOfGroup = None
    watchers_adult_male: _WatchersOfGroup = None
    watchers_senior_male: _WatchersOfGroup = None
    watchers_child_female: _WatchersOfGroup = None
    watchers_young_adult_female: _WatchersOfGroup = None
    watchers_adult_female: _WatchersOfGroup = None
    watchers_senior_female: _WatchersOfGroup = None


class _ByContentAtSite(AggregateFields, frozen=True, gc=False):
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
    duration_ms: RepeatedDurationMs
    impressions: _Impressions
    estimated_ots: _EstimatedOts
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s
    impressions_per_play: _ImpressionsPerPlay = None
    dwell_ms: _DwellMs = None
    attention_ms: _AttentionMs = None
    avg_dwell_ms: _AvgDwellMs = None
    avg_attention_ms: _AvgAttentionMs = None
    watchers_masked: _WatchersMasked = None
    watchers_child_male: _WatchersOfGroup = None
    watchers_young_adult_male: _WatchersOfGroup = None
    watchers_adult_male: _WatchersOfGroup = None
    watchers_senior_male: _WatchersOfGroup = None
    watchers_child_female: _WatchersOfGroup = None
    watchers_young_adult_female: _WatchersOfGroup = None
    watchers_adult_female: _WatchersOfGroup = None
    watchers_senior_female: _WatchersOfGroup = None


_TrackedImpressions = Annotated[
    float | None,
    Meta(
        description="Views of the content, as computed by the vendor from its trackers of people and vehicles: another "
        "method than that of `quividi.proof_of_play_by_location.v1`."
    ),
]


class ProofOfPlayByLocationFootfallFacesV1(_ByContentAtLocation, frozen=True, kw_only=True, gc=False):
    """The plays of a content at a location in a period, with impressions from trackers."""

    content_duration_ms: _ContentDurationMs
    duration_ms: RepeatedDurationMs
    impressions: _TrackedImpressions
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s
    impressions_per_play: _ImpressionsPerPlay
    dwell_ms: _DwellMs
    attention_ms: _AttentionMs
    avg_dwell_ms: _AvgDwellMs
    avg_attention_ms: _AvgAttentionMs
    watchers_masked: _WatchersMasked
    watchers_child_male: _WatchersOfGroup
    watchers_young_adult_male: _WatchersOfGroup
    watchers_adult_male: _WatchersOfGroup
    watchers_senior_male: _WatchersOfGroup
    watchers_child_female: _WatchersOfGroup
    watchers_young_adult_female: _WatchersOfGroup
    watchers_adult_female: _WatchersOfGroup
    watchers_senior_female: _WatchersOfGroup


class ProofOfPlayBySiteFootfallFacesV1(_ByContentAtSite, frozen=True, kw_only=True, gc=False):
    """The plays of a content at all locations of a site in a period, with impressions from trackers."""

    content_duration_ms: _ContentDurationMs
    duration_ms: RepeatedDurationMs
    impressions: _TrackedImpressions
    play_count: _PlayCount
    watchers: _Watchers
    watchers_over_2s: _WatchersOver2s
    impressions_per_play: _ImpressionsPerPlay
    dwell_ms: _DwellMs
    attention_ms: _AttentionMs
    avg_dwell_ms: _AvgDwellMs
    avg_attention_ms: _AvgAttentionMs
    watchers_masked: _WatchersMasked
    watchers_child_male: _WatchersOfGroup
    watchers_young_adult_male: _WatchersOfGroup
    watchers_adult_male: _WatchersOfGroup
    watchers_senior_male: _WatchersOfGroup
    watchers_child_female: _WatchersOfGroup
    watchers_young_adult_female: _WatchersOfGroup
    watchers_adult_female: _WatchersOfGroup
    watchers_senior_female: _WatchersOfGroup


class ProofOfPlayVehiclePersonByLocationV1(_ByContentAtLocation, frozen=True, kw_only=True, gc=False):
    """The plays of a content at a location in a period, and the vehicles and people that passed."""

    content_duration_ms: _ContentDurationMs
    duration_ms: RepeatedDurationMs
    play_count: _PlayCount
    vehicle_count: VehicleCount
    vehicle_impressions: VehicleImpressions
    footfall_impressions: FootfallImpressions
    total_impressions: TotalImpressions
    vehicle_presence_ms: VehiclePresenceMs
    footfall_presence_ms: FootfallPresenceMs
    total_presence_ms: TotalPresenceMs
    avg_vehicle_presence_ms: AvgPresenceMs
    avg_footfall_presence_ms: AvgPresenceMs
    avg_presence_ms: AvgPresenceMs
    total_impressions_per_play: _ImpressionsPerPlay


class ProofOfPlayVehiclePersonBySiteV1(_ByContentAtSite, frozen=True, kw_only=True, gc=False):
    """The plays of a content at all locations of a site in a period, and the vehicles and people that passed."""

    content_duration_ms: _ContentDurationMs
    duration_ms: RepeatedDurationMs
    play_count: _PlayCount
    vehicle_count: VehicleCount
    vehicle_impressions: VehicleImpressions
    footfall_impressions: FootfallImpressions
    total_impressions: TotalImpressions
    vehicle_presence_ms: VehiclePresenceMs
    footfall_presence_ms: FootfallPresenceMs
    total_presence_ms: TotalPresenceMs
    avg_vehicle_presence_ms: AvgPresenceMs
    avg_footfall_presence_ms: AvgPresenceMs
    avg_presence_ms: AvgPresenceMs
    total_impressions_per_play: _ImpressionsPerPlay


class ContentPlaysV1(_ByContentAtLocation, frozen=True, kw_only=True, gc=False):
    """The plays of a content at a location in a period, as the player counts them: nothing about an audience."""

    content_duration_ms: _ContentDurationMs
    play_count: _PlayCount


PROOF_OF_PLAY_BY_LOCATION = EventType(
    "quividi.proof_of_play_by_location.v1", "quividi.proof_of_play_by_location", ProofOfPlayByLocationV1
)
PROOF_OF_PLAY_BY_SITE = EventType(
    "quividi.proof_of_play_by_site.v1", "quividi.proof_of_play_by_site", ProofOfPlayBySiteV1
)
PROOF_OF_PLAY_BY_LOCATION_FOOTFALL_FACES = EventType(
    "quividi.proof_of_play_by_location_footfall_faces.v1",
    "quividi.proof_of_play_by_location_footfall_faces",
    ProofOfPlayByLocationFootfallFacesV1,
)
PROOF_OF_PLAY_BY_SITE_FOOTFALL_FACES = EventType(
    "quividi.proof_of_play_by_site_footfall_faces.v1",
    "quividi.proof_of_play_by_site_footfall_faces",
    ProofOfPlayBySiteFootfallFacesV1,
)
PROOF_OF_PLAY_VEHICLE_PERSON_BY_LOCATION = EventType(
    "quividi.proof_of_play_vehicle_person_by_location.v1",
    "quividi.proof_of_play_vehicle_person_by_location",
    ProofOfPlayVehiclePersonByLocationV1,
)
PROOF_OF_PLAY_VEHICLE_PERSON_BY_SITE = EventType(
    "quividi.proof_of_play_vehicle_person_by_site.v1",
    "quividi.proof_of_play_vehicle_person_by_site",
    ProofOfPlayVehiclePersonBySiteV1,
)
CONTENT_PLAYS = EventType("quividi.content_plays.v1", "quividi.content_plays", ContentPlaysV1)
