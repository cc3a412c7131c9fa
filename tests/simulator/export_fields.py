"""The fields of each data type of VidiCenter in 2026, with their forms, as the vendor documents them."""

import re
from collections.abc import Mapping

from msgspec import Struct

INT, NUMBER, TEXT, FLAG = "integer", "number", "text", "boolean"
NULLABLE_INT, NULLABLE_TEXT = "integer or null", "text or null"
ID = "id"
"""Digits as text."""
SHARE = "share"
"""A decimal number as text, from 0 to 1."""
DATE_SPACE_TIME, DATE_T_TIME, DATE, MINUTE = "date time", "dateTtime", "date", "hh:mm"
TIME = "hh:mm or hh:mm:ss"
LINK_TIME = "dateTtime, at times with microseconds, or null"
LIST = "list"
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d"
_PATTERNS = {
    ID: r"\d+",
    SHARE: r"[01]\.\d{3}",
    DATE_SPACE_TIME: f"{_DATE} {_TIME}",
    DATE_T_TIME: f"{_DATE}T{_TIME}",
    DATE: _DATE,
    MINUTE: r"\d\d:\d\d",
    TIME: r"\d\d:\d\d(:\d\d)?",
    LINK_TIME: rf"{_DATE}T{_TIME}(\.\d{{6}})?",
    TEXT: r"(?s).*",
    NULLABLE_TEXT: r"(?s).*",
}
Fields = Mapping[str, str]

DWELL, ATTENTION = "dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"
TIMES = {DWELL: INT, ATTENTION: INT}
GROUPS = [
    "masked",
    "child_male",
    "young_adult_male",
    "adult_male",
    "senior_male",
    "child_female",
    "young_adult_female",
    "adult_female",
    "senior_female",
]
BANDS = ["12_17", "18_24", "25_34", "35_44", "45_54", "55_64", "65_plus"]
MOODS = ["very_happy", "happy", "neutral", "unhappy", "very_unhappy"]
START = {"period_start": DATE_SPACE_TIME, "period_start_date": DATE, "period_start_time": MINUTE}
AT_LOCATION, AT_SITE = {"location_id": INT, **START}, {"site_id": INT, **START}
FINEST_START = {"location_id": INT, "period_start": DATE_T_TIME}

VIEWER = {
    "location_id": INT,
    "gender": INT,
    "age": INT,
    "age_value": NUMBER,
    **TIMES,
    **dict.fromkeys(MOODS, NUMBER),
}
PLAYED = {
    "content_id": TEXT,
    "content_duration": NUMBER,
    "play_count": INT,
    "duration": INT,
    "impressions": INT,
    "impressions_per_play": NUMBER,
    "watchers": INT,
    "watchers_2sec": INT,
    **TIMES,
    f"avg_{DWELL}": INT,
    f"avg_{ATTENTION}": INT,
}
TRAFFIC_PLAYED = {
    "content_id": TEXT,
    "content_duration": NUMBER,
    "duration": INT,
    **dict.fromkeys(("play_count", "vehicle_count", "vehicle_impressions"), INT),
    **dict.fromkeys(("footfall_impressions", "total_impressions", "total_impressions_per_play"), NUMBER),
    **dict.fromkeys(("vehicle_presence_time", "footfall_presence_time", "total_presence_time"), INT),
    **dict.fromkeys(("avg_vehicle_presence_time", "avg_footfall_presence_time", "avg_presence_time"), INT),
}
PERSON = {"vr_id": INT, "watcher_id": INT, "watcher_start": LINK_TIME, "tracking_mode": INT}
FOOTFALL = {**FINEST_START, **PERSON, "footfall_presence_time": INT}
VEHICLE = {
    **FINEST_START,
    "type": INT,
    "color": NULLABLE_INT,
    "vehicle_presence_time": INT,
    "vehicle_impressions": NUMBER,
    "impressions_per_vehicle": NUMBER,
}
VEHICLES = {
    "vehicle_count": INT,
    "vehicle_impressions": NUMBER,
    "vehicle_presence_time": INT,
    "impressions_per_vehicle": NUMBER,
}
PERSONS = {"footfall_impressions": INT, "footfall_presence_time": INT}
IM_ATTRIBUTES = {"backup_value": TEXT, "active": FLAG, "analysis_window": INT}
IM = {
    **dict.fromkeys(("im", "im_footfall", "im_vehicle"), NUMBER),
    **IM_ATTRIBUTES,
    **dict.fromkeys(("vehicle_count", "vehicle_presence_time", "vehicle_impressions"), INT),
    **PERSONS,
    "impressions_per_vehicle": NUMBER,
}
IM_OTS = {
    "im": NUMBER,
    **IM_ATTRIBUTES,
    **dict.fromkeys(("ots_count", "watcher_count", "watcher_dwell_time", "watcher_attention_time"), INT),
}
TARGETED = {
    **dict.fromkeys(("im", "male_total_im", "female_total_im"), NUMBER),
    **{f"{sex}_age_{band}_im": NUMBER for sex in ("all", "male", "female") for band in BANDS},
}
SALES = {"product_touches": INT, "put_back": INT, "estimated_sales": INT}
DIRECTIONS = ["north", "north_east", "east", "south_east", "south", "south_west", "west", "north_west"]
COMPASS = {
    "location_name": TEXT,
    **dict.fromkeys(("ots_count_impressions", "nearby_ots_count_impressions", "effective_ots_count"), INT),
    "presence_total": INT,
    **dict.fromkeys(("far", "mid_range", "near", *DIRECTIONS), SHARE),
}
ZONE_COUNTS = {
    "location_id": INT,
    "period_start_date": DATE,
    "period_start_time": TIME,
    "zone_id": INT,
    "zone_name": TEXT,
    **dict.fromkeys(("total_impressions", "nb_visits", "nb_visits_above_threshold"), INT),
    **dict.fromkeys(("total_dwell_duration", "total_dwell_above_threshold", "dwell_threshold"), NUMBER),
}


