"""The fields that all events of aggregated exports have in common."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.vendors.event_fields import (
    AgeCode,
    GenderCode,
    LocationId,
    PeriodEnd,
    PeriodStart,
    Revision,
)
from collector.vendors.vocabulary import AgeGroup, Gender

Quality = Literal["observed", "no_data", "imputed", "extrapolated"]

WatcherCount = Annotated[int | None, Meta(description="People who looked at the screen.")]
DurationMs = Annotated[int | None, Meta(description="Duration of the observation, in milliseconds.")]
RepeatedDurationMs = Annotated[
    int | None,
    Meta(
        description="Duration of the observation of the place, in milliseconds. All rows of the place and period "
        "repeat it: do not add it over them."
    ),
]
DwellMs = Annotated[int | None, Meta(description="Total time in front of the screen, in milliseconds.")]
AttentionMs = Annotated[int | None, Meta(description="Total time of looking at the screen, in milliseconds.")]
VehicleCount = Annotated[int | None, Meta(description="Vehicles that passed.")]
VehicleImpressions = Annotated[
    float | None, Meta(description="People in these vehicles: their number times the vendor's persons per vehicle.")
]
VehiclePresenceMs = Annotated[
    int | None, Meta(description="Total time for which vehicles were present, in milliseconds.")
]
ImpressionsPerVehicle = Annotated[
    float | None, Meta(description="Persons per vehicle, on average. Compute it from sums; do not add it.")
]
FootfallImpressions = Annotated[float | None, Meta(description="People who passed.")]
FootfallPresenceMs = Annotated[
    int | None, Meta(description="Total time for which people were present, in milliseconds.")
]
TotalImpressions = Annotated[
    float | None, Meta(description="People in vehicles and people who passed, as added by the vendor.")
]
TotalPresenceMs = Annotated[
    int | None,
    Meta(description="Total time of people in vehicles and of people who passed, in milliseconds, by the vendor."),
]
AvgPresenceMs = Annotated[
    int | None,
    Meta(description="Average time of presence, in milliseconds. Compute it from sums; do not add it."),
]


class Identity(Struct, frozen=True, gc=False):
    """The first fields of every event of this module."""

    record_id: str  # each subclass describes its own
    revision: Revision


class AggregateFields(Identity, frozen=True, kw_only=True, gc=False):
    """The fields about the period. Being keyword-only, they follow the key fields that subclasses add below."""

    resolution: Annotated[str, Meta(description="Length of the period, in the vendor's notation: `5m` to `1M`.")]
    period_start: PeriodStart
    period_end: PeriodEnd
    period_start_local: Annotated[
        str, Meta(description="Start of the period on the clock of the place: `2018-01-29T02:00:00`, without a zone.")
    ]
    utc_offset_s: Annotated[
        int, Meta(description="Local time minus UTC at the start of the period, in seconds, in the place's time zone.")
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


class ByLocation(AggregateFields, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>`: equal for all revisions of "
            "the record."
        ),
    ]
    location_id: LocationId


class ByDemographics(ByLocation, frozen=True, gc=False):
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


class BySelection(AggregateFields, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<selection>/<local start>/<resolution>`, followed by "
            "`/extrapolation_amount=<amount>`, which may be `average`: equal for all revisions of the record."
        ),
    ]
    selection: Annotated[
        str,
        Meta(
            description="A digest of the locations, sites or tags that the source selects: the sample. The vendor's "
            "rows do not name it."
        ),
    ]
    extrapolation_amount: Annotated[
        int | None,
        Meta(description="The number of locations that the vendor projects onto; null for the average of the sample."),
    ]
