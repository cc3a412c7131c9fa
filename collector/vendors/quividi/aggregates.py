"""The rows of aggregated exports: a place's numbers for a period, typed by the table of export types.

A row whose numbers change is a revision. A row in which all are null stands where the vendor has no data
("Placeholder data and null values"), and says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw, Struct

from collector.alignment import RESOLUTIONS, periods
from collector.instants import SECOND, format_ms, to_ms
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.vendors.leniency import decode_record
from collector.vendors.quividi.events import AGE_GROUPS, GENDERS
from collector.vendors.quividi.export_types import GROUP_BY_DEMOGRAPHICS, NUMBER, TABLE, ExportType, Part
from collector.vendors.quividi.wire import Number, number, parse_local, place_of
from collector.vendors.quividi.zones import instant, local

GROUPS = 15
"""Three genders, of five ages each."""
FIELDS_VERSION = 1
"""Of what is in a name and in a fingerprint."""


class Aggregate(Struct, frozen=True, gc=False):
    """A row, with what its local time means."""

    name: str
    """`<place>/<local begin>/<resolution>`, and what else tells it from others: the same for every revision."""
    place: int
    start_local: str
    ambiguous: bool
    about: tuple[int | str | None, ...]
    """By the parts of the key."""
    numbers: tuple[Number | None, ...]
    """By the metrics."""


class Aggregates:
    """The rows of one type of export at one resolution."""

    dedup_mode = DedupMode.VERSIONED
    fields_version = FIELDS_VERSION
    former = None

    def __init__(self, stream: str, resolution: str, anchor: date, zone: ZoneInfo, *, grouped: bool) -> None:
        self._stream = stream
        self._kind: ExportType = TABLE[stream]
        self._resolution = resolution
        self._zone = zone
        self._grouped = grouped
        by_demographics = GROUP_BY_DEMOGRAPHICS in self._kind.options
        self._parts = () if by_demographics and not grouped else self._kind.parts
        self._wire = _wire_of(self._kind, self._parts)
        self._decode = msgspec.json.Decoder(self._wire).decode
        self.alignment = periods(resolution, anchor, zone)

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """Of the whole periods that the window is made of.

        Where the clock is set back, no period is cut, so the local time that comes twice is asked for once, as a whole.
        """
        return self._begin(window.start), self._begin(window.end) - SECOND

    def _begin(self, cut: datetime) -> datetime:
        """Midnight too, where the clock is set forward at midnight and the day begins at one."""
        return self.alignment.start_of(local(cut, self._zone))

    def at_least(self, places: int, first: datetime, last: datetime) -> int:
        count = (last - first) // RESOLUTIONS[self._resolution].max_length + 1
        return places * count * (GROUPS if self._grouped else 1)

    def read(self, raw: Sequence[Raw], first: datetime, last: datetime) -> Iterator[Record[Aggregate] | Reject]:
        for row in raw:
            if (found := self.read_row(bytes(row), first, last)) is not None:
                yield found

    def read_row(self, raw: bytes, first: datetime, last: datetime) -> Record[Aggregate] | Reject | None:
        """One row, or why it is none, or None for one of a period that was not asked for whole."""
        try:
            row: Any = decode_record(raw, self._decode, self._wire)
            written = _period_start(row)
            begin = parse_local(written, "period_start")
            return self._record(row, written, begin) if first <= begin <= last else None
        except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
            return Reject(raw, str(error), place_of(raw, self._kind.place))

    def _record(self, row: Any, written: str, begin: datetime) -> Record[Aggregate]:  # noqa: ANN401 - of `_wire_of`
        """Raises ValueError."""
        if not self.alignment.is_start(begin):
            raise ValueError(
                f"No period of {self._resolution} begins at {written}: in the stream's table, `anchor` says from which "
                "day they are counted - at `$.period_start`"
            )
        numbers = tuple(_first(row, metric.said, metric.unit.convert) for metric in self._kind.metrics)
        about = tuple(_first(row, (part.name,), part.unit.convert) for part in self._parts)
        if any(each is not None for each in numbers):
            for part, said in zip(self._parts, about, strict=True):
                if part.is_told and said is None:
                    raise ValueError(f"Object missing required field `{part.name}`")
        place = getattr(row, self._kind.place)
        name = f"{place}/{begin.isoformat()}/{self._resolution}"
        if about:
            name += "/" + "-".join("" if each is None else quote(str(each), safe="") for each in about)
        meant, after = instant(begin, self._zone), instant(self.alignment.end_of(begin), self._zone)
        start_ms = to_ms(meant.utc)
        return Record(
            key=f"quividi.{self._stream}/{name}".encode(),
            fingerprint=msgspec.msgpack.encode([number(each) for each in numbers]),
            start_ms=start_ms,
            end_ms=max(start_ms, to_ms(after.utc)),  # a local time that is left out in spring may end before it begins
            vendor_local_s=to_ms(begin) // 1000,
            payload=Aggregate(name, place, written, meant.ambiguous, about, numbers),
        )

    def explode(self, record: Record[Aggregate], digest: str, revision: int, source: str) -> Iterator[Event]:
        """The row's event."""
        kind, seen = self._kind, record.payload
        (event_type,) = kind.events
        event_id, start = f"{digest}/{self._stream}/0", format_ms(record.start_ms)
        place, _, rest = seen.name.partition("/")
        yield Event(
            event_type,
            event_id,
            f"{kind.place.removesuffix('_id')}/{place}/{self._stream}/{rest}",
            start,
            place,
            event_type.data(
                event_id=event_id,
                record_id=seen.name,
                revision=revision,
                source=source,
                **{kind.place: seen.place},
                **self._about(seen),
                resolution=self._resolution,
                period_start=start,
                period_end=format_ms(record.end_ms),
                period_start_local=seen.start_local,
                utc_offset_s=record.vendor_local_s - record.start_ms // 1000,
                ambiguous=seen.ambiguous,
                quality="no_data" if all(each is None for each in seen.numbers) else "observed",
                **{metric.name: said for metric, said in zip(kind.metrics, seen.numbers, strict=True)},
            ),
        )

    def _about(self, seen: Aggregate) -> Mapping[str, int | str | None]:
        """The fields of the event that say what the row is about."""
        said = {part.name: each for part, each in zip(self._parts, seen.about, strict=True)}
        if GROUP_BY_DEMOGRAPHICS not in self._kind.options:
            return said
        gender, age = said.get("gender"), said.get("age")
        return {
            "gender": GENDERS.get(gender, "unknown") if self._grouped else None,
            "gender_code": gender,
            "age_group": AGE_GROUPS.get(age, "unknown") if self._grouped else None,
            "age_code": age,
        }


def _wire_of(kind: ExportType, parts: Sequence[Part]) -> type[Struct]:
    """What a row of this type looks like. Fields may be added without warning, and are ignored."""
    told = dict.fromkeys(("period_start", "period_start_date", "period_start_time"), str)
    told |= {part.name: part.unit.wire for part in parts}
    told |= {name: metric.unit.wire for metric in kind.metrics for name in metric.said}
    fields = [(name, each | None, None) for name, each in told.items()]
    return msgspec.defstruct("Row", [(kind.place, NUMBER.wire), *fields], frozen=True, gc=False)


def _period_start(row: Any) -> str:  # noqa: ANN401 - of `_wire_of`
    """As it is written; of its two halves, where the whole is missing. Raises ValueError."""
    if row.period_start is not None:
        return str(row.period_start)
    if row.period_start_date is None or row.period_start_time is None:
        raise ValueError("Object missing required field `period_start`")
    return f"{row.period_start_date}T{row.period_start_time}"


def _first(row: Any, names: Sequence[str], convert: Any) -> Any:  # noqa: ANN401 - of `_wire_of`, by the table
    """Of the first name under which something is said."""
    return next((convert(said) for said in (getattr(row, name) for name in names) if said is not None), None)
