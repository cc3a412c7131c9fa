"""The types of export that have impression multipliers. They exist for hours only.

Source: newer versions of the vendor's document. `im_ots` was documented with the fields of `im` until 2026-07-06, so
all of its fields but the multiplier may be absent.
"""

from collector.vendors.quividi import impression_events
from collector.vendors.quividi.aggregate_rows import BACKUP_VALUE
from collector.vendors.quividi.export_types import AVERAGE_CONTENT_DURATION, Addition, Attribute, ExportType, Metric
from collector.vendors.quividi.units import COUNT, ESTIMATE, FLAG, TENTHS, VERBATIM

_HINT, _HOURS = "VidiCenter only exports impression multipliers by hour", ("1h",)
_IM = Metric("im", ESTIMATE, ("im",), is_main=True, addition=Addition.RATIO)
_AGES = ("12_17", "18_24", "25_34", "35_44", "45_54", "55_64", "65_plus")
_ATTRIBUTES = (
    Attribute(BACKUP_VALUE, VERBATIM),
    # Of now: when a location is switched off, its past does not change.
    Attribute("active", FLAG, in_fingerprint=False),
)
_IAB = (
    _IM,
    Metric("im_footfall", ESTIMATE, ("im_footfall",), addition=Addition.RATIO),
    Metric("im_vehicle", ESTIMATE, ("im_vehicle",), addition=Addition.RATIO),
    Metric("analysis_window_ms", TENTHS, ("analysis_window",)),
    Metric("vehicle_count", COUNT, ("vehicle_count",)),
    Metric("vehicle_presence_ms", TENTHS, ("vehicle_presence_time",)),
    Metric("footfall_impressions", ESTIMATE, ("footfall_impressions",)),
    Metric("footfall_presence_ms", TENTHS, ("footfall_presence_time",)),
    Metric("vehicle_impressions", ESTIMATE, ("vehicle_impressions",)),
    Metric(
        "impressions_per_vehicle",
        ESTIMATE,
        ("impressions_per_vehicle",),
        may_be_absent=True,
        addition=Addition.RATIO,
    ),
)
_BY_OTS = (
    _IM,
    *(
        Metric(name, unit, (wire_name,), may_be_absent=True)
        for name, unit, wire_name in (
            ("analysis_window_ms", TENTHS, "analysis_window"),
            ("ots_count", COUNT, "ots_count"),
            ("watcher_count", COUNT, "watcher_count"),
            ("dwell_ms", TENTHS, "watcher_dwell_time"),
            ("attention_ms", TENTHS, "watcher_attention_time"),
        )
    ),
)
_FORMERLY_BY_OTS = tuple(name for metric in _IAB for name in metric.wire_names)
_TARGETED = (
    _IM,
    *(
        Metric(name, ESTIMATE, (name,), addition=Addition.RATIO)
        for name in (
            "male_total_im",
            "female_total_im",
            *(f"{who}_age_{ages}_im" for who in ("all", "male", "female") for ages in _AGES),
        )
    ),
)

IM = ExportType(
    stream="im",
    data_type="im",
    events=(impression_events.IM,),
    resolutions=_HOURS,
    resolution_hint=_HINT,
    options=frozenset({AVERAGE_CONTENT_DURATION}),
    metrics=_IAB,
    attributes=_ATTRIBUTES,
)
IM_NOBACKUP = ExportType(
    stream="im_nobackup",
    data_type="im_nobackup",
    events=(impression_events.IM_NOBACKUP,),
    resolutions=_HOURS,
    resolution_hint=_HINT,
    options=frozenset({AVERAGE_CONTENT_DURATION}),
    metrics=_IAB,
    attributes=_ATTRIBUTES,
)
IM_OTS = ExportType(
    stream="im_ots",
    data_type="im_ots",
    events=(impression_events.IM_OTS,),
    resolutions=_HOURS,
    resolution_hint=_HINT,
    metrics=_BY_OTS,
    unread=_FORMERLY_BY_OTS,
    attributes=_ATTRIBUTES,
)
IM_OTS_NOBACKUP = ExportType(
    stream="im_ots_nobackup",
    data_type="im_ots_nobackup",
    events=(impression_events.IM_OTS_NOBACKUP,),
    resolutions=_HOURS,
    resolution_hint=_HINT,
    metrics=_BY_OTS,
    unread=_FORMERLY_BY_OTS,
    attributes=_ATTRIBUTES,
)
TARGETED_IM = ExportType(
    stream="targeted_im",
    data_type="targeted_im",
    events=(impression_events.TARGETED_IM,),
    resolutions=_HOURS,
    resolution_hint=_HINT,
    options=frozenset({AVERAGE_CONTENT_DURATION}),
    metrics=_TARGETED,
)
