"""What is already published, and so what in an answer is new.

Entries lie in pages of ten minutes of their record's start on the vendor's own clock: the start is a part of the key,
so a key has one page, also when a revision changes its end. A page is kept until `final` has passed the last second in
which a window may select any of its records. At rest a page is packed bytes, 20 an entry; it is opened to be read, and
the pages that were read longest ago are closed again.

What is LATEST is never forgotten: a key has a page of its own, which holds its last entry and is written over.

A page keeps the version of the lists of fields with which it was begun. A record on a page of the version before this
one is compared, and published, with the key and the fingerprint that `former` gives it. Pages of ten minutes pass; that
of a LATEST key is carried to the present version by the first answer that shows the thing. See docs/decisions/0019.

Of equal keys, known fingerprints are matched first, and only the surplus is new: a twin that comes late is the one that
was missing, not the other.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct, structs

from collector.model import DedupMode, Record, Reject
from collector.pipeline.page import ENTRY, NO_FINGERPRINT, Chunk, Entry, Known, Page, digest

P = TypeVar("P")
Former = Callable[[Record[Any]], Record[Any]]
"""The same record with the key and the fingerprint that the version before this one gave it."""

PAGE_S = 600
MAX_OPEN_ENTRIES = 100_000
"""How many entries may stay open: some 30 MB, and more than one answer touches."""
FOREVER_S = 1 << 62
"""No window passes it."""
GONE_AFTER = 3
"""Whole answers in a row, of one process, that lack a thing: fewer may be a glitch of the vendor's."""


class NumberedRecord(Struct, Generic[P], frozen=True, gc=False):
    """A record that is new, with the number that makes its id."""

    record: Record[P]
    number: int


class NewRecords(Struct, Generic[P], frozen=True, gc=False):
    """What is new of one key. Commits as one: all of it or nothing."""

    records: Sequence[NumberedRecord[P]]
    reject: Reject | None
    entries: Sequence[Entry]


