"""What a vendor implements.

A vendor is a folder that exports a `Vendor`. Each of its streams is a subclass of `Stream`. A new stream implements two
methods: `fetch`, the only one with I/O, and `explode`, which is pure. It sets the attributes without a default:
`source`, `name`, `account`, `policy`, `dedup_mode`, `fields_version`, `selection` and `event_types`. All others have
defaults, for a vendor whose times are in UTC. docs/adding-a-stream.md describes every step.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from collector.alignment import Alignment
from collector.cloudevents import Envelope, Message
from collector.errors import NotReplayable
from collector.model import (
    Account,
    DedupMode,
    Event,
    EventType,
    FetchResult,
    Policy,
    Record,
    Reject,
    RejectedRow,
    Window,
)
from collector.vendors.raw_rows import MAX_ROWS, MAX_ROWS_OF_PERIOD
from collector.vendors.source import SourceSettings

if TYPE_CHECKING:  # a configuration is validated without what sends requests
    from collector.telemetry.vendor import VendorTelemetry
    from collector.vendors.http import Http

P = TypeVar("P")


def max_rows(alignment: Alignment, window: Window) -> int:
    """The most rows in the response to a window."""
    is_period = alignment.is_exact and alignment.min_end(window.start) >= window.end
    return MAX_ROWS_OF_PERIOD if is_period else MAX_ROWS


class Stream(ABC, Generic[P]):
    """One kind of data of one source."""

    source: str
    name: str
    account: Account
    policy: Policy
    dedup_mode: DedupMode
    fields_version: int
    """The version of the lists of fields in keys and fingerprints. Increment it whenever one of them changes."""
    event_types: Sequence[EventType]
    selection: str
    """Describes the part of the account that is fetched. Changes exactly when an operator selects another part, or,
    after `ZONES_MARK`, configures a place to be in another time zone."""
    zones: str = ""
    """The configured time zones of the source, where they decide when its records start: changes when an operator
    configures a place to be in another one. The name of the zone alone, if all places are in one."""

    former: Callable[[Record[Any]], Record[Any]] | None = None
    """Returns the record with the key and the fingerprint of the previous `fields_version`. Pure.

    None while no state of that version can exist. Must not change the times of a record. It changes the payload only
    where `explode` makes ids, subjects or message keys of a field that has changed.
    """
    only_parts: Callable[[Record[Any], Mapping[int, int]], Record[Any]] | None = None
    """For records with `parts`: returns the record of which `explode` yields only these parts, by their index in
    `parts`, each with the given position instead of its index. Pure."""
    max_clock_offset: timedelta = timedelta(0)
    """The largest offset from UTC of the vendor's clock in `Record.vendor_local_s`. The ledger keeps records that much
    longer."""
    zone: tzinfo = UTC
    """The time zone of that clock."""
    sequence_of: Callable[[Record[Any]], tuple[int, int]] | None = None
    """Returns a record's device and its sequence number there, where devices number their records without gaps. Missing
    numbers are then reported."""
    format_advice: str = "the vendor has probably changed its format: install a newer version of the collector"
    """What an operator does if too many rows cannot be decoded."""
    narrowing_advice: str = "contact the vendor"
    """How an operator makes the responses smaller, if that to the smallest window has too many rows."""

    @abstractmethod
    def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """Yield every row that the vendor selects by the window, in a result for each response.

        Rows may repeat, in one window or in several: the ledger recognises them. A stream must not drop a row because
        of its start; with an alignment to periods, it may drop the rows of periods outside the window.

        Raises:
            RetryLater: the caller fetches the window again later.
            Park: the caller shows the advice, and retries slowly until an operator has followed it.
            Split: the caller fetches the halves of the window.

        Results that were yielded before an error stay valid.

        """

    @abstractmethod
    def explode(self, record: Record[P], digest: str, number: int) -> Iterator[Event]:
        """Yield the events of a record. Pure: equal arguments give equal events.

        Event ids are `<digest>/<kind>/<number>`. `number` is the record's revision; in a `MULTISET` stream, its number
        among records with equal keys. Both start at 0.
        """

    encode: Callable[[Record[Any], str, int, Callable[[EventType], Envelope]], Iterator[Message]] | None = None
    """Yields the messages of the events that `explode` yields, byte for byte, but faster, given the envelope of each
    type. Pure. None where that is not worth the code."""

    def decode_again(self, row: RejectedRow) -> Iterator[Record[P] | Reject | None]:
        """Yield what `fetch` would yield now for a response with only this row. Pure.

        Called for dead letters that are to be published again, when a newer version may understand them. A stream that
        overrides it decodes the row with the functions that `fetch` uses. What it cannot know from the row, the dead
        letter or the configuration, it must not guess. Yields None for a row that `fetch` would not publish.

        Raises NotReplayable, also while it is iterated, if the row alone does not tell what would be published. By
        default, always: a stream with the present state publishes that at its next poll.
        """
        del row
        if self.dedup_mode is DedupMode.LATEST:
            raise NotReplayable("the stream publishes the present state at its next poll", code="present_state")
        raise NotReplayable("its stream does not decode dead letters again", code="not_supported")


S = TypeVar("S")
"""A vendor's own settings of a source."""


class ProbeResult(Struct, frozen=True):
    """What `Implementation.probe` finds out about an account."""

    text: str
    """Describes to an operator what the account may read."""
    clock_skew_s: float | None
    """The least difference between the vendor's clock and this machine's; negative when the vendor's clock is behind.

    None if the vendor does not report its clock.
    """
    warnings: Sequence[str] = ()
    """What the configuration says of the account that the vendor contradicts, without advice."""
    notices: Sequence[str] = ()
    """What the configuration says of the account that has no effect, with advice."""


class Implementation(Struct, Generic[S], frozen=True):
    """What of a vendor sends requests. It is imported with `Vendor.load`."""

    streams: "Callable[[str, S, Http, VendorTelemetry], Sequence[Stream[Any]]]"
    """Returns the configured streams of a source, given its name and its settings."""
    probe: "Callable[[str, S, Http, VendorTelemetry], Awaitable[ProbeResult]]"
    """Sends a small request that shows whether the account may read what the source is configured for.

    Raises RetryLater, Park or Split, as `Stream.fetch` does.
    """


class Vendor(Struct, Generic[S], frozen=True, kw_only=True):
    """What a vendor's folder exports."""

    name: str
    settings: type[SourceSettings]
    """The model of `[sources.<name>]`; its field `vendor` accepts only this vendor's name."""
    event_types: Mapping[str, Sequence[EventType]]
    """By the name of the stream that publishes them."""
    configured_types: Sequence[EventType] = ()
    """The types of streams that have no entry in `event_types`, because an operator names them."""
    load: Callable[[], Implementation[S]]
    """Imports what sends requests, which commands that only need the configuration do without."""
    title: str
    """The vendor's name as people write it."""
    message_key: str
    """What the keys of its messages are, as the end of a sentence that starts with "The key is"."""

    def types_of(self, stream: str) -> Sequence[EventType]:
        """The types of a configured stream."""
        return self.event_types.get(stream, self.configured_types)

    @property
    def all_types(self) -> Sequence[EventType]:
        """The types of all streams."""
        return [*(each for types in self.event_types.values() for each in types), *self.configured_types]
