"""Decodes a row of an aggregated export into its time, place, key, metrics and attributes, by the table of its type."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from collector.vendors.leniency import MalformedRow, RowDecoder, understood
from collector.vendors.quividi.aggregate_records import AttributeValue
from collector.vendors.quividi.export_types import Attribute, ExportType, KeyPart, Metric
from collector.vendors.quividi.units import PLACE, Unit
from collector.vendors.quividi.wire import Number
from collector.vendors.row_fields import RowFields

BACKUP_VALUE = "backup_value"
IMPUTED, MEASURED = "yes", ""
"""The documented values of `backup_value`."""

_TIMES = ("period_start", "start_time", "period_start_date", "period_start_time")


class DecodedRow(Struct, frozen=True, gc=False):
    """A row whose values have the event's form."""

    place: int | None
    """None if rows have no place."""
    key_values: tuple[int | str | None, ...]
    """In the order of the key parts."""
    metrics: tuple[Number | None, ...]
    """In the order of the export type's metrics."""
    attributes: tuple[AttributeValue, ...]
    """In the order of the export type's attributes."""

    @property
    def has_numbers(self) -> bool:
        return any(each is not None for each in self.metrics)


class AggregateRows:
    """Decodes the rows of one export type."""

    def __init__(self, export_type: ExportType, key_parts: Sequence[KeyPart]) -> None:
        self._type = export_type
        self._key_parts = key_parts
        self._decode = RowDecoder(_wire_struct(export_type, key_parts), side=_side_fields(export_type))
        self._decode_place = RowDecoder(_place_struct(export_type))

    def decode(self, raw: bytes, ignored: Counter[str] | None) -> Any:  # noqa: ANN401 - of `_wire_struct`
        """The row with the vendor's fields, each of a known form. Raises ValueError that names the field."""
        return self._decode(raw, ignored)

    def convert(self, row: Any, ignored: Counter[str] | None) -> DecodedRow:  # noqa: ANN401 - of `_wire_struct`
        """The decoded row. Raises ValueError that names the field, also if a field is absent that must not be.

        Counts side fields that cannot be understood in `ignored`.
        """
        metrics = _metrics(row, self._type.metrics, ignored)
        found = [_converted(getattr(row, part.name), part.name, part.unit) for part in self._key_parts]
        if any(each is not None for each in metrics):
            for part, value in zip(self._key_parts, found, strict=True):
                if value is UNSET or (part.is_required and value is None):
                    raise ValueError(f"Object missing required field `{part.name}`")
        place = self._type.place
        return DecodedRow(
            None if place is None else _converted(getattr(row, place), place, PLACE),
            tuple(None if value is UNSET else value for value in found),
            metrics,
            tuple(_attribute(row, each, ignored) for each in self._type.attributes),
        )

    def placeholder(self, place: int | None) -> DecodedRow:
        """The row that the vendor sends for a place without data."""
        return DecodedRow(
            place,
            (None,) * len(self._key_parts),
            (None,) * len(self._type.metrics),
            (None,) * len(self._type.attributes),
        )

    def place_of(self, raw: bytes) -> str | None:
        """The place of a malformed row, which is its message key; None where it cannot be read."""
        try:
            place: int | str | None = self._decode_place(raw).place
            return None if place is None else str(PLACE.convert(place))
        except ValueError:
            return None


def start_text(row: Any) -> str:  # noqa: ANN401 - of `_wire_struct`
    """The local start of the period, as the vendor writes it in one field or in two. Raises ValueError.

    Rows of zones have only the date and the time; the document also names a field `start_time`.
    """
    if row.period_start is not None:
        return str(row.period_start)
    if row.start_time is not None:
        return str(row.start_time)
    if row.period_start_date is None or row.period_start_time is None:
        raise ValueError("Object missing required field `period_start`")
    return f"{row.period_start_date}T{row.period_start_time}"


def is_imputed(export_type: ExportType, attributes: Sequence[AttributeValue]) -> bool:
    """Whether the vendor took the metrics from other times or places."""
    return any(
        each.name == BACKUP_VALUE and value == IMPUTED
        for each, value in zip(export_type.attributes, attributes, strict=True)
    )


