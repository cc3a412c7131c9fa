"""The shared value types. All are frozen.

Types that exist in thousands per response are excluded from cyclic garbage collection (`gc=False`): they hold no
reference cycles.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Generic, TypeVar

from msgspec import Struct, field

from collector.alignment import NO_TIME, Alignment, AnySecond
from collector.instants import SECOND

MAX_FETCH_TIME = timedelta(minutes=30)
"""What a healthy stream needs at most from the start of a poll to its last commit, and for a hand-over: an export that
waits for a free slot at the vendor, or a slow response (three minutes) with its retries (two minutes apart)."""
REPEATED_HOUR = timedelta(hours=1)
"""How much longer than its length a period may be: an hour occurs twice when clocks are set back."""
P = TypeVar("P")
"""A vendor's payload. Only the vendor's own package looks inside."""
ZONES_MARK = "; zones "
"""In a selection, precedes a digest of which of its places are in other time zones."""
_END = datetime.max.replace(tzinfo=UTC)


class Account(Struct, frozen=True):
    """A user at a vendor. All sources of an account share its limits and run on the same replica."""

    vendor: str
    user: str

    def __str__(self) -> str:
        return f"{self.vendor}/{self.user}"


class Window(Struct, frozen=True):
    """The half-open interval `[start, end)` in UTC, on whole seconds: what one step fetches."""

    start: datetime
    end: datetime
    swept_at: datetime | None = None
    """For a window of a sweep: when the last completed sweep started. A stream need not request again what the vendor
    cannot have received since then. None for all other windows: everything is requested."""

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def shard_name(stream: str, zone: str) -> str:
    """The name of the shard of a stream for a zone that is not the source's own. See `pipeline/shards.py`."""
    return f"{stream}@{zone}"


def whole_name(shard: str) -> str:
    """The name of the stream that a shard belongs to; any other name is returned unchanged."""
    return shard.partition("@")[0]


def backfill_name(shard: str, start: datetime) -> str:
    """The name under which the state of a backfill is stored, given the name of a shard and where the data starts."""
    stream, at, zone = shard.partition("@")
    return f"{stream}~{start:%Y%m%dT%H%M%SZ}{at}{zone}"


def published_name(name: str) -> str:
    """The name of the stream as consumers know it, given that of a shard or of a backfill."""
    return whole_name(name).partition("~")[0]


class Backfill(Struct, frozen=True):
    """A request for data that is older than a stream: the records that start in [start, end)."""

    start: datetime
    end: datetime
    requested_at: datetime
    by: str
    """The user and the host that requested it."""
    is_cancelled: bool = False
    """It does not run. Its state is kept, so that a request for the same interval continues it."""
    zones: str = ""
    """`Stream.zones` when it was requested; empty in the records of releases that did not store it."""

    def is_in(self, zones: str) -> bool:
        """Whether it was requested with these time zones: its instants are others in the vendor's data with others."""
        return self.zones in {"", zones}

    def share_done(self, watermark: datetime) -> float:
        """Which share of it is published, 0 to 1, given the watermark of its state."""
        return round(min(1.0, max(0.0, (watermark - self.start) / (self.end - self.start))), 3)


