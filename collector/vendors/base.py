"""All that a vendor is asked to be: `ask` and `explode`; the rest are facts."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from collector.model import Account, DedupMode, Event, EventType, FetchResult, Policy, Record, Window
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.http import Http

P = TypeVar("P")


class Stream(Protocol[P]):
    """One kind of data of one source. To write one, see docs/adding-a-stream.md."""

    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def account(self) -> Account: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def dedup_mode(self) -> DedupMode: ...
    @property
    def fields_version(self) -> int:
        """Of the lists of fields in keys and fingerprints. Raise it by one whenever one of them changes."""
        ...

    @property
    def former(self) -> Callable[[Record[P]], Record[P]] | None:
        """The same record with the key and the fingerprint that the lists of the version before this one give it.

        None when no state of that version can exist. Pure. Changes nothing that says when the record was; the payload
        only where the events' ids, subjects or keys are made of what has changed.
        """
        ...

    @property
    def max_clock_offset(self) -> timedelta:
        """How far the clock by which records are filed may stand from UTC: the ledger keeps them that much longer."""
        ...

    @property
    def zone(self) -> tzinfo:
        """Of that clock."""
        ...

    @property
    def selection(self) -> str:
        """Which part of the account is asked for: a text that changes when the operator chooses another part."""
        ...

    @property
    def sequence_of(self) -> Callable[[Record[P]], tuple[int, int]] | None:
        """Where a device counts its records one by one, which device's a record is, and its number: gaps are told."""
        ...

    @property
    def event_types(self) -> Sequence[EventType]: ...

    def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """Every row that the vendor selects by the window. The only I/O.

        Raises RetryLater, Park or Split. What was yielded before stays valid: rows may come again, in this answer or
        another, and are recognised. Must not leave out a row because of when it begins.
        """
        ...

    def explode(self, record: Record[P], digest: str, number: int) -> Iterator[Event]:
        """The events of a record, with ids made of its digest; pure, the same for the same record."""
        ...


S = TypeVar("S")
"""A vendor's own settings of a source."""


class Probed(Struct, frozen=True):
    """What an account answered."""

    text: str
    """What it may see."""
    ahead_s: float | None
    """How far the vendor's clock is ahead of ours at least; below zero, behind; None when it says no time."""


class Vendor(Struct, Generic[S], frozen=True):
    """What a vendor's folder exports."""

    name: str
    event_types: Mapping[str, Sequence[EventType]]
    """By the name of the stream that publishes them."""
    streams: Callable[[str, S, Http, VendorTelemetry], Sequence[Stream[Any]]]
    """The streams of one source, by its name and settings."""
    probe: Callable[[str, S, Http, VendorTelemetry], Awaitable[Probed]]
    """Asks for something small: whether the account may see what its source is configured for.

    Raises RetryLater, Split or Park.
    """
    title: str
    """The vendor's name as people write it."""
    message_key: str
    """What the keys of its messages are, as the end of a sentence that starts with "The key is"."""