def fields_of(export_type: ExportType, resolution: str) -> RowFields:
    """The fields of this type's rows at a resolution."""
    place = () if export_type.place is None else (export_type.place,)
    key_parts = (part.name for part in export_type.key_parts)
    descriptive = frozenset((*place, *_TIMES, *key_parts, *(each.field for each in export_type.attributes)))
    optional = {metric.wire_names[0]: metric.expected_at for metric in export_type.metrics}
    optional |= {each.field: each.expected_at for each in export_type.attributes}
    return RowFields(
        known=descriptive.union(export_type.unread, *(metric.wire_names for metric in export_type.metrics)),
        newest={name: metric.wire_names[0] for metric in export_type.metrics for name in metric.wire_names},
        descriptive=descriptive,
        expected=frozenset(name for name, resolutions in optional.items() if resolution in resolutions),
    )


def _side_fields(export_type: ExportType) -> list[str]:
    """The fields of a row without which it is still published."""
    metrics = [name for metric in export_type.metrics if not metric.is_main for name in metric.wire_names]
    return [*metrics, *(each.field for each in export_type.attributes)]


def _place_struct(export_type: ExportType) -> type[Any]:
    """The struct of the part of a row that names its place."""
    rename = {"place": export_type.place or "place"}
    return msgspec.defstruct("Place", [("place", PLACE.wire | None, None)], rename=rename, frozen=True, gc=False)


def _wire_struct(export_type: ExportType, key_parts: Sequence[KeyPart]) -> type[Any]:
    """The struct of this type's rows. The vendor may add fields without warning: unknown ones are ignored."""
    parts = {part.name: part.unit.wire for part in key_parts}
    metrics = {name: unit.wire for metric in export_type.metrics for name, unit in metric.fields}
    attributes = {each.field: each.unit.wire for each in export_type.attributes}
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = [
        *([] if export_type.place is None else [(export_type.place, PLACE.wire)]),
        *((name, str | None, None) for name in _TIMES),
        *((name, each | None | UnsetType, UNSET) for name, each in (parts | metrics | attributes).items()),
    ]
    return msgspec.defstruct("Row", fields, frozen=True, gc=False)


def _metrics(
    row: Any,  # noqa: ANN401 - of `_wire_struct`
    metrics: Sequence[Metric],
    ignored: Counter[str] | None,
) -> tuple[Number | None, ...]:
    """The row's values of the metrics. Raises ValueError for one that must not be absent under all of its names."""
    values = [_metric(row, metric, ignored) for metric in metrics]
    has_numbers = any(value is not None and value is not UNSET for value in values)
    for metric, value in zip(metrics, values, strict=True):
        if value is UNSET and (metric.is_main or (has_numbers and not metric.may_be_absent)):
            raise ValueError(f"Object missing required field `{metric.wire_names[0]}`")
    return tuple(None if value is UNSET else value for value in values)


def _metric(row: Any, metric: Metric, ignored: Counter[str] | None) -> Any:  # noqa: ANN401 - of `_wire_struct`
    """The converted value of the first field that is not null. Without one, None if a field is null, else UNSET."""
    found: Any = UNSET
    for name, unit in metric.fields:
        if (value := getattr(row, name)) is None:
            found = None
        elif value is not UNSET:
            convert = partial(_converted, value, name, unit)
            return convert() if metric.is_main else understood(ignored, name, convert)
    return found


def _attribute(row: Any, attribute: Attribute, ignored: Counter[str] | None) -> AttributeValue:  # noqa: ANN401 - of `_wire_struct`
    """The attribute's value. A value of `backup_value` that is not documented is kept, and counted in `ignored`."""
    name = attribute.field
    value = understood(ignored, name, partial(_converted, getattr(row, name), name, attribute.unit))
    if name == BACKUP_VALUE and value not in (None, UNSET, IMPUTED, MEASURED) and ignored is not None:
        ignored[name] += 1
    found: AttributeValue = None if value is UNSET else value
    return found


def _converted(value: Any, name: str, unit: Unit) -> Any:  # noqa: ANN401 - of `_wire_struct`
    """The value in the event's form; None and UNSET as they are. Raises ValueError that names the field."""
    if value is None or value is UNSET:
        return value
    try:
        return unit.convert(value)
    except ValueError as error:
        raise MalformedRow(f"{error} - at `$.{name}`") from None
