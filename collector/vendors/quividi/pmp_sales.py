"""The rows of finest exports of product sales: what one person did with one product.

Source: the vendor's newer document, "PMP sales by demographics" and "PMP sales funnel". Sales are an estimate of the
vendor. The document does not state in which form the finest rows have their time: all forms are accepted.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from collector.instants import Timestamp
from collector.model import EventType, Record
from collector.vendors.event_fields import AgeCode, EstimatedAgeGroup, EstimatedGender, GenderCode
from collector.vendors.leniency import comparable, fraction
from collector.vendors.quividi.events import AGE_GROUPS, GENDERS
from collector.vendors.quividi.finest import FinestForm, FinestRow, milliseconds, row_decoder
from collector.vendors.quividi.finest_fields import Occurrence, Started
from collector.vendors.quividi.wire import ABSENT, Count, Integer, Number, Tenths


class Sale(FinestRow, frozen=True, gc=False, omit_defaults=True):
    """A row of an export of sales by demographics."""

    KIND = "pmp_sales_by_demographics"
    REQUIRED: ClassVar[Sequence[Sequence[str]]] = (
        ("product",),
        ("product_touches",),
        ("put_back",),
        ("gender",),
        ("age_bracket", "age"),
    )

    product: str | Integer | None = ABSENT
    product_touches: Count | None = ABSENT
    put_back: Count | None = ABSENT
    gender: Integer | None = ABSENT
    age_bracket: Integer | None = ABSENT
    age: Integer | None = ABSENT
    estimated_sales: Number | None = None

    @property
    def age_code(self) -> int | None:
        return next((each for each in (self.age_bracket, self.age) if each is not None and each != ABSENT), None)

    @property
    def product_name(self) -> str | None:
        """An empty name is none."""
        return None if self.product in (None, ABSENT) else str(self.product) or None

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        return self.gender, self.age_code, self.product_touches, self.put_back, self.product_name

    @property
    def fingerprint_fields(self) -> tuple[object, ...]:
        return (comparable(self.estimated_sales),)

    @property
    def is_placeholder(self) -> bool:
        return self.product_touches is None and self.put_back is None and self.estimated_sales is None


class FunnelSale(Sale, frozen=True, gc=False, omit_defaults=True):
    """A row of an export of the sales funnel: with the times of the person."""

    KIND = "pmp_sales_funnel"
    REQUIRED = (
        *(("product",), ("product_touches",), ("put_back",), ("gender",), ("age", "age_bracket")),
        *(("dwell_time_in_tenths_of_sec",), ("attention_time_in_tenths_of_sec",)),
    )

    dwell_time_in_tenths_of_sec: Tenths | None = ABSENT
    attention_time_in_tenths_of_sec: Tenths | None = ABSENT

    @property
    def dwell_ms(self) -> int | None:
        return milliseconds(self.dwell_time_in_tenths_of_sec)

    @property
    def attention_ms(self) -> int | None:
        return milliseconds(self.attention_time_in_tenths_of_sec)

    @property
    def key_fields(self) -> tuple[int | str | None, ...]:
        seen = (self.gender, self.age_code, self.product_touches, self.put_back, self.dwell_ms, self.attention_ms)
        return (*seen, self.product_name)

    @property
    def length_ms(self) -> int | None:
        return self.dwell_ms

    @property
    def is_placeholder(self) -> bool:
        sold = (self.product_touches, self.put_back, self.estimated_sales)
        return all(each is None for each in (*sold, self.dwell_ms, self.attention_ms))


class PmpSalesByDemographicsV1(Started, frozen=True, kw_only=True, gc=False):
    """What a person did with a product: touches, and estimated sales."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/pmp_sales_by_demographics/<location>/<started_local>/<gender>-<age>-<touches>-"
            "<put back>-<product>/<occurrence>`, with the vendor's codes."
        ),
    ]
    started_at: Annotated[
        Timestamp, Meta(description="Start of the vendor's record, in UTC. What it marks is not documented.")
    ]
    product: Annotated[str | None, Meta(description="Name of the product; null if the vendor sends none.")]
    touch_count: Annotated[int | None, Meta(description="How often the product was touched.")]
    put_back_count: Annotated[int | None, Meta(description="How often it was put back.")]
    estimated_sales: Annotated[
        float | None, Meta(description="Sales as the vendor estimates them; null if it sends none.")
    ]
    gender: EstimatedGender
    gender_code: GenderCode
    age_group: EstimatedAgeGroup
    age_code: AgeCode
    occurrence: Occurrence


class PmpSalesFunnelV1(PmpSalesByDemographicsV1, frozen=True, kw_only=True, gc=False):
    """What a person did with a product, and how long the person was there. The same sales as those by demographics."""

    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/pmp_sales_funnel/<location>/<started_local>/<gender>-<age>-<touches>-"
            "<put back>-<dwell>-<attention>-<product>/<occurrence>`, with the vendor's codes and milliseconds."
        ),
    ]
    dwell_ms: Annotated[int | None, Meta(description="Time in front of the screen, in milliseconds.")]
    attention_ms: Annotated[
        int | None, Meta(description="Time of looking at the screen, in milliseconds; may exceed `dwell_ms`.")
    ]


def _fields(record: Record[Any]) -> dict[str, Any]:
    row: Sale = record.payload.row
    return {
        "product": row.product_name,
        "touch_count": row.product_touches,
        "put_back_count": row.put_back,
        "estimated_sales": fraction(row.estimated_sales),
        "gender": GENDERS.get(row.gender, "unknown"),
        "gender_code": row.gender,
        "age_group": AGE_GROUPS.get(row.age_code, "unknown"),
        "age_code": row.age_code,
    }


def _funnel_fields(record: Record[Any]) -> Mapping[str, Any]:
    row: FunnelSale = record.payload.row
    return _fields(record) | {"dwell_ms": row.dwell_ms, "attention_ms": row.attention_ms}


BY_DEMOGRAPHICS = EventType(
    "quividi.pmp_sales_by_demographics.v1", "quividi.pmp_sales_by_demographics", PmpSalesByDemographicsV1
)
FUNNEL = EventType("quividi.pmp_sales_funnel.v1", "quividi.pmp_sales_funnel", PmpSalesFunnelV1)
BY_DEMOGRAPHICS_FORM = FinestForm(BY_DEMOGRAPHICS, row_decoder(Sale), _fields)
FUNNEL_FORM = FinestForm(FUNNEL, row_decoder(FunnelSale), _funnel_fields)
