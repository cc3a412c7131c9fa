"""The types of export that have product sales (PMP).

Source: newer versions of the vendor's document. Their rows have times with a T, and `poi_by_passers` is in no example.
"""

from collector.vendors.quividi import sales_events
from collector.vendors.quividi.export_types import ExportType, KeyPart, Metric
from collector.vendors.quividi.resolutions import AGGREGATES
from collector.vendors.quividi.units import CODE, COUNT, SIGNED_ESTIMATE, TENTHS, TEXT

_TOUCHES = Metric("touch_count", COUNT, ("product_touches",), is_main=True)
_PUT_BACK = Metric("put_back_count", COUNT, ("put_back",))
_SALES = Metric("estimated_sales", SIGNED_ESTIMATE, ("estimated_sales",), is_main=True)
_GROUPS = (
    *("adult_female", "adult_male", "child_female", "child_male"),
    *("senior_female", "senior_male", "young_adult_female", "young_adult_male", "masked"),
)

PMP_SALES_BY_DEMOGRAPHICS_AGGREGATED = ExportType(
    stream="pmp_sales_by_demographics_aggregated",
    data_type="pmp_sales_by_demographics",
    events=(sales_events.PMP_SALES_BY_DEMOGRAPHICS_AGGREGATED,),
    resolution_hint="the stream pmp_sales_by_demographics has single sales",
    key_parts=(KeyPart("product", TEXT),),
    metrics=(
        _TOUCHES,
        _PUT_BACK,
        _SALES,
        *(
            Metric(f"estimated_sales_{name}", SIGNED_ESTIMATE, (name,), may_be_absent=True, expected_at=AGGREGATES)
            for name in _GROUPS
        ),
    ),
)
PMP_SALES_FUNNEL_AGGREGATED = ExportType(
    stream="pmp_sales_funnel_aggregated",
    data_type="pmp_sales_funnel",
    events=(sales_events.PMP_SALES_FUNNEL_AGGREGATED,),
    resolution_hint="the stream pmp_sales_funnel has single people",
    key_parts=(KeyPart("gender", CODE, is_required=False), KeyPart("age", CODE, is_required=False)),
    metrics=(
        _TOUCHES,
        _PUT_BACK,
        _SALES,
        Metric("dwell_ms", TENTHS, ("dwell_time_in_tenths_of_sec",)),
        Metric("attention_ms", TENTHS, ("attention_time_in_tenths_of_sec",)),
        Metric("watcher_count", COUNT, ("watcher_count",), may_be_absent=True, expected_at=AGGREGATES),
        Metric("passer_by_count", COUNT, ("poi_by_passers",), may_be_absent=True),
    ),
)
