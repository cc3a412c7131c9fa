"""Which metrics each aggregated type has: the main ones, those that may be absent, and their names at the vendor."""

import msgspec

from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.export_types import Addition
from tests.vendors.quividi.aggregated import AGGREGATED, row

MAIN = {
    "viewers_aggregated": ("watcher_count",),
    "ots": ("ots_count",),
    "gate": ("in_count", "out_count"),
    "proof_of_play_by_location": ("play_count", "impressions"),
    "proof_of_play_by_site": ("play_count", "impressions"),
    "proof_of_play_by_location_footfall_faces": ("play_count", "impressions"),
    "proof_of_play_by_site_footfall_faces": ("play_count", "impressions"),
    "proof_of_play_vehicle_person_by_location": ("play_count", "total_impressions"),
    "proof_of_play_vehicle_person_by_site": ("play_count", "total_impressions"),
    "content_plays": ("plays",),
    "footfall_aggregated": ("footfall_impressions",),
    "vehicles_aggregated": ("vehicle_count", "vehicle_impressions"),
    "vehicles_footfall_aggregated": ("vehicle_count", "footfall_impressions"),
    "im": ("im",),
    "im_nobackup": ("im",),
    "im_ots": ("im",),
    "im_ots_nobackup": ("im",),
    "targeted_im": ("im",),
    "extrapolated_ots": ("ots_count", "watcher_count"),
    "extrapolated_watchers": ("watcher_count",),
    "compass": ("ots_count_impressions",),
    "retail_analytics_footfall_aggregated": ("nb_visits",),
    "pmp_sales_by_demographics_aggregated": ("product_touches", "estimated_sales"),
    "pmp_sales_funnel_aggregated": ("product_touches", "estimated_sales"),
}
_ADDED_TO_PLAYS = {metric.name for metric in EXPORT_TYPES["proof_of_play_by_location"].metrics if metric.since == 3}
_RATIOS = {
    metric.name for kind in EXPORT_TYPES.values() for metric in kind.metrics if metric.addition is Addition.RATIO
}
OPTIONAL: dict[str, set[str]] = {
    "viewers_aggregated": {"conversion_percent"},
    "ots": {"effective_ots_count"},
    "proof_of_play_by_location": {"estimated_ots", *_ADDED_TO_PLAYS},
    "proof_of_play_by_site": {"estimated_ots", *_ADDED_TO_PLAYS},
    "proof_of_play_by_location_footfall_faces": _ADDED_TO_PLAYS,
    "proof_of_play_by_site_footfall_faces": _ADDED_TO_PLAYS,
    "proof_of_play_vehicle_person_by_location": _RATIOS,
    "proof_of_play_vehicle_person_by_site": _RATIOS,
    "vehicles_aggregated": _RATIOS,
    "vehicles_footfall_aggregated": {"total_impressions", "total_presence_ms", *_RATIOS},
    "im": {"impressions_per_vehicle"},
    "im_nobackup": {"impressions_per_vehicle"},
    "im_ots": {"analysis_window_ms", "ots_count", "watcher_count", "dwell_ms", "attention_ms"},
    "im_ots_nobackup": {"analysis_window_ms", "ots_count", "watcher_count", "dwell_ms", "attention_ms"},
    "extrapolated_ots": {"duration_ms"},
    "compass": {"nearby_ots_count", "effective_ots_count"},
    "pmp_sales_by_demographics_aggregated": {
        f"estimated_sales_{name}"
        for name in (
            *("adult_female", "adult_male", "child_female", "child_male", "senior_female", "senior_male"),
            *("young_adult_female", "young_adult_male", "masked"),
        )
    },
    "pmp_sales_funnel_aggregated": {"watcher_count", "passer_by_count"},
}
"""The fields that not every version, resolution or licence has. The ratios can be computed from others."""
METRICS = {
    stream: tuple(
        name
        for name in msgspec.json.decode(row(stream))
        if name in {name for metric in EXPORT_TYPES[stream].metrics for name in metric.wire_names}
    )
    for stream in AGGREGATED
}
"""The vendor's fields of the metrics in the first row of each example."""
PLACES = {stream: EXPORT_TYPES[stream].place for stream in AGGREGATED}
SIGNED = (
    "estimated_sales",
    *(name.removeprefix("estimated_sales_") for name in OPTIONAL["pmp_sales_by_demographics_aggregated"]),
)
QUALITY = {"extrapolated_ots": "extrapolated", "extrapolated_watchers": "extrapolated"}