class Ledger:
    """What one stream has published after `final`. Read by a sieve; changed by `add` and `forget` alone."""

    def __init__(self, dedup_mode: DedupMode, version: int = 1, former: Former | None = None) -> None:
        self._dedup_mode = dedup_mode
        self.version = version
        """Of the lists of fields, with which a page is begun."""
        self._former: Former = former or (lambda record: record)
        self._pages: dict[int, Page] = {}
        self._former_pages: set[int] = set()
        """Those of the version before; not of rejects, of which every version is the same."""
        self._opened: OrderedDict[int, Page] = OrderedDict()
        self._missed: Counter[bytes] = Counter()
        """Of a LATEST stream: how many whole answers in a row lacked each key."""
        self._unseen: Counter[bytes] = Counter()
        """The same of answers, whole or not, and keys of former pages."""

    def __len__(self) -> int:
        return sum(map(len, self._pages.values()))

    def pages(self) -> Mapping[int, Page]:
        return self._pages

    @property
    def has_former(self) -> bool:
        """Whether a record may have to be compared by the version before."""
        return bool(self._former_pages)

    def add(self, number: int, chunk: Chunk, nth: int | None = None) -> None:
        """Take note of what one commit added to a page, after it is durable; of a page's chunks in their order."""
        if number not in self._pages:
            self._pages[number] = Page(number, chunk.version)
        page = self._pages[number]
        page.add(chunk, self._dedup_mode, nth)
        if number >= 0 and page.version != self.version:
            self._former_pages.add(number)
        else:
            self._former_pages.discard(number)

    def passed(self, final_s: int) -> list[Page]:
        """The pages that no window from `final_s` on, on the vendor's own clock, can ask about."""
        return [page for page in self._pages.values() if page.last_s < final_s]

    def forget(self, page: Page) -> None:
        del self._pages[page.number]
        self._former_pages.discard(page.number)
        self._opened.pop(page.number, None)

    def deduplicator(self, *, since_ms: int, until_ms: int | None, final_s: int, requested_s: int) -> "Deduplicator[P]":
        """A sieve for one whole answer.

        A record that starts outside `[since_ms, until_ms)`, or of which the ledger has forgotten everything because it
        ends before `final_s` (vendor's clock), is `outside`. A reject is filed under `asked_s`, since its own time may
        be what cannot be read.
        """
        return Deduplicator(self, since_ms, until_ms, final_s, requested_s)

    def formerly(self, record: Record[P]) -> Record[P] | None:
        """The record as the version before has it, where its page is of that version; None where it is not."""
        if self._dedup_mode is not DedupMode.LATEST:
            return self._former(record) if record.vendor_local_s // PAGE_S in self._former_pages else None
        former = self._former(record)
        return former if _thing(former.key) in self._former_pages else None

    def new_of(
        self, key: bytes, records: Sequence[Record[P]], present: Sequence[Record[P]] | None = None
    ) -> NewRecords[P] | None:
        """What is new of the records of one key, all that were in one answer.

        Where their page is of the version before, they are as that version has them, and `present` as this one has.
        """
        latest = self._dedup_mode is DedupMode.LATEST
        page, short = (_thing(key), key) if latest else (records[0].vendor_local_s // PAGE_S, digest(key))
        number, known = self._open(page).get(short, (-1, ()))
        found = [(digest(record.fingerprint), record) for record in records]
        if self._dedup_mode is DedupMode.MULTISET:
            chosen = _surplus(found, known)
            sequence_of = [NumberedRecord(record, len(known) + i) for i, (_, record) in enumerate(chosen)]
            stated = [(fingerprint, len(known) + i, record) for i, (fingerprint, record) in enumerate(chosen)]
        else:
            current = dict(found)
            chosen = sorted((item for item in current.items() if item[0] not in known), key=lambda item: item[0])
            sequence_of = [NumberedRecord(record, number + 1 + i) for i, (_, record) in enumerate(chosen)]
            stated = [(fingerprint, number + len(chosen), record) for fingerprint, record in current.items()]
        if latest and present is not None:
            prints = [(record.key, digest(record.fingerprint)) for record in present]
            return NewRecords(sequence_of, None, self._carried(page, prints, number + len(chosen)))
        if not chosen:
            return None
        version = self.version if present is None else self.version - 1
        entries = [
            Entry(page, FOREVER_S if latest else record.last_s, ENTRY.pack(short, print_, n), version)
            for print_, n, record in stated
        ]
        return NewRecords(sequence_of, None, entries)

    def _carried(self, page: int, prints: Iterable[tuple[bytes, bytes]], number: int) -> Sequence[Entry]:
        """What takes a LATEST thing from its former page to the present version: its key, with each fingerprint."""
        entries = [
            Entry(_thing(key), FOREVER_S, ENTRY.pack(key, print_, number), self.version)
            for key, print_ in dict.fromkeys(prints)
        ]
        void = Entry(page, FOREVER_S, b"", self.version)
        return entries if any(entry.page == page for entry in entries) else [*entries, void]

    def missing(
        self, shown: Collection[bytes], gone: Callable[[bytes], Record[P]], *, sure: bool
    ) -> Iterator[NewRecords[P]]:
        """What is new of the things of a LATEST stream that an answer lacks, given the keys that it has.

        Gone is what `GONE_AFTER` whole answers in a row lacked, so only where they are `sure` to lack it. What the
        version before knows is carried to the present one: what was gone, at once; what is not, when it is gone.
        """
        known = (page.entries[:8] for number, page in self._pages.items() if number >= 0)
        lacking = [key for key in known if key not in shown]
        if sure:
            self._missed = Counter({key: self._missed[key] + 1 for key in lacking})
        self._unseen = Counter({key: self._unseen[key] + 1 for key in lacking if _thing(key) in self._former_pages})
        for key in lacking:
            is_gone = sure and self._missed[key] >= GONE_AFTER
            if key in self._unseen:
                new_records = self._missing_formerly(key, gone(key), is_gone=is_gone, sure=sure)
            else:
                new_records = self.new_of(key, [gone(key)]) if is_gone else None
            if new_records is not None:
                yield new_records

    def _missing_formerly(self, key: bytes, last: Record[P], *, is_gone: bool, sure: bool) -> NewRecords[P] | None:
        """The same of one thing that the version before knows.

        Where answers are never whole, only its number goes over: when it comes back, that is a revision in any case.
        """
        former = structs.replace(self._former(last), fingerprint=last.fingerprint)
        new_records = self.new_of(key, [former], [last])
        if is_gone or (new_records is not None and not new_records.records):
            return new_records
        if sure or self._unseen[key] < GONE_AFTER:
            return None
        number, _ = self._open(_thing(key))[key]
        return NewRecords((), None, self._carried(_thing(key), [(last.key, NO_FINGERPRINT)], number))

    def last_seen_s(self, reject: bytes) -> int | None:
        """Under which second a row that could not be understood was filed last; None when it is new.

        Rejects have pages of their own, below zero; they are few, so all of them are looked at.
        """
        pages = [page for number, page in self._pages.items() if number < 0]
        return max((page.last_s for page in pages if reject in self._open(page.number)), default=None)

    def _open(self, number: int) -> Known:
        page = self._pages.get(number)
        if page is None:
            return {}
        if page.known is None:
            self._opened[number] = page
            while len(self._opened) > 1 and sum(map(len, self._opened.values())) > MAX_OPEN_ENTRIES:
                self._opened.popitem(last=False)[1].known = None
        else:
            self._opened.move_to_end(number)
        return page.open(self._dedup_mode)


class Deduplicator(Generic[P]):
    """Takes an answer's rows, in any order, and then gives what is new of them."""

    def __init__(self, ledger: Ledger, since_ms: int, until_ms: int | None, final_s: int, requested_s: int) -> None:
        self._ledger = ledger
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._final_s = final_s
        self._asked_s = requested_s
        self._by_key: dict[bytes, list[Record[P]]] = {}
        self._present: dict[bytes, list[Record[P]]] = {}
        """By former key: the records as they came, where their page is of the version before."""
        self._rejects: dict[bytes, Reject] = {}
        self._missing: Sequence[NewRecords[P]] = ()
        self.duplicate = 0
        """Rows that are known, as far as has been looked at."""
        self.outside = 0

    def add(self, rows: Iterable[Record[P] | Reject]) -> None:
        since_ms, until_ms, final_s = self._since_ms, self._until_ms, self._final_s
        if self._ledger.has_former:
            rows = map(self._in_page_version, rows)
        for row in rows:
            self.duplicate += 1
            if isinstance(row, Reject):
                self._rejects[digest(b"reject", row.payload)] = row
            elif row.start_ms < since_ms or (until_ms is not None and row.start_ms >= until_ms) or row.last_s < final_s:
                self.outside += 1
                self.duplicate -= 1
            else:
                self._by_key.setdefault(row.key, []).append(row)

    def _in_page_version(self, row: Record[P] | Reject) -> Record[P] | Reject:
        """The row in the version of its page: equal keys of that version are decided together."""
        if isinstance(row, Reject) or (former := self._ledger.formerly(row)) is None:
            return row
        self._present.setdefault(former.key, []).append(row)
        return former

    def miss(self, gone: Callable[[bytes], Record[P]], *, is_whole: bool) -> None:
        """Take what the answer lacks for gone, once that is sure. After all of its rows."""
        sure = is_whole and not self._rejects  # one of them may be what seems to be missing
        self._missing = list(self._ledger.missing(self._by_key.keys(), gone, sure=sure))

    def new(self) -> Iterator[NewRecords[P]]:
        """By start, then by identity; then what is gone; last the rejects. Decided as it is taken, and let go of."""
        by_key = self._by_key
        for key in sorted(by_key, key=lambda key: (by_key[key][0].start_ms, key)):
            new_records = self._ledger.new_of(key, by_key.pop(key), self._present.pop(key, None))
            if new_records is not None:
                self.duplicate -= len(new_records.records)
                yield new_records
        yield from self._missing
        for short, reject in self._rejects.items():
            seen_s = self._ledger.last_seen_s(short)
            if seen_s is None:
                self.duplicate -= 1
            elif seen_s >= (self._final_s + self._asked_s) // 2:
                continue
            # One that keeps coming is filed again before it would be forgotten: it is a dead letter once.
            packed = ENTRY.pack(short, NO_FINGERPRINT, 0)
            entry = Entry(-1 - self._asked_s // PAGE_S, self._asked_s, packed, self._ledger.version)
            yield NewRecords((), reject if seen_s is None else None, (entry,))


def _surplus(found: Sequence[tuple[bytes, Record[P]]], known: Sequence[bytes]) -> list[tuple[bytes, Record[P]]]:
    """Of n rows of one key, those beyond the known ones; those whose fingerprint is known are never among them."""
    left = Counter(known)
    unmatched = []
    for item in sorted(found, key=lambda item: item[0]):
        if left[item[0]]:
            left[item[0]] -= 1
        else:
            unmatched.append(item)
    return unmatched[: max(0, len(found) - len(known))]


def _thing(key: bytes) -> int:
    """The page of a LATEST key."""
    return int.from_bytes(key, "big")
