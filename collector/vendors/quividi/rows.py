"""How the rows of an export are taken: what a stream asks of them, and those of finest exports."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Raw

from collector.alignment import Alignment, AnySecond
from collector.model import DedupMode, Event, Record, Reject, Window
from collector.vendors.quividi import wire
from collector.vendors.quividi.zones import bounds

P = TypeVar("P")


class Rows(Protocol[P]):
    """The rows of one type of export."""

    @property
    def dedup_mode(self) -> DedupMode: ...
    @property
    def fields_version(self) -> int: ...
    @property
    def former(self) -> Callable[[Record[P]], Record[P]] | None:
        """As a stream's."""
        ...

    @property
    def alignment(self) -> Alignment: ...

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """The first and the last local second to ask for, both in it."""
        ...

    def at_least(self, places: int, first: datetime, last: datetime) -> int:
        """How many there will be of so many places, as far as that can be known."""
        ...

    def read(self, raw: Sequence[Raw], first: datetime, last: datetime) -> Iterator[Record[P] | Reject]:
        """The rows of an answer to a request with these bounds."""
        ...

    def explode(self, record: Record[P], digest: str, number: int, source: str) -> Iterator[Event]: ...


class Finest(Generic[P]):
    """Viewers, each a row."""

    dedup_mode = DedupMode.MULTISET
    fields_version = wire.FIELDS_VERSION
    former: Callable[[Record[P]], Record[P]] | None = None
    alignment: Alignment = AnySecond()

    def __init__(
        self,
        zone: ZoneInfo,
        read: Callable[[bytes, ZoneInfo], Record[P] | Reject | None],
        explode: Callable[[Record[P], str, int, str], Iterator[Event]],
    ) -> None:
        self._zone = zone
        self._read = read
        self.explode = explode

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        return bounds(window, self._zone)

    def at_least(self, places: int, first: datetime, last: datetime) -> int:  # noqa: ARG002 - of rows
        return 0

    def read(self, raw: Sequence[Raw], first: datetime, last: datetime) -> Iterator[Record[P] | Reject]:  # noqa: ARG002
        """All of them, wherever they begin: which rows a window selects is unstated."""
        return wire.read_each(raw, self._zone, self._read)
