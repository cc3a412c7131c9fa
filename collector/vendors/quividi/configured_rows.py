"""The rows of exports whose type is configured by hand: their records and events, of finest and of aggregated exports.

Finest rows with equal identities are counted. Aggregated rows have revisions. See decision 44.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from collector.errors import NotReplayable
from collector.instants import MAX_MS, MIN_MS, format_local, format_ms, to_ms
from collector.model import DedupMode, Event, Record, Reject, RejectedRow, Window
from collector.vendors.quividi.local_periods import LocalPeriods
from collector.vendors.quividi.row_events import ROW, RowV1
from collector.vendors.quividi.row_values import DecodedRow, RowForm, decode_row, place_of
from collector.vendors.quividi.rows import FinestRows
from collector.vendors.quividi.wire import instant_of, parse_local
from collector.vendors.quividi.zones import Instant

FIELDS_VERSION = 1
SAME_IDENTITY = "Another row has the same place and period: name the fields that distinguish them in `key`"


class ConfiguredRow(Struct, frozen=True, gc=False):
    """A decoded row whose local time is converted."""

    place: int | None
    about: str
    """`location/<number>`, `site/<number>` or `selection/<digest>`."""
    rest: str
    """The rest of the identity: the local start, the resolution, and what identifies the row beside them."""
    ambiguous: bool
    text: str


def configured_finest_rows(form: RowForm, zone: ZoneInfo) -> FinestRows[ConfiguredRow]:
    """The decoder of finest rows of this form."""

    def read(raw: bytes, zone: ZoneInfo, ignored: Counter[str] | None) -> Record[ConfiguredRow] | Reject | None:
        try:
            row = decode_row(raw, form, ignored)
            local = parse_local(row.time, form.time)
            start = instant_of(local, zone, form.time)
            if not MIN_MS <= to_ms(start.utc) <= MAX_MS:
                raise ValueError(f"outside the years 1 to 9999 - at `$.{form.time}`")  # noqa: TRY301
        except ValueError as error:
            return _reject(raw, form, error)
        return None if row.is_placeholder else _record(row, form, local, start, to_ms(start.utc))

    def explode(record: Record[ConfiguredRow], digest: str, occurrence: int, user: str) -> Iterator[Event]:
        start = format_ms(record.start_ms)
        times = {"started_at": start, "started_local": _local_start(record)}
        yield _event(form, record, digest, user, revision=0, occurrence=occurrence, times=times)

    return FinestRows(zone, read, explode, None, fields_version=FIELDS_VERSION, where=_where(form))


class ConfiguredAggregates:
    """Decodes aggregated rows of one form."""

    dedup_mode = DedupMode.VERSIONED
    fields = None
    fields_version = FIELDS_VERSION
    former = None
    only_parts = None

    def __init__(self, form: RowForm, anchor: date, zone: ZoneInfo) -> None:
        self._form = form
        self._zone = zone
        self._periods = LocalPeriods(form.resolution, anchor, zone)
        self.alignment = self._periods.alignment

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        return self._periods.bounds(window)

    def min_rows(self, places: int, first: datetime, last: datetime) -> int:  # noqa: ARG002 - of the protocol
        return 0

    def read(
        self, raw: Iterable[bytes], first: datetime, last: datetime, ignored: Counter[str] | None = None
    ) -> Iterator[Record[ConfiguredRow] | Reject | None]:
        """Decode the rows of periods that start from `first` to `last`, in local time. Yields None for all others."""
        seen: dict[bytes, tuple[int, bytes]] = {}
        for row in raw:
            found = self._read_row(row, first, last, ignored)
            yield self._distinct(row, found, seen) if isinstance(found, Record) else found

    def read_again(
        self, row: RejectedRow, first: datetime, last: datetime
    ) -> Iterator[Record[ConfiguredRow] | Reject | None]:
        """As `read`, for one row. Raises NotReplayable if the other rows of its place and period matter too."""
        if row.error == SAME_IDENTITY:
            raise NotReplayable("another row of its response has the same identity", code="other_rows_matter")
        if row.place != _where(self._form):
            raise NotReplayable("the source selected something else then", code="configuration_changed")
        for each in self.read((row.payload,), first, last):
            if isinstance(each, Record) and each.payload.ambiguous:
                raise NotReplayable("its hour occurs twice, and may have two rows", code="other_rows_matter")
            yield each

    def _read_row(
        self, raw: bytes, first: datetime, last: datetime, ignored: Counter[str] | None
    ) -> Record[ConfiguredRow] | Reject | None:
        form = self._form
        try:
            row = decode_row(raw, form, ignored)
            if (local := self._periods.parse(row.time, form.time, first, last)) is None:
                return None
            start = instant_of(local, self._zone, form.time)
            end = instant_of(self.alignment.end_of(local), self._zone, form.time)
        except (ValueError, OverflowError) as error:
            return _reject(raw, form, error)
        # A period whose local start is skipped in spring may end before it starts.
        return _record(row, form, local, start, max(to_ms(start.utc), to_ms(end.utc)))

    def _distinct(
        self, raw: bytes, record: Record[ConfiguredRow], seen: dict[bytes, tuple[int, bytes]]
    ) -> Record[ConfiguredRow] | Reject:
        """The record of a row, given the number and the last fingerprint of the earlier rows of each identity.

        The hour that the change to winter time repeats may have two rows, one for each pass: each is a record. Any
        other row with the identity of an earlier one would replace it as a revision, without a trace.
        """
        number, fingerprint = seen.get(record.key, (0, record.fingerprint))
        seen[record.key] = (number + 1, record.fingerprint)
        if number == 1 and record.payload.ambiguous:
            second = structs.replace(record.payload, rest=f"{record.payload.rest}/2")
            return structs.replace(record, key=record.key + b"/2", payload=second)
        if (number > 1 and record.payload.ambiguous) or fingerprint != record.fingerprint:
            return _reject(raw, self._form, ValueError(SAME_IDENTITY))
        return record

    def explode(self, record: Record[ConfiguredRow], digest: str, revision: int, user: str) -> Iterator[Event]:
        """Yield the row's event."""
        times = {
            "period_start": format_ms(record.start_ms),
            "period_end": format_ms(record.end_ms),
            "period_start_local": _local_start(record),
        }
        yield _event(self._form, record, digest, user, revision=revision, occurrence=None, times=times)


