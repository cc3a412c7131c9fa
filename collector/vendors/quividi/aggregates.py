"""The rows of aggregated exports: the metrics of a place in a period. Their fields depend on the export type.

A row whose metrics change is a revision. Where the vendor has no data, it sends a row in which all metrics are null
("Placeholder data and null values"); its event has the quality `no_data`. A row that lacks a main metric is no such
placeholder but malformed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from collector.alignment import RESOLUTIONS, periods
from collector.instants import SECOND, format_ms, to_ms
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.vendors.leniency import RowDecoder, numbers_fingerprint
from collector.vendors.quividi.aggregate_events import Quality
from collector.vendors.quividi.events import AGE_GROUPS, GENDERS
from collector.vendors.quividi.export_types import GROUP_BY_DEMOGRAPHICS, NUMBER, ExportType, KeyPart, Metric
from collector.vendors.quividi.sums import added
from collector.vendors.quividi.wire import Number, parse_local, place_of
from collector.vendors.quividi.zones import instant, local

DEMOGRAPHIC_GROUPS = 15
"""Three genders times five ages."""
FIELDS_VERSION = 2
"""The version of the lists of fields in `Aggregate.name` and in the fingerprint."""
WITHDRAWN = "withdrawn"
"""The last value of the fingerprint of a withdrawn placeholder."""


class Aggregate(Struct, frozen=True, gc=False):
    """A decoded row."""

    name: str
    """`<place>/<local start>/<resolution>`, then the key parts and the selection of contents, if there are any: equal
    for all revisions."""
    place: int
    start_local: str
    """The local start of the period: `2018-01-29T02:00:00`."""
    ambiguous: bool
    key_values: tuple[int | str | None, ...]
    """In the order of the key parts."""
    metrics: tuple[Number | None, ...]
    """In the order of the export type's metrics."""
    quality: Quality


