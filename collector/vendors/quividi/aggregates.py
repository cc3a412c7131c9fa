"""The rows of aggregated exports: the metrics of a place in a period. Their fields depend on the export type.

A row whose metrics change is a revision, and so is one of which only an attribute changes that belongs to the metrics
(`Attribute.in_fingerprint`). Where the vendor has no data, it sends a row in which all metrics are null ("Placeholder
data and null values"); its event has the quality `no_data`. A row that lacks a main metric is no such placeholder but
malformed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from msgspec import structs

from collector.alignment import RESOLUTIONS
from collector.errors import NotReplayable
from collector.instants import format_ms, to_ms
from collector.model import DedupMode, Event, Record, Reject, RejectedRow, Window
from collector.vendors.quividi.aggregate_bases import Quality
from collector.vendors.quividi.aggregate_records import WITHDRAWN, Aggregate, Requested, fingerprint
from collector.vendors.quividi.aggregate_rows import AggregateRows, DecodedRow, fields_of, is_imputed, start_text
from collector.vendors.quividi.events import AGE_GROUPS, GENDERS
from collector.vendors.quividi.export_types import ExportType
from collector.vendors.quividi.local_periods import LocalPeriods
from collector.vendors.quividi.sums import added, common
from collector.vendors.quividi.wire import Number, parse_local
from collector.vendors.quividi.zones import instant

DEMOGRAPHIC_GROUPS = 15
"""Three genders times five ages."""


class Aggregates:
    """Decodes the rows of one export type at one resolution."""

    dedup_mode = DedupMode.VERSIONED
    only_parts = None

    def __init__(
        self,
        export_type: ExportType,
        resolution: str,
        anchor: date,
        zone: ZoneInfo,
        requested: Requested,
    ) -> None:
        self._type = export_type
        self._resolution = resolution
        self._zone = zone
        self._requested = requested
        is_grouped = requested.is_grouped
        self._key_parts = [part for part in export_type.key_parts if is_grouped or not part.only_if_grouped]
        self._groups = DEMOGRAPHIC_GROUPS if any(part.only_if_grouped for part in self._key_parts) else 1
        self._rows = AggregateRows(export_type, self._key_parts)
        self.fields = fields_of(export_type, resolution)
        self.fields_version = export_type.fields_version
        self.former = self._former(self.fields_version)
        self._periods = LocalPeriods(resolution, anchor, zone)
        self.alignment = self._periods.alignment

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        return self._periods.bounds(window)

    def min_rows(self, places: int, first: datetime, last: datetime) -> int:
        count = (last - first) // RESOLUTIONS[self._resolution].max_length + 1
        return (1 if self._type.place is None else places) * count * self._groups

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
        placeholders: dict[tuple[int | None, int], Record[Aggregate]] = {}
        parts: dict[tuple[int | None, int], Record[Aggregate]] = {}
        wholes: set[tuple[int | None, int]] = set()
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
        row = self._rows.placeholder(part.place)
        placeholder = self._record(row, parse_local(part.start_local, "period_start"))
        return structs.replace(
            placeholder,
            fingerprint=fingerprint(self._type, placeholder.payload, WITHDRAWN),
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
        rows = [record.payload for record in records]
        metrics = added(self._type.metrics, [row.metrics for row in rows])
        quality = self._quality(metrics, is_backup=any(row.quality == "imputed" for row in rows))
        payload = structs.replace(
            rows[0], metrics=metrics, attributes=common([row.attributes for row in rows]), quality=quality
        )
        return structs.replace(records[0], fingerprint=fingerprint(self._type, payload), payload=payload)

    def read_again(
        self, row: RejectedRow, first: datetime, last: datetime
    ) -> Iterator[Record[Aggregate] | Reject | None]:
        """As `read`, for one row. Raises NotReplayable if the other rows of its place and period matter too."""
        if self._type.place is None and row.place != self._where:
            raise NotReplayable("the source selected something else then", code="configuration_changed")
        for each in self.read((row.payload,), first, last):
            if isinstance(each, Record) and each.payload.ambiguous:
                raise NotReplayable(
                    "its hour occurs twice, and is published as the sum of both rows", code="other_rows_matter"
                )
            if isinstance(each, Record) and self._key_parts and _is_placeholder(each):
                raise NotReplayable(
                    "the vendor had no data, and whether it has other rows is not known", code="other_rows_matter"
                )
            yield each

    @property
    def _where(self) -> str:
        """The place of a reject of a type without a place."""
        return f"{self._requested.selection}{self._requested.options}"

    def read_row(
        self, raw: bytes, first: datetime, last: datetime, ignored: Counter[str] | None = None
    ) -> Record[Aggregate] | Reject | None:
        """Decode one row. Return None for a period that does not start from `first` to `last`."""
        try:
            row = self._rows.decode(raw, ignored)
            start = self._periods.parse(start_text(row), "period_start", first, last)
            return None if start is None else self._record(self._rows.convert(row, ignored), start)
        except (ValueError, OverflowError) as error:
            if self._type.place is None:
                return Reject(raw, str(error), _account_key(self._requested.user), self._where)
            return Reject(raw, str(error), self._rows.place_of(raw))

    def _record(self, row: DecodedRow, start: datetime) -> Record[Aggregate]:
        """The record of a row. Raises OverflowError at the ends of the calendar."""
        about = self._requested.selection if row.place is None else row.place
        name = f"{about}/{start.isoformat()}/{self._resolution}"
        if row.key_values:
            name += "/" + "-".join("" if each is None else quote(str(each), safe="") for each in row.key_values)
        name += self._requested.options
        first, end = instant(start, self._zone), instant(self.alignment.end_of(start), self._zone)
        start_ms = to_ms(first.utc)
        payload = Aggregate(
            name,
            row.place,
            start.isoformat(),
            first.ambiguous,
            row.key_values,
            row.metrics,
            row.attributes,
            self._quality(row.metrics, is_backup=is_imputed(self._type, row.attributes)),
        )
        return Record(
            key=f"quividi.{self._type.stream}/{name}".encode(),
            fingerprint=fingerprint(self._type, payload),
            start_ms=start_ms,
            # A period whose local start is skipped in spring may end before it starts.
            end_ms=max(start_ms, to_ms(end.utc)),
            vendor_local_s=to_ms(start) // 1000,
            payload=payload,
        )

    def _quality(self, metrics: Iterable[Number | None], *, is_backup: bool) -> Quality:
        if all(each is None for each in metrics):
            return "no_data"
        if is_backup:
            return "imputed"
        return "extrapolated" if self._type.is_extrapolated else "observed"

    def _former(self, version: int) -> Callable[[Record[Aggregate]], Record[Aggregate]] | None:
        """The function that makes a record as the previous version of the field lists has it; None for the first one.

        Version 2 added the options to the key; version 3, which some types have, added metrics to the fingerprint.
        """
        match version:
            case 1:
                return None
            case 2:
                return self._without_options
            case _:
                return self._without_new_fields

    def _without_options(self, record: Record[Aggregate]) -> Record[Aggregate]:
        return structs.replace(record, key=record.key[: len(record.key) - len(self._requested.options.encode())])

    def _without_new_fields(self, record: Record[Aggregate]) -> Record[Aggregate]:
        more = [WITHDRAWN] if record.only_if_known else []
        before = self.fields_version - 1
        return structs.replace(record, fingerprint=fingerprint(self._type, record.payload, *more, version=before))

    def explode(self, record: Record[Aggregate], digest: str, revision: int, user: str) -> Iterator[Event]:
        """Yield the row's event."""
        export_type, row = self._type, record.payload
        (event_type,) = export_type.events
        start = format_ms(record.start_ms)
        about, _, rest = row.name.partition("/")
        if export_type.place is None:
            key = _account_key(user)
            subject = f"{key}/{export_type.stream}/{row.name}"
        else:
            key, subject = about, f"{export_type.place.removesuffix('_id')}/{about}/{export_type.stream}/{rest}"
        yield Event(
            event_type,
            f"{digest}/{export_type.stream}/0",
            subject,
            start,
            key,
            event_type.data(
                record_id=f"quividi/{quote(user, safe='')}/{export_type.stream}/{row.name}",
                revision=revision,
                **self._place_fields(row),
                **self._key_fields(row),
                resolution=self._resolution,
                period_start=start,
                period_end=format_ms(record.end_ms),
                period_start_local=row.start_local,
                utc_offset_s=record.vendor_local_s - record.start_ms // 1000,
                ambiguous=row.ambiguous,
                quality=row.quality,
                **{metric.name: value for metric, value in zip(export_type.metrics, row.metrics, strict=True)},
                **{each.name: value for each, value in zip(export_type.attributes, row.attributes, strict=True)},
            ),
        )

    def _place_fields(self, row: Aggregate) -> Mapping[str, int | str | None]:
        """The event's fields for the place of the row, or for what the request selects."""
        if self._type.place is None:
            return {"selection": self._requested.selection, "extrapolation_amount": self._requested.amount}
        return {self._type.place: row.place}

    def _key_fields(self, row: Aggregate) -> Mapping[str, int | str | None]:
        """The event's fields that identify the row within its place and period."""
        values = {part.name: each for part, each in zip(self._key_parts, row.key_values, strict=True)}
        if not any(part.name == "gender" for part in self._type.key_parts):
            return values
        gender, age = values.get("gender"), values.get("age")
        is_grouped = "gender" in values
        return {
            "gender": GENDERS.get(gender, "unknown") if is_grouped else None,
            "gender_code": gender,
            "age_group": AGE_GROUPS.get(age, "unknown") if is_grouped else None,
            "age_code": age,
        }


def _account_key(user: str) -> str:
    """The message key of what is about a whole account, or about a part of it that has no number."""
    return f"user/{quote(user, safe='')}"


def _is_placeholder(record: Record[Aggregate]) -> bool:
    row = record.payload
    is_part = any(value is not None for value in row.key_values)
    return row.quality == "no_data" and not is_part and not record.only_if_known
