"""The types of export that have the plays of contents.

Source: the vendor's document, "Proof of play export", and newer versions of it. The names of the total times were other
ones for some days each, in seconds and in tenths of seconds.
"""

from collector.vendors.quividi import play_events
from collector.vendors.quividi.export_types import (
    CONTENT_IDS,
    DECIMALS,
    GROUP_BY_DEMOGRAPHICS,
    Addition,
    ExportType,
    KeyPart,
    Metric,
)
from collector.vendors.quividi.units import COUNT, ESTIMATE, SECONDS, TENTHS, TEXT

_HINT = "VidiCenter only exports aggregates of proof of play"
_CONTENT = KeyPart("content_id", TEXT)
_CONTENT_DURATION = Metric("content_duration_ms", SECONDS, ("content_duration",))
_DURATION = Metric("duration_ms", SECONDS, ("duration",))
_IMPRESSIONS = Metric("impressions", ESTIMATE, ("impressions",), is_main=True)
_PLAYS = Metric("play_count", COUNT, ("play_count",), is_main=True)
_WATCHERS = (
    Metric("watchers", COUNT, ("watchers",)),
    Metric("watchers_over_2s", COUNT, ("watchers_2sec",)),
)
_GROUPS = tuple(
    f"watchers_{age}_{gender}" for gender in ("male", "female") for age in ("child", "young_adult", "adult", "senior")
)


def _added_later(since: int) -> tuple[Metric, ...]:
    """The metrics that the first versions of proof of play did not have; `since` as in `Metric`.

    Watchers by group come if the request groups by demographics, and in some versions always.
    """
    dwell, attention = (
        Metric(
            f"{what}_ms",
            TENTHS,
            (f"{what}_time_in_tenths_of_sec", f"total_{what}_time_in_tenths_of_sec"),
            may_be_absent=True,
            since=since,
            in_other_units=((f"total_{what}_time", SECONDS),),
        )
        for what in ("dwell", "attention")
    )
    averages = (
        Metric(name, unit, (wire_name,), may_be_absent=True, addition=Addition.RATIO, since=since)
        for name, unit, wire_name in (
            ("impressions_per_play", ESTIMATE, "impressions_per_play"),
            ("avg_dwell_ms", TENTHS, "avg_dwell_time_in_tenths_of_sec"),
            ("avg_attention_ms", TENTHS, "avg_attention_time_in_tenths_of_sec"),
        )
    )
    groups = (Metric(name, COUNT, (name,), may_be_absent=True, since=since) for name in ("watchers_masked", *_GROUPS))
    return (dwell, attention, *averages, *groups)


_WATCHED = (
    _CONTENT_DURATION,
    _DURATION,
    _IMPRESSIONS,
    Metric("estimated_ots", ESTIMATE, ("estimated_ots",), may_be_absent=True),
    _PLAYS,
    *_WATCHERS,
    *_added_later(since=3),
)
_TRACKED = (_CONTENT_DURATION, _DURATION, _IMPRESSIONS, _PLAYS, *_WATCHERS, *_added_later(since=1))
_PASSED = (
    _CONTENT_DURATION,
    _DURATION,
    _PLAYS,
    Metric("vehicle_count", COUNT, ("vehicle_count",)),
    Metric("vehicle_impressions", ESTIMATE, ("vehicle_impressions",)),
    Metric("footfall_impressions", ESTIMATE, ("footfall_impressions",)),
    Metric("total_impressions", ESTIMATE, ("total_impressions",), is_main=True),
    Metric("vehicle_presence_ms", TENTHS, ("vehicle_presence_time",)),
    Metric("footfall_presence_ms", TENTHS, ("footfall_presence_time",)),
    Metric("total_presence_ms", TENTHS, ("total_presence_time",)),
    *(
        Metric(name, unit, (wire_name,), may_be_absent=True, addition=Addition.RATIO)
        for name, unit, wire_name in (
            ("avg_vehicle_presence_ms", TENTHS, "avg_vehicle_presence_time"),
            ("avg_footfall_presence_ms", TENTHS, "avg_footfall_presence_time"),
            ("avg_presence_ms", TENTHS, "avg_presence_time"),
            ("total_impressions_per_play", ESTIMATE, "total_impressions_per_play"),
        )
    ),
)

PROOF_OF_PLAY_BY_LOCATION = ExportType(
    stream="proof_of_play_by_location",
    data_type="proof_of_play_by_location",
    events=(play_events.PROOF_OF_PLAY_BY_LOCATION,),
    resolution_hint=_HINT,
    options=frozenset({GROUP_BY_DEMOGRAPHICS, CONTENT_IDS}),
    key_parts=(_CONTENT,),
    metrics=_WATCHED,
    fields_version=3,
    decimals=DECIMALS,
)
PROOF_OF_PLAY_BY_SITE = ExportType(
    stream="proof_of_play_by_site",
    data_type="proof_of_play_by_site",
    events=(play_events.PROOF_OF_PLAY_BY_SITE,),
    resolution_hint=_HINT,
    options=frozenset({GROUP_BY_DEMOGRAPHICS, CONTENT_IDS}),
    place="site_id",
    key_parts=(_CONTENT,),
    metrics=_WATCHED,
    fields_version=3,
    decimals=DECIMALS,
)
PROOF_OF_PLAY_BY_LOCATION_FOOTFALL_FACES = ExportType(
    stream="proof_of_play_by_location_footfall_faces",
    data_type="proof_of_play_by_location_footfall_faces",
    events=(play_events.PROOF_OF_PLAY_BY_LOCATION_FOOTFALL_FACES,),
    resolution_hint=_HINT,
    options=frozenset({GROUP_BY_DEMOGRAPHICS, CONTENT_IDS}),
    key_parts=(_CONTENT,),
    metrics=_TRACKED,
)
PROOF_OF_PLAY_BY_SITE_FOOTFALL_FACES = ExportType(
    stream="proof_of_play_by_site_footfall_faces",
    data_type="proof_of_play_by_site_footfall_faces",
    events=(play_events.PROOF_OF_PLAY_BY_SITE_FOOTFALL_FACES,),
    resolution_hint=_HINT,
    options=frozenset({GROUP_BY_DEMOGRAPHICS, CONTENT_IDS}),
    place="site_id",
    key_parts=(_CONTENT,),
    metrics=_TRACKED,
)
PROOF_OF_PLAY_VEHICLE_PERSON_BY_LOCATION = ExportType(
    stream="proof_of_play_vehicle_person_by_location",
    data_type="proof_of_play_vehicle_person_by_location",
    events=(play_events.PROOF_OF_PLAY_VEHICLE_PERSON_BY_LOCATION,),
    resolution_hint=_HINT,
    key_parts=(_CONTENT,),
    metrics=_PASSED,
)
PROOF_OF_PLAY_VEHICLE_PERSON_BY_SITE = ExportType(
    stream="proof_of_play_vehicle_person_by_site",
    data_type="proof_of_play_vehicle_person_by_site",
    events=(play_events.PROOF_OF_PLAY_VEHICLE_PERSON_BY_SITE,),
    resolution_hint=_HINT,
    place="site_id",
    key_parts=(_CONTENT,),
    metrics=_PASSED,
)
CONTENT_PLAYS = ExportType(
    stream="content_plays",
    data_type="content_plays",
    events=(play_events.CONTENT_PLAYS,),
    resolution_hint=_HINT,
    key_parts=(_CONTENT,),
    metrics=(_CONTENT_DURATION, Metric("play_count", COUNT, ("plays", "play_count"), is_main=True)),
)