class Form(Struct, frozen=True):
    """An export, and the fields of its rows."""

    data_type: str
    resolution: str
    fields: Fields
    optional: Fields = {}
    arguments: Mapping[str, str] = {}


EXTRAPOLATED = {"extrapolation_amount": "100"}
FORMS = (
    Form(
        "viewers",
        "finest",
        {"period_start": DATE_T_TIME, **VIEWER},
        {"vr_id": "id or text", "footfall_id": INT, "footfall_start": LINK_TIME},
    ),
    Form("viewers", "1h", {**AT_LOCATION, "watcher_count": INT, "conversion_ratio": NUMBER, **TIMES}),
    Form(
        "viewers",
        "15m",
        {**AT_LOCATION, "gender": INT, "age": INT, "watcher_count": INT, **dict.fromkeys(TIMES, NULLABLE_INT)},
        arguments={"group_by_demographics": "1"},
    ),
    Form(
        "viewers_apc",
        "finest",
        {"start_time": DATE_T_TIME, **VIEWER, "contents": LIST},
        {"vr_id": "id or text", "footfall_id": INT, "footfall_start": LINK_TIME},
    ),
    Form(
        "ots",
        "1h",
        {**AT_LOCATION, **dict.fromkeys(("ots_count", "watcher_count", "duration"), INT)},
        {"effective_ots_count": INT, "status": NULLABLE_TEXT},
    ),
    Form(
        "ots",
        "15m",
        {**AT_LOCATION, **dict.fromkeys(("ots_count", "watcher_count", "duration"), INT), "status": TEXT},
    ),
    Form(
        "ots",
        "1d",
        {**AT_LOCATION, "duration": NUMBER, **dict.fromkeys(("ots_count", "watcher_count"), INT)},
        {"effective_ots_count": INT, "status": NULLABLE_TEXT},
    ),
    Form("gate", "1h", {**AT_LOCATION, **dict.fromkeys(("gate_id", "in_count", "out_count", "duration"), INT)}),
    Form("proof_of_play_by_location", "1h", AT_LOCATION | PLAYED),
    Form("proof_of_play_by_site", "1d", AT_SITE | PLAYED),
    Form("proof_of_play_by_location_footfall_faces", "1h", AT_LOCATION | PLAYED),
    Form("proof_of_play_by_site_footfall_faces", "1h", AT_SITE | PLAYED),
    Form(
        "proof_of_play_by_location_footfall_faces",
        "1d",
        {**AT_LOCATION, **PLAYED, **{f"watchers_{group}": INT for group in GROUPS}},
        arguments={"group_by_demographics": "1"},
    ),
    Form("proof_of_play_vehicle_person_by_location", "1h", AT_LOCATION | TRAFFIC_PLAYED | {"location_id": ID}),
    Form("proof_of_play_vehicle_person_by_site", "1h", AT_SITE | TRAFFIC_PLAYED | {"site_id": ID}),
    Form(
        "extrapolated_watchers",
        "1h",
        {**START, **dict.fromkeys(("watcher_count", *TIMES), NUMBER)},
        arguments=EXTRAPOLATED,
    ),
    Form(
        "extrapolated_ots",
        "1h",
        {**START, **dict.fromkeys(("ots_count", "watcher_count", "duration"), NUMBER)},
        arguments=EXTRAPOLATED,
    ),
    Form("footfall", "finest", FOOTFALL),
    Form("footfall", "1h", AT_LOCATION | PERSONS),
    Form("vehicles", "finest", VEHICLE),
    Form("vehicles", "1h", AT_LOCATION | VEHICLES),
    Form("vehicles_footfall", "finest", {**VEHICLE, "footfall_presence_time": INT}, PERSON),
    Form(
        "vehicles_footfall",
        "1h",
        {
            **AT_LOCATION,
            **VEHICLES,
            **PERSONS,
            **dict.fromkeys(("total_impressions", "total_presence_time", "avg_presence_time"), INT),
        },
    ),
    Form("im", "1h", AT_LOCATION | IM),
    Form("im_nobackup", "1h", AT_LOCATION | IM),
    Form("im_ots", "1h", AT_LOCATION | IM_OTS),
    Form("im_ots_nobackup", "1h", AT_LOCATION | IM_OTS),
    Form("targeted_im", "1h", AT_LOCATION | TARGETED),
    Form(
        "pmp_sales_by_demographics",
        "finest",
        {**FINEST_START, "product": TEXT, **SALES, "gender": INT, "age_bracket": INT},
    ),
    Form(
        "pmp_sales_by_demographics",
        "1h",
        {**AT_LOCATION, "period_start": DATE_T_TIME, "product": TEXT, **SALES, **dict.fromkeys(GROUPS, INT)},
    ),
    Form(
        "pmp_sales_funnel",
        "finest",
        {**FINEST_START, "product": TEXT, **SALES, "gender": INT, "age": INT, **TIMES},
    ),
    Form(
        "pmp_sales_funnel",
        "1h",
        {
            **AT_LOCATION,
            "period_start": DATE_T_TIME,
            **SALES,
            **TIMES,
            **dict.fromkeys(("gender", "age", "watcher_count", "poi_by_passers"), INT),
        },
    ),
    Form("compass", "1h", AT_LOCATION | COMPASS),
    Form("content_plays", "1h", {**AT_LOCATION, "content_id": TEXT, "content_duration": INT, "plays": INT}),
    Form(
        "retail_analytics_footfall",
        "finest",
        {**FOOTFALL, "nb_visits": NUMBER, "visits": LIST},
        {"nb_clips": NUMBER, "clips": LIST, "nb_doorpass": NUMBER, "doorpass": LIST},
    ),
    Form("retail_analytics_footfall_aggregated", "1h", ZONE_COUNTS),
)


def has_form(value: object, form: str) -> bool:
    """Whether a value of JSON has the documented form."""
    if value is None:
        return form in (NULLABLE_INT, NULLABLE_TEXT, LINK_TIME)
    if isinstance(value, bool) or form == FLAG:
        return isinstance(value, bool) and form == FLAG
    if form == LIST:
        return isinstance(value, list)
    if form == "id or text":
        return isinstance(value, int) or (isinstance(value, str) and value.isdigit())
    if form in _PATTERNS:
        return isinstance(value, str) and re.fullmatch(_PATTERNS[form], value) is not None
    return isinstance(value, int) or (form == NUMBER and isinstance(value, float))
