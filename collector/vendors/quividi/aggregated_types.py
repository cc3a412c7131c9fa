"""The types of export that have numbers of viewers, OTS and gates for each period, and their extrapolations.

Source: the vendor's document, "Mandatory arguments", "Optional arguments" and "Data formats". Newer field names, and
the types that are not in it, are in newer versions of that document.
"""

from collector.vendors.quividi import aggregate_events
from collector.vendors.quividi.export_types import (
    DECIMALS,
    EXTRAPOLATION_AMOUNT,
    GROUP_BY_DEMOGRAPHICS,
    Addition,
    Attribute,
    ExportType,
    KeyPart,
    Metric,
)
from collector.vendors.quividi.units import CODE, COUNT, ESTIMATE, NUMBER, PERCENT, SECONDS, TENTHS, WORD

_WATCHERS = Metric("watcher_count", COUNT, ("watcher_count",))
_DURATION = Metric("duration_ms", SECONDS, ("duration",))
_DWELL = Metric("dwell_ms", TENTHS, ("dwell_time_in_tenths_of_sec", "dwell_time"))
_ATTENTION = Metric("attention_ms", TENTHS, ("attention_time_in_tenths_of_sec", "attention_time"))
_EXTRAPOLATED_WATCHERS = Metric("watcher_count", ESTIMATE, ("watcher_count",), is_main=True)
VIEWERS_AGGREGATED = ExportType(
    stream="viewers_aggregated",
    data_type="viewers",
    events=(aggregate_events.VIEWERS_AGGREGATED,),
    resolution_hint="the stream viewers has single viewers",
    options=frozenset({GROUP_BY_DEMOGRAPHICS}),
    key_parts=(
        KeyPart("gender", CODE, is_required=False, only_if_grouped=True),
        KeyPart("age", CODE, is_required=False, only_if_grouped=True),
    ),
    metrics=(
        Metric("watcher_count", COUNT, ("watcher_count",), is_main=True),
        _DWELL,
        _ATTENTION,
        Metric("conversion_percent", PERCENT, ("conversion_ratio",), may_be_absent=True, addition=Addition.CONVERSION),
    ),
    fields_version=2,
    decimals=DECIMALS,
)
OTS = ExportType(
    stream="ots",
    data_type="ots",
    events=(aggregate_events.OTS,),
    resolution_hint="VidiCenter only exports aggregates of OTS",
    metrics=(
        Metric("ots_count", COUNT, ("ots_count",), is_main=True),
        _WATCHERS,
        _DURATION,
        Metric(
            "effective_ots_count",
            COUNT,
            ("effective_ots_count",),
            may_be_absent=True,
            since=3,
            expected_at=("1h", "1d", "7d", "1M"),
        ),
    ),
    attributes=(Attribute("status", WORD, since=3, expected_at=("15m",)),),
    fields_version=3,
    decimals=DECIMALS,
)
GATE = ExportType(
    stream="gate",
    data_type="gate",
    events=(aggregate_events.GATE,),
    resolution_hint="VidiCenter only exports aggregates of gates",
    key_parts=(KeyPart("gate_id", NUMBER),),
    metrics=(
        Metric("in_count", COUNT, ("in_count",), is_main=True),
        Metric("out_count", COUNT, ("out_count",), is_main=True),
        _DURATION,
    ),
    fields_version=2,
    decimals=DECIMALS,
)
EXTRAPOLATED_OTS = ExportType(
    stream="extrapolated_ots",
    data_type="extrapolated_ots",
    events=(aggregate_events.EXTRAPOLATED_OTS,),
    resolution_hint="VidiCenter only extrapolates aggregates",
    options=frozenset({EXTRAPOLATION_AMOUNT}),
    place=None,
    metrics=(
        Metric("ots_count", ESTIMATE, ("ots_count",), is_main=True),
        _EXTRAPOLATED_WATCHERS,
        Metric("duration_ms", SECONDS, ("duration",), may_be_absent=True),
    ),
    is_extrapolated=True,
)
EXTRAPOLATED_WATCHERS = ExportType(
    stream="extrapolated_watchers",
    data_type="extrapolated_watchers",
    events=(aggregate_events.EXTRAPOLATED_WATCHERS,),
    resolution_hint="VidiCenter only extrapolates aggregates",
    options=frozenset({EXTRAPOLATION_AMOUNT}),
    place=None,
    metrics=(_EXTRAPOLATED_WATCHERS, _DWELL, _ATTENTION),
    is_extrapolated=True,
)
