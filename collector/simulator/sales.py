"""The exports of product sales (PMP) of the simulated VidiCenter: some visitors touch a product, and most keep it."""

from collections.abc import Iterator

from collector.simulator.aggregated import Row, attention_of, by_codes, dwell_of, ots_of
from collector.simulator.codes import AGES, DEMOGRAPHICS, GENDERS, demographic
from collector.simulator.observed import Observed
from collector.simulator.persons import local_time
from collector.simulator.world import Visit

PRODUCTS = ("Espresso", "Café crème, 0.4 l", "Tea / green")
"""Names of products. Nothing is excluded in them."""


def touches_of(visit: Visit) -> int:
    """How often a visitor has touched the product."""
    return 1 + visit.number % 2 if visit.number % 3 == 0 else 0


def put_back_of(visit: Visit) -> int:
    """How often a visitor has put it back."""
    return touches_of(visit) if visit.number % 4 == 0 else 0


def product_of(visit: Visit) -> str:
    return PRODUCTS[visit.number // 3 % len(PRODUCTS)]


def by_demographics(observed: Observed) -> list[Row]:
    """A row for each visitor who touched a product."""
    return [
        {**_touched(visit, observed), "gender": GENDERS[visit.gender], "age_bracket": AGES[visit.age]}
        for visit in _customers(observed)
    ]


def funnel(observed: Observed) -> list[Row]:
    """A row for each visitor who touched a product."""
    return [
        {
            **_touched(visit, observed),
            "gender": GENDERS[visit.gender],
            "age": AGES[visit.age],
            "dwell_time_in_tenths_of_sec": visit.dwell_ms // 100,
            "attention_time_in_tenths_of_sec": visit.attention_ms // 100,
        }
        for visit in _customers(observed)
    ]


def by_demographics_aggregated(observed: Observed) -> list[Row]:
    """A row for each product, with its sales by gender and age. Without data, one row without a product."""
    rows: list[Row] = []
    for product in PRODUCTS if observed.has_data else (None,):
        visits = [visit for visit in _customers(observed) if product_of(visit) == product]
        sales = dict.fromkeys(DEMOGRAPHICS, 0)
        for visit in visits:
            sales[demographic(visit.gender, visit.age)] += touches_of(visit) - put_back_of(visit)
        rows.append({"product": product, **_sums(visits), **sales})
    return rows


def funnel_aggregated(observed: Observed) -> list[Row]:
    """A row for each gender and age."""
    return [
        {
            "gender": gender,
            "age": age,
            **_sums(visits),
            "dwell_time_in_tenths_of_sec": dwell_of(visits),
            "attention_time_in_tenths_of_sec": attention_of(visits),
            "watcher_count": len(visits),
            "poi_by_passers": ots_of(visits) - len(visits),
        }
        for (gender, age), visits in by_codes(observed.visits).items()
    ]


def _customers(observed: Observed) -> Iterator[Visit]:
    return (visit for visit in observed.visits if touches_of(visit))


def _touched(visit: Visit, observed: Observed) -> Row:
    return {
        "location_id": visit.device,
        "period_start": local_time(visit.start_ms, observed.zone).isoformat(),
        "product": product_of(visit),
        **_sums([visit]),
    }


def _sums(visits: list[Visit]) -> dict[str, int]:
    touches, put_back = sum(map(touches_of, visits)), sum(map(put_back_of, visits))
    return {"product_touches": touches, "put_back": put_back, "estimated_sales": touches - put_back}