class Aggregates:
    """Decodes the rows of one export type at one resolution."""

    dedup_mode = DedupMode.VERSIONED
    fields_version = FIELDS_VERSION
    only_parts = None

    def __init__(
        self,
        export_type: ExportType,
        resolution: str,
        anchor: date,
        zone: ZoneInfo,
        *,
        is_grouped: bool,
        selection: str = "",
    ) -> None:
        """`selection` describes the contents to which exports are limited; empty for all contents."""
        self._type = export_type
        self._resolution = resolution
        self._zone = zone
        self._is_grouped = is_grouped
        self._selection = selection
        by_demographics = GROUP_BY_DEMOGRAPHICS in export_type.options
        self._key_parts = () if by_demographics and not is_grouped else export_type.key_parts
        self._wire = _wire_struct(export_type, self._key_parts)
        self._decode = RowDecoder(self._wire, side=_side_fields(export_type))
        self.alignment = periods(resolution, anchor, zone)

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """The first and the last local second of the window's periods.

        A change to winter time never cuts a period: the repeated local hour is requested once, as a whole.
        """
        return self._period_start(window.start), self._period_start(window.end) - SECOND

    def _period_start(self, cut: datetime) -> datetime:
        """The local start of the period that a cut starts.

        Where the clock is set forward at midnight, a day starts at one o'clock; its local start is still midnight.
        """
        return self.alignment.start_of(local(cut, self._zone))

    def min_rows(self, places: int, first: datetime, last: datetime) -> int:
        count = (last - first) // RESOLUTIONS[self._resolution].max_length + 1
        return places * count * (DEMOGRAPHIC_GROUPS if self._is_grouped else 1)

    def read(
        self, raw: Iterable[bytes], first: datetime, last: datetime, ignored: Counter[str] | None = None
    ) -> Iterator[Record[Aggregate] | Reject | None]:
        """Decode the rows of periods that start from `first` to `last`, in local time. Yields None for all others.

        A placeholder of a place and period of which there are other rows in the response is dropped. It is withdrawn if
        it was published before. Counts side fields that cannot be understood in `ignored`.
        """
        records = self._records(raw, first, last, ignored)
        return self._without_placeholders(records) if self._key_parts else records

    def _without_placeholders(
        self, records: Iterable[Record[Aggregate] | Reject | None]
    ) -> Iterator[Record[Aggregate] | Reject | None]:
        """The records without placeholders of places and periods that have other rows, and with their withdrawals.

        Only for types with key parts: without them, the other row has the identity of the placeholder and replaces it.
        """
        placeholders: dict[tuple[int, int], Record[Aggregate]] = {}
        parts: dict[tuple[int, int], Record[Aggregate]] = {}
        wholes: set[tuple[int, int]] = set()
        """The periods that have a row with the identity of the placeholder, but with a metric."""
        for record in records:
            if record is None or isinstance(record, Reject):
                yield record
                continue
            row, period = record.payload, (record.payload.place, record.vendor_local_s)
            if any(each is not None for each in row.key_values):
                parts.setdefault(period, record)
            elif row.quality == "no_data":
                placeholders[period] = record
                yield None
                continue
            else:
                wholes.add(period)
            yield record
        for period, record in placeholders.items():
            yield record if period not in parts and period not in wholes else None
        for period, record in parts.items():
            yield self._withdrawal(record.payload) if period not in wholes else None

    def _withdrawal(self, part: Aggregate) -> Record[Aggregate]:
        """The revision that withdraws the placeholder of the row's place and period, if it was published."""
        nulls = {name: None for metric in self._type.metrics for name in metric.wire_names}
        row = self._wire(**{self._type.place: part.place}, **nulls)
        placeholder = self._record(row, part.start_local, parse_local(part.start_local, "period_start"))
        return structs.replace(
            placeholder,
            fingerprint=numbers_fingerprint(placeholder.payload.metrics, WITHDRAWN),
            payload=structs.replace(placeholder.payload, quality="observed"),
            only_if_known=True,
        )

    def _records(
        self, raw: Iterable[bytes], first: datetime, last: datetime, ignored: Counter[str] | None
    ) -> Iterator[Record[Aggregate] | Reject | None]:
        """The records of all rows; None for a row of another period.

        The hour that the change to winter time repeats may have two rows, one for each pass: their sum is one record.
        """
        repeated: dict[bytes, list[Record[Aggregate]]] = {}
        for row in raw:
            decoded = self.read_row(row, first, last, ignored)
            if isinstance(decoded, Record) and decoded.payload.ambiguous:
                repeated.setdefault(decoded.key, []).append(decoded)
                decoded = None
            yield decoded
        yield from map(self._sum, repeated.values())

    def _sum(self, records: Sequence[Record[Aggregate]]) -> Record[Aggregate]:
        """The record of a period, from its rows of one response."""
        if len(records) == 1:
            return records[0]
        metrics = added(self._type.metrics, [record.payload.metrics for record in records])
        payload = structs.replace(records[0].payload, metrics=metrics, quality=_quality(metrics))
        return structs.replace(records[0], fingerprint=numbers_fingerprint(metrics), payload=payload)

    def read_row(
        self, raw: bytes, first: datetime, last: datetime, ignored: Counter[str] | None = None
    ) -> Record[Aggregate] | Reject | None:
        """Decode one row. Return None for a period that does not start from `first` to `last`."""
        try:
            row: Any = self._decode(raw, ignored)
            text = _start_text(row)
            start = parse_local(text, "period_start")
            return self._record(row, text, start) if first <= start <= last else None
        except (ValueError, OverflowError) as error:
            return Reject(raw, str(error), place_of(raw, self._type.place))

    def _record(self, row: Any, text: str, start: datetime) -> Record[Aggregate]:  # noqa: ANN401 - of `_wire_struct`
        """The record of a decoded row. Raises ValueError that names the field."""
        if not self.alignment.is_start(start):
            raise ValueError(
                f"No period of {self._resolution} starts at {text[:40]}: set `anchor` in the stream's table to a day "
                "on which one starts - at `$.period_start`"
            )
        metrics = _metrics(row, self._type.metrics)
        found = [_value(row, (part.name,), part.unit.convert) for part in self._key_parts]
        if any(each is not None for each in metrics):
            for part, value in zip(self._key_parts, found, strict=True):
                if value is UNSET or (part.is_required and value is None):
                    raise ValueError(f"Object missing required field `{part.name}`")
        key_values = tuple(None if value is UNSET else value for value in found)
        place = getattr(row, self._type.place)
        name = f"{place}/{start.isoformat()}/{self._resolution}"
        if key_values:
            name += "/" + "-".join("" if each is None else quote(str(each), safe="") for each in key_values)
        name += self._selection
        first, end = instant(start, self._zone), instant(self.alignment.end_of(start), self._zone)
        start_ms = to_ms(first.utc)
        return Record(
            key=f"quividi.{self._type.stream}/{name}".encode(),
            fingerprint=numbers_fingerprint(metrics),
            start_ms=start_ms,
            # A period whose local start is skipped in spring may end before it starts.
            end_ms=max(start_ms, to_ms(end.utc)),
            vendor_local_s=to_ms(start) // 1000,
            payload=Aggregate(name, place, start.isoformat(), first.ambiguous, key_values, metrics, _quality(metrics)),
        )

    def former(self, record: Record[Aggregate]) -> Record[Aggregate]:
        """The record with the key of version 1. The fingerprint is the same."""
        return structs.replace(record, key=record.key[: len(record.key) - len(self._selection.encode())])

    def explode(self, record: Record[Aggregate], digest: str, revision: int, user: str) -> Iterator[Event]:
        """Yield the row's event."""
        export_type, row = self._type, record.payload
        (event_type,) = export_type.events
        start = format_ms(record.start_ms)
        place, _, rest = row.name.partition("/")
        yield Event(
            event_type,
            f"{digest}/{export_type.stream}/0",
            f"{export_type.place.removesuffix('_id')}/{place}/{export_type.stream}/{rest}",
            start,
            place,
            event_type.data(
                record_id=f"quividi/{quote(user, safe='')}/{export_type.stream}/{row.name}",
                revision=revision,
                **{export_type.place: row.place},
                **self._key_fields(row),
                resolution=self._resolution,
                period_start=start,
                period_end=format_ms(record.end_ms),
                period_start_local=row.start_local,
                utc_offset_s=record.vendor_local_s - record.start_ms // 1000,
                ambiguous=row.ambiguous,
                quality=row.quality,
                **{metric.name: value for metric, value in zip(export_type.metrics, row.metrics, strict=True)},
            ),
        )

    def _key_fields(self, row: Aggregate) -> Mapping[str, int | str | None]:
        """The event's fields that identify the row within its place and period."""
        values = {part.name: each for part, each in zip(self._key_parts, row.key_values, strict=True)}
        if GROUP_BY_DEMOGRAPHICS not in self._type.options:
            return values
        gender, age = values.get("gender"), values.get("age")
        return {
            "gender": GENDERS.get(gender, "unknown") if self._is_grouped else None,
            "gender_code": gender,
            "age_group": AGE_GROUPS.get(age, "unknown") if self._is_grouped else None,
            "age_code": age,
        }


