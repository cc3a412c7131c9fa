"""The events of aggregated footfall, vehicles, compass and zones: one for each row, and a revision when it changes."""

from typing import Annotated

from msgspec import Meta

from collector.model import EventType
from collector.vendors.quividi.aggregate_bases import (
    AvgPresenceMs,
    ByLocation,
    FootfallImpressions,
    FootfallPresenceMs,
    ImpressionsPerVehicle,
    TotalImpressions,
    TotalPresenceMs,
    VehicleCount,
    VehicleImpressions,
    VehiclePresenceMs,
)


class FootfallAggregatedV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The people who passed a location in a period, and their total time."""

    footfall_impressions: FootfallImpressions
    footfall_presence_ms: FootfallPresenceMs


class VehiclesAggregatedV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The vehicles that passed a location in a period, and the people in them."""

    vehicle_count: VehicleCount
    vehicle_impressions: VehicleImpressions
    vehicle_presence_ms: VehiclePresenceMs
    impressions_per_vehicle: ImpressionsPerVehicle


class VehiclesFootfallAggregatedV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The vehicles and the people that passed a location in a period. Do not add them to those of the other streams."""

    vehicle_count: VehicleCount
    vehicle_impressions: VehicleImpressions
    vehicle_presence_ms: VehiclePresenceMs
    footfall_impressions: FootfallImpressions
    footfall_presence_ms: FootfallPresenceMs
    total_impressions: TotalImpressions
    total_presence_ms: TotalPresenceMs
    impressions_per_vehicle: ImpressionsPerVehicle
    avg_presence_ms: AvgPresenceMs


_DirectionShare = Annotated[
    float | None, Meta(description="Share of the people who went in this direction, from 0 to 1; do not add it.")
]
_DistanceShare = Annotated[
    float | None, Meta(description="Share of the presence time at this distance, from 0 to 1; do not add it.")
]


class CompassV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """How many people passed a location in a period, how near, and in which directions they went."""

    location_name: Annotated[
        str | None, Meta(description="The name of the location. A change of the name alone is not published.")
    ]
    ots_count: Annotated[int | None, Meta(description="Opportunities to see.")]
    nearby_ots_count: Annotated[int | None, Meta(description="Those of people who were near.")]
    effective_ots_count: Annotated[int | None, Meta(description="Those of people who went south or sideways.")]
    presence_ms: Annotated[int | None, Meta(description="Total time of presence, in milliseconds.")]
    far_share: _DistanceShare
    mid_range_share: _DistanceShare
    near_share: _DistanceShare
    north_share: _DirectionShare
    north_east_share: _DirectionShare
    east_share: _DirectionShare
    south_east_share: _DirectionShare
    south_share: _DirectionShare
    south_west_share: _DirectionShare
    west_share: _DirectionShare
    north_west_share: _DirectionShare


class _ByZone(ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>/<zone>`: equal for all "
            "revisions of the record."
        ),
    ]
    zone_id: Annotated[int | None, Meta(description="The vendor's number of the zone; null if there is no data.")]


class RetailAnalyticsFootfallAggregatedV1(_ByZone, frozen=True, kw_only=True, gc=False):
    """The visits to a zone of a location in a period."""

    zone_name: Annotated[
        str | None, Meta(description="The name of the zone. A change of the name alone is not published.")
    ]
    total_impressions: Annotated[
        float | None,
        Meta(
            description="People who passed the whole location. The rows of all its zones repeat it: do not add it over "
            "zones."
        ),
    ]
    visit_count: Annotated[int | None, Meta(description="Visits to the zone.")]
    visit_count_above_threshold: Annotated[
        int | None, Meta(description="Visits with a presence that lasted at least as long as the threshold.")
    ]
    dwell_ms: Annotated[int | None, Meta(description="Total time in the zone, in milliseconds.")]
    dwell_above_threshold_ms: Annotated[
        int | None, Meta(description="Total time of the presences that reach the threshold, in milliseconds.")
    ]
    dwell_threshold_ms: Annotated[
        int | None, Meta(description="The threshold that is configured for the zone, in milliseconds; do not add it.")
    ]


FOOTFALL_AGGREGATED = EventType("quividi.footfall_aggregated.v1", "quividi.footfall_aggregated", FootfallAggregatedV1)
VEHICLES_AGGREGATED = EventType("quividi.vehicles_aggregated.v1", "quividi.vehicles_aggregated", VehiclesAggregatedV1)
VEHICLES_FOOTFALL_AGGREGATED = EventType(
    "quividi.vehicles_footfall_aggregated.v1", "quividi.vehicles_footfall_aggregated", VehiclesFootfallAggregatedV1
)
COMPASS = EventType("quividi.compass.v1", "quividi.compass", CompassV1)
RETAIL_ANALYTICS_FOOTFALL_AGGREGATED = EventType(
    "quividi.retail_analytics_footfall_aggregated.v1",
    "quividi.retail_analytics_footfall_aggregated",
    RetailAnalyticsFootfallAggregatedV1,
)
