"""Invented responses of the aggregated types that only newer versions of the vendor's document have.

Numbers, ids and times are written as they are in the examples of that document: integers, whole floats and texts.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Row = dict[str, Any]

_PLACE = {"location_id": 5120}
_FIRST, _SECOND = {"period_start": "2018-01-29 10:00:00"}, {"period_start": "2018-01-29 11:00:00"}
_AGES = ("12_17", "18_24", "25_34", "35_44", "45_54", "55_64", "65_plus")

_WATCHED: Row = {
    "content_id": "spring/1",
    "content_duration": 118.5,
    "duration": 3600,
    "impressions": 140,
    "impressions_per_play": 17.5,
    "play_count": 8,
    "watchers": 12,
    "watchers_2sec": 7,
    "dwell_time_in_tenths_of_sec": 905,
    "attention_time_in_tenths_of_sec": 240,
    "avg_dwell_time_in_tenths_of_sec": 75,
    "avg_attention_time_in_tenths_of_sec": 20,
    "watchers_masked": 1,
    "watchers_child_male": 0,
    "watchers_young_adult_male": 2,
    "watchers_adult_male": 3,
    "watchers_senior_male": 1,
    "watchers_child_female": 1,
    "watchers_young_adult_female": 1,
    "watchers_adult_female": 2,
    "watchers_senior_female": 1,
}
_PASSED: Row = {
    "content_id": "spring/1",
    "content_duration": 118.5,
    "duration": 3600,
    "play_count": 8,
    "vehicle_count": 31,
    "vehicle_impressions": 47,
    "footfall_impressions": 12.0,
    "total_impressions": 59.0,
    "vehicle_presence_time": 4030,
    "footfall_presence_time": 660,
    "total_presence_time": 6705,
    "avg_vehicle_presence_time": 130,
    "avg_footfall_presence_time": 55,
    "avg_presence_time": 113,
    "total_impressions_per_play": 7.375,
}
_IAB: Row = {
    "im": 1.84,
    "im_footfall": 0.64,
    "im_vehicle": 1.2,
    "backup_value": "",
    "active": True,
    "analysis_window": 36000,
    "vehicle_count": 220,
    "vehicle_presence_time": 28800,
    "footfall_impressions": 410,
    "footfall_presence_time": 23040,
    "vehicle_impressions": 330,
    "impressions_per_vehicle": 1.5,
}
_BY_OTS: Row = {
    "im": 0.73,
    "backup_value": "",
    "active": True,
    "analysis_window": 36000,
    "ots_count": 96,
    "watcher_count": 31,
    "watcher_dwell_time": 2210,
    "watcher_attention_time": 640,
}
_TARGETED: Row = {
    "im": 2.1,
    "male_total_im": 1.1503,
    "female_total_im": 0.9494,
    **{f"all_age_{ages}_im": 0.3 for ages in _AGES},
    **{f"male_age_{ages}_im": 0.1643 for ages in _AGES},
    **{f"female_age_{ages}_im": 0.1356 for ages in _AGES},
}
_COMPASS: Row = {
    "location_name": "Hall 3, north door",
    "ots_count_impressions": 310,
    "nearby_ots_count_impressions": 122,
    "effective_ots_count": 190,
    "presence_total": 4012,
    "far": "0.481",
    "mid_range": "0.327",
    "near": "0.192",
    "north": "0.136",
    "north_east": "0.091",
    "east": "0.136",
    "south_east": "0.182",
    "south": "0.091",
    "south_west": "0.136",
    "west": "0.136",
    "north_west": "0.091",
}
_ZONE: Row = {
    "zone_id": 9,
    "zone_name": "Till",
    "total_impressions": 340,
    "nb_visits": 51,
    "nb_visits_above_threshold": 20,
    "total_dwell_duration": 811.4,
    "total_dwell_above_threshold": 602.25,
    "dwell_threshold": 10.0,
}
_SALES: Row = {
    "product": "Mint tea, 20 bags",
    "product_touches": 14,
    "put_back": 5,
    "estimated_sales": 9,
    "adult_female": 3,
    "adult_male": 2,
    "child_female": 0,
    "child_male": 0,
    "senior_female": 1,
    "senior_male": 0,
    "young_adult_female": 2,
    "young_adult_male": 1,
    "masked": 0,
}
_FUNNEL: Row = {
    "gender": 2,
    "age": 3,
    "product_touches": 6,
    "put_back": 2,
    "estimated_sales": 4,
    "dwell_time_in_tenths_of_sec": 1320,
    "attention_time_in_tenths_of_sec": 410,
    "watcher_count": 11,
}

_SITE: Row = {"site_id": 340}
_ROWS: Mapping[str, list[Row]] = {
    "proof_of_play_by_location_footfall_faces": [
        _PLACE | _FIRST | _WATCHED,
        _PLACE | _SECOND | _WATCHED | {"content_duration": 120, "watchers": 9},
    ],
    "proof_of_play_by_site_footfall_faces": [_SITE | _FIRST | _WATCHED],
    "proof_of_play_vehicle_person_by_location": [{"location_id": "5120"} | _FIRST | _PASSED],
    "proof_of_play_vehicle_person_by_site": [{"site_id": "340"} | _FIRST | _PASSED],
    "content_plays": [
        _PLACE | _FIRST | {"content_id": "spring/1", "content_duration": 240, "plays": 16},
        _PLACE | _FIRST | {"content_id": "summer", "content_duration": 90, "play_count": 6},
    ],
    "footfall_aggregated": [_PLACE | _FIRST | {"footfall_impressions": 87, "footfall_presence_time": 9120}],
    "vehicles_aggregated": [
        _PLACE
        | _FIRST
        | {
            "vehicle_count": 220,
            "vehicle_impressions": 325.5,
            "vehicle_presence_time": 28800,
            "impressions_per_vehicle": 1.48,
        },
        _PLACE
        | _SECOND
        | {"vehicle_count": 0, "vehicle_impressions": 0, "vehicle_presence_time": 0, "impressions_per_vehicle": 0},
    ],
    "vehicles_footfall_aggregated": [
        _PLACE
        | _FIRST
        | {
            "vehicle_count": 220,
            "vehicle_impressions": 325.5,
            "vehicle_presence_time": 28800,
            "footfall_impressions": 87,
            "footfall_presence_time": 9120,
            "total_impressions": 412.5,
            "total_presence_time": 51744,
            "impressions_per_vehicle": 1.48,
            "avg_presence_time": 125,
        }
    ],
    "im": [_PLACE | _FIRST | _IAB, _PLACE | _SECOND | _IAB | {"backup_value": "yes", "im": 1.9}],
    "im_nobackup": [_PLACE | _FIRST | _IAB],
    "im_ots": [_PLACE | _FIRST | _BY_OTS, _PLACE | _SECOND | _IAB],
    "im_ots_nobackup": [_PLACE | _FIRST | _BY_OTS],
    "targeted_im": [_PLACE | _FIRST | _TARGETED],
    "extrapolated_ots": [
        _FIRST | {"ots_count": 48210, "duration": 3600, "watcher_count": 11050},
        _SECOND | {"ots_count": 482.25, "duration": 3600, "watcher_count": 110.5},
    ],
    "extrapolated_watchers": [
        _FIRST
        | {
            "watcher_count": 11050,
            "dwell_time_in_tenths_of_sec": 812300,
            "attention_time_in_tenths_of_sec": 201700,
        }
    ],
    "compass": [_PLACE | _FIRST | _COMPASS],
    "retail_analytics_footfall_aggregated": [
        _PLACE | {"period_start_date": "2018-01-29", "period_start_time": "10:00:00"} | _ZONE,
        _PLACE | {"period_start_date": "2018-01-29", "period_start_time": "10:00"} | _ZONE | {"zone_id": 11},
    ],
    "pmp_sales_by_demographics_aggregated": [_PLACE | {"period_start": "2018-01-29T10:00:00"} | _SALES],
    "pmp_sales_funnel_aggregated": [_PLACE | {"period_start": "2018-01-29T10:00:00"} | _FUNNEL],
}
NEWER: Mapping[str, bytes] = {
    stream: msgspec.json.encode({"state": "finished", "data": rows}) for stream, rows in _ROWS.items()
}
"""By the name of the stream."""
NEWER_PLAY: Row = _PLACE | _FIRST | _WATCHED
"""A row of `proof_of_play_by_location`, and with a `site_id` of that by site, as newer versions write it."""
NEWER_OTS: Row = (
    _PLACE
    | _FIRST
    | {"ots_count": 88, "watcher_count": 20, "duration": 3600, "effective_ots_count": 61, "status": "running"}
)
"""A row of `ots` with every field; no resolution has them all."""
