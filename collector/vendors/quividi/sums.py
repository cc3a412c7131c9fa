"""The sum of rows that describe one period together: both passes of the hour that the change to winter time repeats.

The vendor's document does not state whether that hour has one row or two. Both passes have the same local time, so two
rows cannot be assigned to them, and their sum is published.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from collector.vendors.quividi.export_types import Addition, Metric
from collector.vendors.quividi.wire import Number

T = TypeVar("T")

MAX_OTS = 10**15
"""More is no count: the percentage is too close to zero."""

Values = Sequence[Number | None]
"""The values of one metric, by row."""


def added(metrics: Sequence[Metric], rows: Sequence[Values]) -> tuple[Number | None, ...]:
    """The values of the metrics for all rows together. Null and a number are that number.

    Sums of integers are integers. Other sums are those of the decimals that the vendor wrote.
    """
    columns = list(zip(*rows, strict=True))
    watchers = next((each for metric, each in zip(metrics, columns, strict=True) if metric.name == "watcher_count"), ())
    return tuple(_added(metric, values, watchers) for metric, values in zip(metrics, columns, strict=True))


def common(rows: Sequence[Sequence[T | None]]) -> tuple[T | None, ...]:
    """The values of the attributes of all rows together: the value that all rows have that have one, else None."""
    known = [{value for value in values if value is not None} for values in zip(*rows, strict=True)]
    return tuple(values.pop() if len(values) == 1 else None for values in known)


def _added(metric: Metric, values: Values, watchers: Values) -> Number | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    match metric.addition:
        case Addition.SUM:
            return _sum(known)
        case Addition.CONVERSION:
            pairs = zip(watchers, values, strict=True)
            return _conversion([pair for pair in pairs if pair != (None, None)])
        case Addition.RATIO:
            return known[0] if len(set(known)) == 1 else None


def _sum(values: Sequence[Number]) -> Number:
    integers = [value for value in values if isinstance(value, int)]
    if len(integers) == len(values):
        return sum(integers)
    return float(sum(Decimal(str(value)) for value in values))


def _conversion(rows: Sequence[tuple[Number | None, Number | None]]) -> float | None:
    """The percentage of all rows, given the watchers and the percentage of each; None if their OTS are unknown.

    OTS are persons, so their number is rounded to an integer. A row without watchers does not tell its OTS.
    """
    percentages = {percent for _, percent in rows}
    if len(percentages) == 1:
        return percentages.pop()
    ots = 0
    for watchers, percent in rows:
        if not watchers or not percent or (persons := 100 * watchers / percent) > MAX_OTS:
            return None
        ots += round(persons)
    return 100 * sum(watchers or 0 for watchers, _ in rows) / ots if ots else None
