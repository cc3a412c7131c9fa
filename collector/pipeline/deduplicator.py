"""The deduplicator: removes from one result the records that the ledger contains."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Self, TypeVar

from collector.model import Record, Reject
from collector.pipeline.ledger import PAGE_S, Ledger, NewRecords
from collector.pipeline.page import ENTRY, NO_FINGERPRINT, Entry, digest

P = TypeVar("P")
_BEGINNING = -(1 << 62)
"""Before every instant, in seconds and in milliseconds."""


class Deduplicator(Generic[P]):
    """Receives all rows of one result, in any order, and then returns what is new.

    A record that starts outside `[since_ms, until_ms)` counts as `outside`. So does one that ends before `final_s`
    (seconds on the vendor's clock), because the ledger no longer contains its page, and one that starts in one of the
    intervals `elsewhere` (likewise), because a backfill publishes it. A reject is stored under
    `requested_s` (Unix seconds), because its own time may be unreadable. With `are_rejects_outside`, all rejects count
    as `outside`: a neighbour of the stream publishes them. They are stored under digests of their own, because the next
    result may contain them, too, and this stream then publishes them.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        since_ms: int,
        until_ms: int | None,
        final_s: int,
        requested_s: int,
        are_rejects_outside: bool = False,
        elsewhere: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._ledger = ledger
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._final_s = final_s
        self._requested_s = requested_s
        self._are_rejects_outside = are_rejects_outside
        self._elsewhere = elsewhere
        self._by_key: dict[bytes, list[Record[P]]] = {}
        self._in_current_version: dict[bytes, list[Record[P]]] = {}
        """By former key: the records in the current version, if their page is of the former version."""
        self._rejects: dict[bytes, Reject] = {}
        self._missing: Iterator[NewRecords[P] | None] = iter(())
        self.duplicate = 0
        """Rows that are already published. Until `take_new` is exhausted, it includes the rows not yet compared."""
        self.outside = 0
        """Rows that must not be published because of their time."""

    @classmethod
    def without_limits(cls, ledger: Ledger, *, requested_s: int) -> Self:
        """A deduplicator for which no record is `outside`, whatever its time: for results that no stream owns."""
        return cls(ledger, since_ms=_BEGINNING, until_ms=None, final_s=_BEGINNING, requested_s=requested_s)

    def add(self, rows: Iterable[Record[P] | Reject | None]) -> None:
        """Add rows of the result. None is ignored."""
        for row in rows:
            if row is not None:
                self.add_row(row)

    def add_row(self, row: Record[P] | Reject) -> None:
        """Add a row of the result."""
        if isinstance(row, Reject):
            self.outside += self._are_rejects_outside
            self.duplicate += not self._are_rejects_outside
            self._rejects[self._digest_of(row)] = row
            return
        if self._ledger.has_former:
            row = self._in_page_version(row)
        if self._is_outside(row):
            self.outside += not row.only_if_known
        else:
            self.duplicate += not row.only_if_known
            self._by_key.setdefault(row.key, []).append(row)

    def is_known(self, reject: Reject) -> bool:
        """Whether the reject is a dead letter already, or was outside already."""
        return self._ledger.last_stored_s(self._digest_of(reject)) is not None

    def _in_page_version(self, record: Record[P]) -> Record[P]:
        """The record in the version of its page: those whose keys are equal in that version are compared together."""
        if (former := self._ledger.as_former(record)) is None:
            return record
        self._in_current_version.setdefault(former.key, []).append(record)
        return former

    def find_missing(self, gone: Callable[[bytes], Record[P]], *, is_whole: bool) -> None:
        """Determine which things of a LATEST stream have disappeared. Called after all rows were added.

        `gone` and `is_whole` are those of the result.
        """
        is_whole = is_whole and not self._rejects  # a reject may be the thing that seems to be missing
        self._missing = self._ledger.missing(self._by_key.keys(), gone, is_whole=is_whole)

    def _is_outside(self, record: Record[P]) -> bool:
        if self._elsewhere and any(first <= record.vendor_local_s < end for first, end in self._elsewhere):
            return True
        is_after_end = self._until_ms is not None and record.start_ms >= self._until_ms
        return is_after_end or record.start_ms < self._since_ms or record.last_s < self._final_s

    def take_new(self) -> Iterator[NewRecords[P] | None]:
        """Yield what is new: records by start and key, then things that have disappeared, then rejects.

        Each key is compared with the ledger when it is taken, and its records are then released. Yields None for a key
        of which nothing is new.
        """
        by_key = self._by_key
        for key in sorted(by_key, key=lambda key: (by_key[key][0].start_ms, key)):
            new_records = self._ledger.new_of(key, by_key.pop(key), self._in_current_version.pop(key, None))
            if new_records is not None:
                self.duplicate -= sum(not new.record.only_if_known for new in new_records.records)
            yield new_records
        for missing in self._missing:
            # A list that was requested after the end of the stream seems to be empty: its things are outside.
            is_outside = missing is not None and any(self._is_outside(each.record) for each in missing.records)
            yield None if is_outside else missing
        for reject_digest, reject in self._rejects.items():
            stored_s = self._ledger.last_stored_s(reject_digest)
            if stored_s is None:
                self.duplicate -= not self._are_rejects_outside
            elif stored_s >= (self._final_s + self._requested_s) // 2:
                yield None
                continue
            # A reject that keeps arriving is stored again before it expires, so it becomes a dead letter only once.
            packed = ENTRY.pack(reject_digest, NO_FINGERPRINT, 0)
            entry = Entry(-1 - self._requested_s // PAGE_S, self._requested_s, packed, self._ledger.version)
            is_new = stored_s is None and not self._are_rejects_outside
            yield NewRecords((), reject if is_new else None, (entry,))

    def _digest_of(self, reject: Reject) -> bytes:
        kind = b"reject outside" if self._are_rejects_outside else b"reject"
        return digest(kind, reject.place.encode(), reject.payload)