def _side_fields(export_type: ExportType) -> Sequence[str]:
    """The fields of a row without which it is still published."""
    return [name for metric in export_type.metrics if not metric.is_main for name in metric.wire_names]


def _wire_struct(export_type: ExportType, key_parts: Sequence[KeyPart]) -> type[Struct]:
    """The struct of this type's rows. The vendor may add fields without warning: unknown ones are ignored."""
    times = ("period_start", "period_start_date", "period_start_time")
    parts = {part.name: part.unit.wire for part in key_parts}
    metrics = {name: metric.unit.wire for metric in export_type.metrics for name in metric.wire_names}
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = [
        (export_type.place, NUMBER.wire),
        *((name, str | None, None) for name in times),
        *((name, each | None | UnsetType, UNSET) for name, each in (parts | metrics).items()),
    ]
    return msgspec.defstruct("Row", fields, frozen=True, gc=False)


def _start_text(row: Any) -> str:  # noqa: ANN401 - of `_wire_struct`
    """The start of the period, as the vendor wrote it in one field or in two. Raises ValueError."""
    if row.period_start is not None:
        return str(row.period_start)
    if row.period_start_date is None or row.period_start_time is None:
        raise ValueError("Object missing required field `period_start`")
    return f"{row.period_start_date}T{row.period_start_time}"


def _quality(metrics: Iterable[Number | None]) -> Quality:
    return "no_data" if all(each is None for each in metrics) else "observed"


def _metrics(row: Any, metrics: Sequence[Metric]) -> tuple[Number | None, ...]:  # noqa: ANN401 - of `_wire_struct`
    """The row's values of the metrics. Raises ValueError for one that must not be absent under all of its names."""
    values = [_value(row, metric.wire_names, metric.unit.convert) for metric in metrics]
    has_numbers = any(value is not None and value is not UNSET for value in values)
    for metric, value in zip(metrics, values, strict=True):
        if value is UNSET and (metric.is_main or (has_numbers and not metric.may_be_absent)):
            raise ValueError(f"Object missing required field `{metric.wire_names[0]}`")
    return tuple(None if value is UNSET else value for value in values)


def _value(row: Any, names: Sequence[str], convert: Any) -> Any:  # noqa: ANN401 - of `_wire_struct`
    """The converted value of the first field that is not null. Without one, None if a field is null, else UNSET."""
    found: Any = UNSET
    for name in names:
        if (value := getattr(row, name)) is None:
            found = None
        elif value is not UNSET:
            return convert(value)
    return found
