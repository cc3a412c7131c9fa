"""A decoded row of an aggregated export, what its identity contains beside the row, and its fingerprint."""

from msgspec import Struct

from collector.vendors.leniency import numbers_fingerprint
from collector.vendors.quividi.aggregate_bases import Quality
from collector.vendors.quividi.export_types import ExportType
from collector.vendors.quividi.wire import Number

AttributeValue = str | bool | int | float | None

WITHDRAWN = "withdrawn"
"""The last value of the fingerprint of a withdrawn placeholder."""


class Requested(Struct, frozen=True):
    """The part of a request that identifies what its rows are about."""

    is_grouped: bool = False
    """Whether the rows of a place and period are those of demographic groups."""
    options: str = ""
    """The options by which two requests have different rows: `/<option>=<value>` for each, as identities contain it."""
    user: str = ""
    selection: str = ""
    """A digest of what the source selects, for rows without a place."""
    amount: int | None = None
    """`extrapolation_amount`; None if it is not set, or is the average of the sample."""


class Aggregate(Struct, frozen=True, gc=False):
    """A decoded row."""

    name: str
    """`<place or selection>/<local start>/<resolution>`, then the key parts and the options, if there are any: equal
    for all revisions."""
    place: int | None
    start_local: str
    """The local start of the period: `2018-01-29T02:00:00`."""
    ambiguous: bool
    key_values: tuple[int | str | None, ...]
    """In the order of the key parts."""
    metrics: tuple[Number | None, ...]
    """In the order of the export type's metrics."""
    attributes: tuple[AttributeValue, ...]
    """In the order of the export type's attributes."""
    quality: Quality


def fingerprint(export_type: ExportType, row: Aggregate, *more: str, version: int | None = None) -> bytes:
    """The fingerprint of a row in this version of the field lists; by default, in the present one."""
    version = export_type.fields_version if version is None else version
    metrics = [each for metric, each in zip(export_type.metrics, row.metrics, strict=True) if metric.since <= version]
    attributes = [
        each
        for attribute, each in zip(export_type.attributes, row.attributes, strict=True)
        if attribute.in_fingerprint and attribute.since <= version
    ]
    return numbers_fingerprint(metrics, *attributes, *more, decimals=export_type.decimals)
