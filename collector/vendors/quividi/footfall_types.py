"""The types of export that have numbers of passing people and vehicles, of directions and of zones.

Source: newer versions of the vendor's document. They name `person_count` and `impressions` as earlier names, and
`ots_count` for compass.
"""

from collector.vendors.quividi import footfall_events
from collector.vendors.quividi.export_types import Addition, Attribute, ExportType, KeyPart, Metric
from collector.vendors.quividi.units import COUNT, ESTIMATE, NUMBER, SECONDS, SHARE, TENTHS, WORD

_FOOTFALL = Metric("footfall_impressions", ESTIMATE, ("footfall_impressions", "person_count"), is_main=True)
_VEHICLES = Metric("vehicle_count", COUNT, ("vehicle_count",), is_main=True)
_VEHICLE_PRESENCE = Metric("vehicle_presence_ms", TENTHS, ("vehicle_presence_time",))
_IMPRESSIONS_PER_VEHICLE = Metric(
    "impressions_per_vehicle",
    ESTIMATE,
    ("impressions_per_vehicle",),
    may_be_absent=True,
    addition=Addition.RATIO,
)
_DIRECTIONS = ("north", "north_east", "east", "south_east", "south", "south_west", "west", "north_west")

FOOTFALL_AGGREGATED = ExportType(
    stream="footfall_aggregated",
    data_type="footfall",
    events=(footfall_events.FOOTFALL_AGGREGATED,),
    resolution_hint="the stream footfall has single people",
    metrics=(_FOOTFALL, Metric("footfall_presence_ms", TENTHS, ("footfall_presence_time", "dwell_time"))),
)
VEHICLES_AGGREGATED = ExportType(
    stream="vehicles_aggregated",
    data_type="vehicles",
    events=(footfall_events.VEHICLES_AGGREGATED,),
    resolution_hint="the stream vehicles has single vehicles",
    metrics=(
        _VEHICLES,
        Metric("vehicle_impressions", ESTIMATE, ("vehicle_impressions", "impressions"), is_main=True),
        Metric("vehicle_presence_ms", TENTHS, ("vehicle_presence_time", "dwell_time")),
        _IMPRESSIONS_PER_VEHICLE,
    ),
)
VEHICLES_FOOTFALL_AGGREGATED = ExportType(
    stream="vehicles_footfall_aggregated",
    data_type="vehicles_footfall",
    events=(footfall_events.VEHICLES_FOOTFALL_AGGREGATED,),
    resolution_hint="the stream vehicles_footfall has single vehicles and people",
    metrics=(
        _VEHICLES,
        Metric("vehicle_impressions", ESTIMATE, ("vehicle_impressions",)),
        _VEHICLE_PRESENCE,
        _FOOTFALL,
        Metric("footfall_presence_ms", TENTHS, ("footfall_presence_time",)),
        # The totals were added half a year after the type.
        Metric("total_impressions", ESTIMATE, ("total_impressions",), may_be_absent=True),
        Metric("total_presence_ms", TENTHS, ("total_presence_time",), may_be_absent=True),
        _IMPRESSIONS_PER_VEHICLE,
        Metric("avg_presence_ms", TENTHS, ("avg_presence_time",), may_be_absent=True, addition=Addition.RATIO),
    ),
)
COMPASS = ExportType(
    stream="compass",
    data_type="compass",
    events=(footfall_events.COMPASS,),
    resolution_hint="VidiCenter only exports aggregates of directions",
    metrics=(
        Metric("ots_count", COUNT, ("ots_count_impressions", "ots_count"), is_main=True),
        Metric("nearby_ots_count", COUNT, ("nearby_ots_count_impressions",), may_be_absent=True),
        Metric("effective_ots_count", COUNT, ("effective_ots_count",), may_be_absent=True),
        Metric("presence_ms", SECONDS, ("presence_total",)),
        *(
            Metric(f"{name}_share", SHARE, (name,), addition=Addition.RATIO)
            for name in ("far", "mid_range", "near", *_DIRECTIONS)
        ),
    ),
    attributes=(Attribute("location_name", WORD, in_fingerprint=False),),
)
RETAIL_ANALYTICS_FOOTFALL_AGGREGATED = ExportType(
    stream="retail_analytics_footfall_aggregated",
    data_type="retail_analytics_footfall_aggregated",
    events=(footfall_events.RETAIL_ANALYTICS_FOOTFALL_AGGREGATED,),
    resolution_hint="the stream retail_analytics_footfall has single people",
    key_parts=(KeyPart("zone_id", NUMBER),),
    metrics=(
        Metric("total_impressions", ESTIMATE, ("total_impressions",)),
        Metric("visit_count", COUNT, ("nb_visits",), is_main=True),
        Metric("visit_count_above_threshold", COUNT, ("nb_visits_above_threshold",)),
        Metric("dwell_ms", SECONDS, ("total_dwell_duration",)),
        Metric("dwell_above_threshold_ms", SECONDS, ("total_dwell_above_threshold",)),
    ),
    attributes=(
        Attribute("zone_name", WORD, in_fingerprint=False),
        # The numbers above it depend on the threshold.
        Attribute("dwell_threshold_ms", SECONDS, wire_name="dwell_threshold"),
    ),
)
