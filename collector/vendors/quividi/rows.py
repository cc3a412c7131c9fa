"""Decoders of the rows of exports: the protocol, and the decoder of rows of single viewers."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from collector.alignment import Alignment, AnySecond
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.vendors.quividi import contents, wire
from collector.vendors.quividi.contents import ViewerWithContents
from collector.vendors.quividi.events import explode_viewer_apc
from collector.vendors.quividi.zones import bounds

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

    def explode(self, record: Record[P], digest: str, number: int, user: str) -> Iterator[Event]:
        """Yield the events of a record. Pure."""
        ...


class FinestRows(Generic[P]):
    """Decodes rows of single viewers."""

    dedup_mode = DedupMode.MULTISET
    fields_version = wire.FIELDS_VERSION
    former: Callable[[Record[P]], Record[P]] | None = None
    only_parts: Callable[[Record[P], Mapping[int, int]], Record[P]] | None = None
    alignment: Alignment = AnySecond()

    def __init__(
        self,
        zone: ZoneInfo,
        read: Callable[[bytes, ZoneInfo, Counter[str] | None], Record[P] | Reject | None],
        explode: Callable[[Record[P], str, int, str], Iterator[Event]],
    ) -> None:
        self._zone = zone
        self._read = read
        self.explode = explode

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
        return wire.read_each(raw, self._zone, self._read, ignored)


class ViewersApcRows(FinestRows[ViewerWithContents]):
    """Decodes rows of single viewers with their contents. `selection` describes the contents in the export."""

    fields_version = contents.FIELDS_VERSION
    former = staticmethod(contents.former)
    only_parts = staticmethod(contents.only_contents)

    def __init__(self, zone: ZoneInfo, selection: str = "") -> None:
        super().__init__(zone, partial(contents.read_viewer_apc, selection=selection), explode_viewer_apc)
