"""The nouns: frozen values that every other module speaks in.

Those of which an answer makes thousands are hidden from the search for reference cycles (`gc=False`): they have none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Annotated, Generic, Literal, Protocol, TypeVar

from msgspec import Meta, Struct, field

P = TypeVar("P")
"""A vendor's payload: only the vendor's own folder looks inside."""

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MIN_SPAN = timedelta(minutes=1)
"""Below it no window is split: a minute of one account that does not fit into an answer is an operator's case."""

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds and `Z`: `2019-07-01T11:16:07.052Z`."""


class Account(Struct, frozen=True):
    """A user at a vendor. Its sources share its limits and its owner."""

    vendor: str
    user: str

    def __str__(self) -> str:
        return f"{self.vendor}/{self.user}"


class Window(Struct, frozen=True):
    """The half-open interval `[start, end)` in UTC, on whole seconds: what is asked for at once."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


class Record(Struct, Generic[P], frozen=True, gc=False):
    """One row of an answer, decoded."""

    key: bytes
    """Which thing it is. Holds nothing that depends on a zone, a licence or the API's age."""
    fingerprint: bytes
    """What it says: a fixed list of decoded fields."""
    start_ms: int
    end_ms: int
    """Unix time in milliseconds; may lie before the start, since vendors' clocks step."""
    vendor_local_s: int
    """The start in seconds on the vendor's own clock: which page of the ledger knows it. A part of the key."""
    payload: P

    @property
    def last_s(self) -> int:
        """The last whole second, on the vendor's own clock, in which a window may select it."""
        return self.vendor_local_s + max(0, self.end_ms // 1000 - self.start_ms // 1000)


class Reject(Struct, frozen=True):
    """One row that could not be understood."""

    payload: bytes
    error: str
    """What was wrong, and where in the record."""
    key: str | None = None
    """The Kafka key of the record it would have been, where that can be read."""


class FetchResult(Struct, Generic[P], frozen=True):
    """What came back for a window or a part of it. Rows of equal key never lie in two answers to one window."""

    records: Iterable[Record[P] | Reject]
    """Decoded while it is read, once."""
    rows: int
    size: int
    """Bytes of the body after decompression."""
    took: timedelta
    vendor_now: datetime | None
    """The vendor's clock when it answered, where it said so."""
    gone: "Callable[[bytes], Record[P]] | None" = None
    """Of a LATEST stream: what to say of the thing with this key, in the list of keys of this version or of the one
    before, when it is gone. Its fingerprint is the same in every version."""
    is_whole: bool = True
    """Of a LATEST stream: whether it shows everything. Only then may what it lacks be gone."""


class DedupMode(Enum):
    """What a stream takes for new."""

    MULTISET = auto()
    """n rows of equal key in one answer are n things; a change of the rest is nothing new."""
    VERSIONED = auto()
    """A changed fingerprint is a revision and is published again, also when it changes back."""
    LATEST = auto()
    """The same, never forgotten; what several whole answers lack is gone. Keys have eight bytes, to be known again."""


class EventType(Struct, frozen=True):
    """A kind of message, and its contract with the consumers."""

    name: str
    topic: str
    data: type[Struct]
    compacted: bool = False
    """Its topic keeps the last message of each key for ever, and nothing else for long."""


class Event(Struct, frozen=True, gc=False):
    """One message for consumers."""

    type: EventType
    id: str
    subject: str
    time: str
    key: str
    data: Struct


Header = tuple[str, bytes]
_SPECVERSION: Header = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Header = ("content-type", b"application/json")
_FRAME_BYTES = 200
"""What a message has beside its key, its value and what its headers say: their names, lengths, and fixed values."""


class Envelope(Struct, frozen=True):
    """What all messages of one type from one source have in common."""

    topic: str
    """Without the deployment's prefix."""
    source: Header
    type: Header


class Message(Struct, frozen=True, gc=False):
    """One message as Kafka sees it: a CloudEvent in Kafka's binary mode.

    A transaction has thousands, so each is kept small: its headers are made when they are needed.
    """

    envelope: Envelope
    key: bytes
    value: bytes
    id: bytes
    subject: bytes
    time: bytes

    @property
    def topic(self) -> str:
        return self.envelope.topic

    @property
    def headers(self) -> list[Header]:
        envelope = self.envelope
        return [
            _SPECVERSION,
            ("ce_id", self.id),
            envelope.source,
            envelope.type,
            ("ce_subject", self.subject),
            ("ce_time", self.time),
            _CONTENT_TYPE,
        ]

    @property
    def size(self) -> int:
        """Bytes, uncompressed and at most, of all of it."""
        said = len(self.id) + len(self.subject) + len(self.envelope.source[1]) + len(self.envelope.type[1])
        return _FRAME_BYTES + len(self.key) + len(self.value) + said


class Alignment(Protocol):
    """Where a stream's windows may be cut."""

    @property
    def is_exact(self) -> bool:
        """Whether a window selects exactly what lies in it, so that it need not be asked for with a margin."""
        ...

    def floor(self, instant: datetime) -> datetime:
        """The last cut that is not after the instant."""
        ...

    def after(self, instant: datetime) -> datetime:
        """The first cut after the instant."""
        ...

    def min_end(self, start: datetime) -> datetime:
        """The end of the smallest window that begins at a cut."""
        ...

    def __hash__(self) -> int: ...


class AnySecond(Struct, frozen=True):
    """Any whole second: how a vendor selects by a window is not known, nor to which side a record on its cut falls."""

    is_exact = False

    def floor(self, instant: datetime) -> datetime:
        return floor_second(instant)

    def after(self, instant: datetime) -> datetime:
        return floor_second(instant) + SECOND

    def min_end(self, start: datetime) -> datetime:
        return start + MIN_SPAN


class Policy(Struct, frozen=True):
    """How a stream is polled: its table in the configuration, and its grid."""

    interval: timedelta
    settle: timedelta
    allowed_lateness: timedelta
    sweep_every: timedelta
    span: timedelta
    until: datetime | None = None
    alignment: Alignment = AnySecond()


class Checkpoint(Struct, frozen=True):
    """How far a stream is. Whole seconds in UTC."""

    since: datetime
    watermark: datetime
    """Before it, everything that the vendor had when it was asked is published."""
    final: datetime
    """Before it, every instant was asked about after its allowed lateness: the ledger forgets."""
    span: timedelta
    """The largest window to ask for at present."""
    swept_at: datetime
    """When the last sweep that came to its end began."""
    selection: str = ""
    """Which part of the account the stream asks for, as the source describes it; a change is told to the operator."""


class Gap(Struct, frozen=True):
    """Numbers that nothing was seen of, from first to last."""

    series: int
    first: int
    last: int
    after_ms: int
    """When the one before it began: what is missing began later."""
    since_ms: int
    """When the one after it began."""

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class ActivityTimeline(Struct, frozen=True):
    """What a stream published of the last while, cell by cell, oldest first. Equal neighbours are written as a run."""

    start: datetime
    lengths_s: Sequence[tuple[int, int]]
    """So many cells, of so many seconds each."""
    counts: Sequence[int | None]
    """Entries of the ledger: records, and each of their revisions. None where it has forgotten them, or cannot tell."""
    kinds: Sequence[tuple[int, "CellKind"]]
    """So many cells, of this kind each."""


CellKind = Literal["outside", "final", "published", "partly", "waiting"]


class Tally(Struct, frozen=True):
    """What a batch did, counted when it is durable."""

    records: Mapping[str, int] = field(default_factory=Counter)
    """By outcome: fresh, late, revision, duplicate, outside, rejected."""
    events: Mapping[str, int] = field(default_factory=Counter)
    """By event type."""
    dead_letters: Mapping[str, int] = field(default_factory=Counter)
    """By reason."""
    fresh_ends_ms: Sequence[int] = ()
    """When the fresh records ended: for the delay from there to the commit."""


def floor_second(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)


def unix_s(instant: datetime) -> int:
    """Whole seconds since 1970."""
    return (instant - UNIX_EPOCH) // SECOND