class Record(Struct, Generic[P], frozen=True, gc=False):
    """One decoded row of a response."""

    key: bytes
    """Identifies the thing that the row describes, such as a visit. Must not depend on a time zone, a licence or the
    version of the vendor's API."""
    fingerprint: bytes
    """Encodes a fixed list of decoded fields: equal fingerprints mean equal contents."""
    start_ms: int
    end_ms: int
    """Unix time in milliseconds; may be before the start, since vendors' clocks step."""
    vendor_local_s: int
    """The start in seconds on the vendor's own clock, which selects the ledger page. Part of the key."""
    payload: P
    parts: Sequence[bytes] = ()
    """MULTISET streams: identifies each part of the record that has an event of its own, and may come later than the
    record. Equal parts are counted."""
    only_if_known: bool = False
    """For VERSIONED streams: publish it only as a revision of a record that is already published. It is made by the
    collector and is no row of the vendor, so it is not counted as a duplicate."""

    @property
    def last_s(self) -> int:
        """The last whole second, on the vendor's own clock, at which a window may select the record."""
        return self.vendor_local_s + max(0, self.end_ms // 1000 - self.start_ms // 1000)


class Reject(Struct, frozen=True):
    """One row that could not be decoded."""

    payload: bytes
    error: str
    """What is wrong, and where in the row."""
    key: str | None = None
    """The Kafka key that the record would have had, where it can be read."""
    place: str = ""
    """Where it was found, as far as that is not in the row itself: for example the device and the period of the
    request. Equal rows of one place are one dead letter; so it must not depend on where windows are cut."""


class RejectedRow(Struct, frozen=True):
    """A row that became a dead letter, with what the dead letter says about its request."""

    payload: bytes
    """The whole row, as `Reject.payload` had it."""
    error: str
    """What was wrong with it."""
    key: str | None
    """`Reject.key`."""
    place: str
    """`Reject.place`."""
    window: Window
    """What was requested."""
    seen_at: datetime
    """When it was requested."""


class FieldSample(Struct, frozen=True):
    """Which fields some rows of a response have, by the vendor's names."""

    rows: int
    """The number of rows in the sample, without those that the vendor sends where it has no data."""
    present: Mapping[str, int]
    """In how many of them a known field is, by its newest name: without fields that only some rows have."""
    unknown: Sequence[str]
    """The other fields of any of them."""
    expected: Collection[str] = ()
    """The fields that all of them should have."""


class FetchResult(Struct, Generic[P], frozen=True):
    """The response to a window or to a part of it. Rows of equal key are never split over two results of a window."""

    records: Iterable[Record[P] | Reject | None]
    """Decoded while it is iterated; can be iterated only once.

    None stands for a row that is not published, and for any other short step of the work: other tasks may run then.
    """
    rows: int
    """The number of rows in the response, including those that cannot be decoded."""
    size: int
    """Bytes of the body after decompression."""
    took: timedelta
    """Time from the request to the end of the response."""
    vendor_now: datetime | None
    """When the vendor had what the response contains; None if it does not report that, or its clock cannot be right."""
    gone: "Callable[[bytes], Record[P]] | None" = None
    """For LATEST streams: returns the record to publish when the thing with this key has disappeared. The key may be of
    the current or the former version of the field lists; the fingerprint must not depend on the version."""
    is_whole: bool = True
    """For LATEST streams: whether the result lists everything. Only then does a missing thing count as disappeared."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Side fields that could not be understood, and are null: the number of rows by the vendor's name of the field.
    Complete once `records` has been iterated."""
    sample: FieldSample | None = None
    """The fields of some rows; None where they are not compared with those that are known."""
    cut: int = 0
    """How many lists of the window the vendor has cut to its largest number of rows, although no part of them can be
    requested alone: older rows may be missing for good."""


class DedupMode(Enum):
    """How the ledger decides which rows of a response are new."""

    MULTISET = auto()
    """n rows of equal key in one response are n records. Changes to other fields are ignored."""
    VERSIONED = auto()
    """A changed fingerprint is a revision and is published again, also when it changes back."""
    LATEST = auto()
    """As VERSIONED, and entries never expire: a thing that several whole responses lack has disappeared. Keys must be
    eight bytes long, because the ledger stores them instead of digests."""


class EventType(Struct, frozen=True):
    """A type of message, and its contract with consumers."""

    name: str
    topic: str
    """Without the deployment's topic prefix."""
    data: type[Struct]
    """The fields of its values after the common ones."""
    compacted: bool = False
    """Whether its topic keeps only the last message of each key."""


class Event(Struct, frozen=True, gc=False):
    """One message for consumers, before it is encoded."""

    type: EventType
    id: str
    """`<digest>/<kind>/<number>`, only of characters that JSON does not escape."""
    subject: str
    time: str
    key: str
    data: Struct


class Policy(Struct, frozen=True, kw_only=True):
    """How a stream is polled: its table in the configuration, and its alignment."""

    interval: timedelta
    """Time between the starts of two live passes."""
    settle: timedelta
    """How far the watermark stays behind now: the vendor usually has a record after this time. With an exact alignment,
    a period is first fetched this long after its end."""
    allowed_lateness: timedelta
    """How far `final` stays behind now: a record that appears this late after its start is still published."""
    sweep_every: timedelta
    """Time between the starts of two sweeps, which fetch again what is published but not final."""
    span: timedelta
    """The largest window."""
    until: datetime | None = None
    """Records that start at this time or later are not published; None for a stream without an end."""
    alignment: Alignment = AnySecond()
    freshness: timedelta | None = None
    """How old the watermark may be; None for the age that a healthy stream stays below."""

    @property
    def freshness_target(self) -> timedelta:
        """How old the watermark may be, for alerts. See docs/decisions/0052-freshness.md."""
        if self.freshness is not None:
            return self.freshness
        period = self.alignment.max_period if self.alignment.max_period > SECOND else NO_TIME
        waiting = self.interval if self.interval > period else NO_TIME  # otherwise, the end of each period is polled
        return self.settle + period + waiting + MAX_FETCH_TIME + (REPEATED_HOUR if period else NO_TIME)

    @property
    def max_poll_interval(self) -> timedelta:
        """The longest time between two polls of a healthy stream: a stream of periods waits for the end of a period."""
        return max(self.interval, self.alignment.max_period)


class Checkpoint(Struct, frozen=True):
    """How far a stream has been published. Instants are whole seconds in UTC."""

    since: datetime
    """Where the stream starts: records that start earlier are not published."""
    watermark: datetime
    """Everything before it that the vendor had at the time of the request is published."""
    final: datetime
    """Nothing more is expected before it: every instant was fetched again after its allowed lateness."""
    span: timedelta
    """The length of the largest window to fetch at present."""
    swept_at: datetime
    """When the last completed sweep started."""
    selection: str = ""
    """Which part of the account the stream fetches, as the source describes it. A change is reported to operators."""
    zone: str = ""
    """The time zone of the stream's own clock; empty in the state of releases that did not store it."""

    @property
    def places(self) -> str:
        """The selection without the time zones of its places."""
        return self.selection.partition(ZONES_MARK)[0]


class Pause(Struct, frozen=True):
    """An operator has paused a stream, or its source."""

    reason: str
    since: datetime | None = None
    """None, as `by` is, if the record of the pause cannot be read."""
    until: datetime | None = None
    """When the stream continues by itself; None if an operator must resume it."""
    by: str | None = None
    """The user and the host that paused it."""

    @property
    def ends_at(self) -> datetime:
        """`until`, or the end of the calendar."""
        return self.until or _END

    def is_over(self, now: datetime) -> bool:
        return self.ends_at <= now


class Gap(Struct, frozen=True):
    """Consecutive sequence numbers, from first to last, of which no record was received."""

    series: int
    first: int
    last: int
    earlier_start_ms: int
    later_start_ms: int
    """The starts of the two records next to the gap, in Unix milliseconds. Records may start in another order than that
    of their numbers."""

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Tally(Struct, frozen=True):
    """What a batch contains. Counted only once the batch is durable."""

    records: Mapping[str, int] = field(default_factory=Counter)
    """By outcome: fresh, late, revision, duplicate, outside, rejected."""
    events: Mapping[str, int] = field(default_factory=Counter)
    """By event type."""
    dead_letters: Mapping[str, int] = field(default_factory=Counter)
    """By reason."""
    fresh_ends_ms: Sequence[int] = ()
    """Ends of the fresh records in Unix milliseconds: the event delay is the time from there to the commit."""
