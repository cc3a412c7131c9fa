"""Decoders of the rows of exports: the protocol, and the decoder of rows of finest exports."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from collector.alignment import Alignment, AnySecond
from collector.errors import NotReplayable
from collector.model import DedupMode, Event, Record, Reject, RejectedRow, Window
from collector.vendors.quividi import contents, footfall, pmp_sales, retail, vehicle_or_person, vehicles, viewers
from collector.vendors.quividi.events import explode_viewer, explode_viewer_apc
from collector.vendors.quividi.finest import FinestForm, fields_of
from collector.vendors.quividi.retail_events import explode_retail_visitor
from collector.vendors.quividi.zones import bounds
from collector.vendors.row_fields import RowFields

P = TypeVar("P")


class Rows(Protocol[P]):
    """Decodes the rows of one type of export. The properties become attributes of the stream."""

    @property
    def dedup_mode(self) -> DedupMode: ...
    @property
    def fields_version(self) -> int: ...
    @property
    def former(self) -> Callable[[Record[P]], Record[P]] | None: ...
    @property
    def only_parts(self) -> Callable[[Record[P], Mapping[int, int]], Record[P]] | None: ...
    @property
    def alignment(self) -> Alignment: ...
    @property
    def fields(self) -> RowFields | None: ...

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """The first and the last local second to request, both inclusive."""
        ...

    def min_rows(self, places: int, first: datetime, last: datetime) -> int:
        """The least number of rows in an export of this number of places; 0 if it cannot be predicted."""
        ...

    def read(
        self, raw: Iterable[bytes], first: datetime, last: datetime, ignored: Counter[str] | None = None
    ) -> Iterator[Record[P] | Reject | None]:
        """Decode the rows of the response to a request with these bounds. Yields None for a row that is not published.

        Counts side fields that cannot be understood in `ignored`.
        """
        ...

    def read_again(self, row: RejectedRow, first: datetime, last: datetime) -> Iterator[Record[P] | Reject | None]:
        """As `read`, for a single row that became a dead letter. Raises NotReplayable if other rows matter too."""
        ...

    def explode(self, record: Record[P], digest: str, number: int, user: str) -> Iterator[Event]:
        """Yield the events of a record. Pure."""
        ...


class FinestRows(Generic[P]):
    """Decodes rows of finest exports, each of one person or one vehicle."""

    dedup_mode = DedupMode.MULTISET
    alignment: Alignment = AnySecond()

    def __init__(
        self,
        zone: ZoneInfo,
        read: Callable[[bytes, ZoneInfo, Counter[str] | None], Record[P] | Reject | None],
        explode: Callable[[Record[P], str, int, str], Iterator[Event]],
        fields: RowFields | None,
        *,
        fields_version: int = 1,
        former: Callable[[Record[P]], Record[P]] | None = None,
        only_parts: Callable[[Record[P], Mapping[int, int]], Record[P]] | None = None,
        where: str = "",
    ) -> None:
        """`where` is the place of rejects, as far as it is not in the row."""
        self._zone = zone
        self._read = read
        self.explode = explode
        self.fields = fields
        self.fields_version = fields_version
        self.former = former
        self.only_parts = only_parts
        self._where = where

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        return bounds(window, self._zone)

    def min_rows(self, places: int, first: datetime, last: datetime) -> int:  # noqa: ARG002 - of the protocol
        return 0

    def read(
        self,
        raw: Iterable[bytes],
        first: datetime,  # noqa: ARG002 - of the protocol
        last: datetime,  # noqa: ARG002
        ignored: Counter[str] | None = None,
    ) -> Iterator[Record[P] | Reject | None]:
        """Decode all rows, whatever their start: the vendor's document does not state which rows a window selects."""
        for row in raw:
            yield self._read(row, self._zone, ignored)

    def read_again(self, row: RejectedRow, first: datetime, last: datetime) -> Iterator[Record[P] | Reject | None]:
        """As `read`: each row is a person or a vehicle, whatever the other rows are."""
        if row.place != self._where:
            raise NotReplayable("the source selected something else then", code="configuration_changed")
        return self.read((row.payload,), first, last)


_FORMS: Mapping[str, FinestForm[Any]] = {
    "footfall": footfall.FORM,
    "vehicles": vehicles.FORM,
    "vehicles_footfall": vehicle_or_person.FORM,
    "pmp_sales_by_demographics": pmp_sales.BY_DEMOGRAPHICS_FORM,
    "pmp_sales_funnel": pmp_sales.FUNNEL_FORM,
}
"""The types with one event for each row, by the name of the stream."""


def finest_rows(stream: str, zone: ZoneInfo, selection: str = "") -> FinestRows[Any]:
    """The decoder of a stream's rows. `selection` describes the contents in its exports; empty for all contents."""
    match stream:
        case "viewers":
            return FinestRows(
                zone, viewers.read_viewer, explode_viewer, viewers.FIELDS, fields_version=viewers.FIELDS_VERSION
            )
        case "viewers_apc":
            return FinestRows(
                zone,
                partial(contents.read_viewer_apc, selection=selection),
                explode_viewer_apc,
                contents.FIELDS,
                fields_version=contents.FIELDS_VERSION,
                former=contents.former,
                only_parts=contents.only_contents,
            )
        case "retail_analytics_footfall":
            return FinestRows(
                zone,
                retail.read_retail_visitor,
                explode_retail_visitor,
                retail.FIELDS,
                fields_version=retail.FIELDS_VERSION,
                only_parts=retail.only_timings,
            )
        case _:
            form = _FORMS[stream]
            return FinestRows(zone, form.read, form.explode, fields_of(form.decode.into))
