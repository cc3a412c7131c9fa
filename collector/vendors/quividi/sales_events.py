"""The events of product sales (PMP): one for each row, and a revision when it changes."""

from typing import Annotated

from msgspec import Meta

from collector.model import EventType
from collector.vendors.quividi.aggregate_bases import AttentionMs, ByDemographics, ByLocation, DwellMs, WatcherCount

_TouchCount = Annotated[int | None, Meta(description="How often a product was touched.")]
_PutBackCount = Annotated[int | None, Meta(description="How often a product was put back.")]
_EstimatedSales = Annotated[
    float | None, Meta(description="Sales as estimated by the vendor. More put back than touched makes them negative.")
]
_SalesOfGroup = Annotated[float | None, Meta(description="The part of `estimated_sales` of this age group and gender.")]


class _ByProduct(ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>/<product>`: equal for all "
            "revisions of the record."
        ),
    ]
    product: Annotated[str | None, Meta(description="The name of the product; null if there is no data.")]


class PmpSalesByDemographicsAggregatedV1(_ByProduct, frozen=True, kw_only=True, gc=False):
    """How often a product was touched and put back at a location in a period, and its estimated sales."""

    touch_count: _TouchCount
    put_back_count: _PutBackCount
    estimated_sales: _EstimatedSales
    estimated_sales_adult_female: _SalesOfGroup
    estimated_sales_adult_male: _SalesOfGroup
    estimated_sales_child_female: _SalesOfGroup
    estimated_sales_child_male: _SalesOfGroup
    estimated_sales_senior_female: _SalesOfGroup
    estimated_sales_senior_male: _SalesOfGroup
    estimated_sales_young_adult_female: _SalesOfGroup
    estimated_sales_young_adult_male: _SalesOfGroup
    estimated_sales_masked: Annotated[
        float | None,
        Meta(description="The part of `estimated_sales` of people with masks, and of unknown gender or age."),
    ]


class PmpSalesFunnelAggregatedV1(ByDemographics, frozen=True, kw_only=True, gc=False):
    """What the people of a gender and age group did with products at a location in a period."""

    touch_count: _TouchCount
    put_back_count: _PutBackCount
    estimated_sales: _EstimatedSales
    dwell_ms: DwellMs
    attention_ms: AttentionMs
    watcher_count: WatcherCount
    passer_by_count: Annotated[int | None, Meta(description="People who passed the point of interest.")]


PMP_SALES_BY_DEMOGRAPHICS_AGGREGATED = EventType(
    "quividi.pmp_sales_by_demographics_aggregated.v1",
    "quividi.pmp_sales_by_demographics_aggregated",
    PmpSalesByDemographicsAggregatedV1,
)
PMP_SALES_FUNNEL_AGGREGATED = EventType(
    "quividi.pmp_sales_funnel_aggregated.v1", "quividi.pmp_sales_funnel_aggregated", PmpSalesFunnelAggregatedV1
)
