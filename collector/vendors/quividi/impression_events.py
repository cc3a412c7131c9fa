"""The events of impression multipliers: one for each location and hour, and a revision when the row changes."""

from typing import Annotated

from msgspec import Meta

from collector.model import EventType
from collector.vendors.quividi.aggregate_bases import (
    AttentionMs,
    ByLocation,
    DwellMs,
    FootfallImpressions,
    FootfallPresenceMs,
    ImpressionsPerVehicle,
    VehicleCount,
    VehicleImpressions,
    VehiclePresenceMs,
    WatcherCount,
)

_Im = Annotated[
    float | None,
    Meta(description="Impression multiplier: impressions of a play in this period, on average; do not add it."),
]
_ImOfGroup = Annotated[
    float | None, Meta(description="The part of `im` of this gender and these ages in years; do not add it.")
]
_AnalysisWindowMs = Annotated[
    int | None, Meta(description="The observed time that the multiplier is based on, in milliseconds.")
]
_BackupValue = Annotated[
    str | None,
    Meta(
        description="`yes` if the vendor replaced a zero by numbers of other times or places, empty if not. With "
        "`yes`, the quality is `imputed`. Other values are not documented."
    ),
]
_Active = Annotated[
    bool | None,
    Meta(
        description="Whether the location, its site and its network were active at the time of the export, not in the "
        "period. A change of it alone is not published."
    ),
]


class _Multiplier(ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>`, followed by "
            "`/average_content_duration=<seconds>` if the source sets it: equal for all revisions of the record."
        ),
    ]


class ImV1(_Multiplier, frozen=True, kw_only=True, gc=False):
    """The impression multiplier (IM, by IAB) of a location in an hour. The vendor may fill it in from other hours."""

    im: _Im
    im_footfall: Annotated[float | None, Meta(description="The part of people who passed; do not add it.")]
    im_vehicle: Annotated[float | None, Meta(description="The part of people in vehicles; do not add it.")]
    analysis_window_ms: _AnalysisWindowMs
    vehicle_count: VehicleCount
    vehicle_presence_ms: VehiclePresenceMs
    footfall_impressions: FootfallImpressions
    footfall_presence_ms: FootfallPresenceMs
    vehicle_impressions: VehicleImpressions
    impressions_per_vehicle: ImpressionsPerVehicle
    backup_value: _BackupValue
    active: _Active


class ImNobackupV1(_Multiplier, frozen=True, kw_only=True, gc=False):
    """The impression multiplier (IM, by IAB) of a location in an hour, only as measured."""

    im: _Im
    im_footfall: Annotated[float | None, Meta(description="The part of people who passed; do not add it.")]
    im_vehicle: Annotated[float | None, Meta(description="The part of people in vehicles; do not add it.")]
    analysis_window_ms: _AnalysisWindowMs
    vehicle_count: VehicleCount
    vehicle_presence_ms: VehiclePresenceMs
    footfall_impressions: FootfallImpressions
    footfall_presence_ms: FootfallPresenceMs
    vehicle_impressions: VehicleImpressions
    impressions_per_vehicle: ImpressionsPerVehicle
    backup_value: _BackupValue
    active: _Active


class ImOtsV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The impression multiplier by OTS of a location in an hour. The vendor may fill it in from other hours."""

    im: _Im
    analysis_window_ms: _AnalysisWindowMs
    ots_count: Annotated[int | None, Meta(description="Opportunities to see; includes the watchers.")]
    watcher_count: WatcherCount
    dwell_ms: DwellMs
    attention_ms: AttentionMs
    backup_value: _BackupValue
    active: _Active


class ImOtsNobackupV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The impression multiplier by OTS of a location in an hour, only as measured."""

    im: _Im
    analysis_window_ms: _AnalysisWindowMs
    ots_count: Annotated[int | None, Meta(description="Opportunities to see; includes the watchers.")]
    watcher_count: WatcherCount
    dwell_ms: DwellMs
    attention_ms: AttentionMs
    backup_value: _BackupValue
    active: _Active


class TargetedImV1(_Multiplier, frozen=True, kw_only=True, gc=False):
    """The impression multiplier of a location in an hour, by gender and age."""

    im: _Im
    male_total_im: Annotated[float | None, Meta(description="The part of `im` of men; do not add it.")]
    female_total_im: Annotated[float | None, Meta(description="The part of `im` of women; do not add it.")]
    all_age_12_17_im: _ImOfGroup
    all_age_18_24_im: _ImOfGroup
    all_age_25_34_im: _ImOfGroup
    all_age_35_44_im: _ImOfGroup
    all_age_45_54_im: _ImOfGroup
    all_age_55_64_im: _ImOfGroup
    all_age_65_plus_im: _ImOfGroup
    male_age_12_17_im: _ImOfGroup
    male_age_18_24_im: _ImOfGroup
    male_age_25_34_im: _ImOfGroup
    male_age_35_44_im: _ImOfGroup
    male_age_45_54_im: _ImOfGroup
    male_age_55_64_im: _ImOfGroup
    male_age_65_plus_im: _ImOfGroup
    female_age_12_17_im: _ImOfGroup
    female_age_18_24_im: _ImOfGroup
    female_age_25_34_im: _ImOfGroup
    female_age_35_44_im: _ImOfGroup
    female_age_45_54_im: _ImOfGroup
    female_age_55_64_im: _ImOfGroup
    female_age_65_plus_im: _ImOfGroup


IM = EventType("quividi.im.v1", "quividi.im", ImV1)
IM_NOBACKUP = EventType("quividi.im_nobackup.v1", "quividi.im_nobackup", ImNobackupV1)
IM_OTS = EventType("quividi.im_ots.v1", "quividi.im_ots", ImOtsV1)
IM_OTS_NOBACKUP = EventType("quividi.im_ots_nobackup.v1", "quividi.im_ots_nobackup", ImOtsNobackupV1)
TARGETED_IM = EventType("quividi.targeted_im.v1", "quividi.targeted_im", TargetedImV1)