def _record(row: DecodedRow, form: RowForm, local: datetime, start: Instant, end_ms: int) -> Record[ConfiguredRow]:
    local_ms = to_ms(local)
    kind = "selection" if form.place is None else form.place.removesuffix("_id")
    about = f"{kind}/{form.selection if row.place is None else row.place}"
    rest = "/".join([format_local(local_ms), form.resolution, *([row.key] if row.key else [])]) + form.options
    return Record(
        key=f"quividi.row/{form.stream}/{form.data_type}/{about}/{rest}".encode(),
        fingerprint=row.fingerprint,
        start_ms=to_ms(start.utc),
        end_ms=end_ms,
        vendor_local_s=local_ms // 1000,
        payload=ConfiguredRow(row.place, about, rest, start.ambiguous, row.text),
    )


def _reject(raw: bytes, form: RowForm, error: Exception) -> Reject:
    key = _account_key(form.user) if form.place is None else place_of(raw, form)
    return Reject(raw, str(error), key, _where(form))


def _where(form: RowForm) -> str:
    """The place of a reject, as far as it is not in the row."""
    return f"{form.selection}{form.options}" if form.place is None else ""


def _local_start(record: Record[ConfiguredRow]) -> str:
    return record.payload.rest.partition("/")[0]


def _event(
    form: RowForm,
    record: Record[ConfiguredRow],
    digest: str,
    user: str,
    *,
    revision: int,
    occurrence: int | None,
    times: Mapping[str, Any],
) -> Event:
    row, name = record.payload, f"row/{form.stream}/{form.data_type}"
    key = _account_key(user) if row.place is None else str(row.place)
    record_id = f"quividi/{quote(user, safe='')}/{name}/{row.about}/{row.rest}"
    subject = f"{row.about}/{name}/{row.rest}"
    absent = dict.fromkeys(("started_at", "started_local", "period_start", "period_end", "period_start_local"))
    return Event(
        ROW,
        f"{digest}/row/0",
        f"{key}/{subject}" if row.place is None else subject,
        format_ms(record.start_ms),
        key,
        RowV1(
            record_id=record_id if occurrence is None else f"{record_id}/{occurrence}",
            revision=revision,
            occurrence=occurrence,
            stream=form.stream,
            data_type=form.data_type,
            resolution=form.resolution,
            location_id=row.place if form.place == "location_id" else None,
            site_id=row.place if form.place == "site_id" else None,
            selection=form.selection if form.place is None else None,
            utc_offset_s=record.vendor_local_s - record.start_ms // 1000,
            ambiguous=row.ambiguous,
            row_json=row.text,
            **absent | dict(times),
        ),
    )


def _account_key(user: str) -> str:
    """The message key of what is about all that a source selects."""
    return f"user/{quote(user, safe='')}"
