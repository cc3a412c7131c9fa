"""The types of export that have numbers for each period.

Source: the vendor's document, "Mandatory arguments", "Optional arguments" and "Data formats". Newer field names were
observed in newer versions of VidiCenter.
"""

from collector.vendors.quividi import aggregate_events
from collector.vendors.quividi.export_types import (
    CODE,
    CONTENT_IDS,
    COUNT,
    ESTIMATE,
    GROUP_BY_DEMOGRAPHICS,
    NUMBER,
    PERCENT,
    SECONDS,
    TENTHS,
    TEXT,
    Addition,
    ExportType,
    KeyPart,
    Metric,
)

_WATCHERS = Metric("watcher_count", COUNT, ("watcher_count",))
_DURATION = Metric("duration_ms", SECONDS, ("duration",))
_GENDER, _AGE = KeyPart("gender", CODE, is_required=False), KeyPart("age", CODE, is_required=False)
_GATE, _CONTENT = KeyPart("gate_id", NUMBER), KeyPart("content_id", TEXT)
_PROOF_OF_PLAY = (
    Metric("content_duration_ms", SECONDS, ("content_duration",)),
    _DURATION,
    Metric("impressions", ESTIMATE, ("impressions",), is_main=True),
    Metric("estimated_ots", ESTIMATE, ("estimated_ots",), may_be_absent=True),
    Metric("play_count", COUNT, ("play_count",), is_main=True),
    Metric("watchers", COUNT, ("watchers",)),
    Metric("watchers_over_2s", COUNT, ("watchers_2sec",)),
)

VIEWERS_AGGREGATED = ExportType(
    stream="viewers_aggregated",
    data_type="viewers",
    events=(aggregate_events.VIEWERS_AGGREGATED,),
    resolution_hint="the stream viewers has single viewers",
    options=frozenset({GROUP_BY_DEMOGRAPHICS}),
    key_parts=(_GENDER, _AGE),
    metrics=(
        Metric("watcher_count", COUNT, ("watcher_count",), is_main=True),
        Metric("dwell_ms", TENTHS, ("dwell_time_in_tenths_of_sec", "dwell_time")),
        Metric("attention_ms", TENTHS, ("attention_time_in_tenths_of_sec", "attention_time")),
        Metric("conversion_percent", PERCENT, ("conversion_ratio",), may_be_absent=True, addition=Addition.CONVERSION),
    ),
)
OTS = ExportType(
    stream="ots",
    data_type="ots",
    events=(aggregate_events.OTS,),
    resolution_hint="VidiCenter only exports aggregates of OTS",
    metrics=(Metric("ots_count", COUNT, ("ots_count",), is_main=True), _WATCHERS, _DURATION),
)
GATE = ExportType(
    stream="gate",
    data_type="gate",
    events=(aggregate_events.GATE,),
    resolution_hint="VidiCenter only exports aggregates of gates",
    key_parts=(_GATE,),
    metrics=(
        Metric("in_count", COUNT, ("in_count",), is_main=True),
        Metric("out_count", COUNT, ("out_count",), is_main=True),
        _DURATION,
    ),
)
PROOF_OF_PLAY_BY_LOCATION = ExportType(
    stream="proof_of_play_by_location",
    data_type="proof_of_play_by_location",
    events=(aggregate_events.PROOF_OF_PLAY_BY_LOCATION,),
    resolution_hint="VidiCenter only exports aggregates of proof of play",
    options=frozenset({CONTENT_IDS}),
    key_parts=(_CONTENT,),
    metrics=_PROOF_OF_PLAY,
)
PROOF_OF_PLAY_BY_SITE = ExportType(
    stream="proof_of_play_by_site",
    data_type="proof_of_play_by_site",
    events=(aggregate_events.PROOF_OF_PLAY_BY_SITE,),
    resolution_hint="VidiCenter only exports aggregates of proof of play",
    options=frozenset({CONTENT_IDS}),
    place="site_id",
    key_parts=(_CONTENT,),
    metrics=_PROOF_OF_PLAY,
)
