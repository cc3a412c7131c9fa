"""The ledger: what one stream has published after `final`, and therefore which records are new.

Entries are grouped into pages by ten minutes of their record's start on the vendor's own clock. The start is part of
the key, so all entries of a key are on one page, also when a revision changes its end. A page is kept until `final` has
passed the last second at which a window may select any of its records. Pages are stored packed, with 20 bytes per
entry. They are unpacked when they are read; the least recently used ones are packed again.

Entries of LATEST streams are never removed: each key has a page of its own, which holds its latest entry.

A page keeps the version of the field lists with which it was started. A record that belongs to a page of the former
version is compared, and published, with the key and fingerprint that `former` returns. Pages of ten minutes of the
former version remain until they expire. The page of a LATEST key is migrated to the current version by the first result
that contains the thing. See docs/decisions/0019.

Among records of equal key, known fingerprints are matched first and only the surplus is new: when one of several such
records arrives late, it is recognized as the new one.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct, structs

from collector.errors import Park
from collector.model import DedupMode, Record, Reject
from collector.pipeline.matching import occurrences, surplus, surplus_parts
from collector.pipeline.page import ENTRY, NO_FINGERPRINT, Chunk, Entry, Known, Page, digest

P = TypeVar("P")
Former = Callable[[Record[Any]], Record[Any]]
"""Returns the same record with the key and fingerprint of the former version of the field lists."""

PAGE_S = 600
MAX_OPEN_ENTRIES = 100_000
"""The most entries in unpacked pages: about 30 MB, and more than the pages of one result contain."""
FOREVER_S = 1 << 62
"""The last second of entries that never expire."""
MAX_VERSIONS = 1000
"""The most records of one key, or revisions of one record; for LATEST streams, those in one result. All new ones of a
result are committed together."""
MAX_OCCURRENCES = 200
"""The same, of records with parts."""
MAX_PARTS = 20_000
"""The most parts of all records of one key in one result."""
MAX_PAIRS = 1_000_000
"""The most pairs of an occurrence and a part with which it is compared: about a tenth of a second."""
MAX_THINGS = 100_000
"""The most things of a LATEST stream, whose pages are never removed: about 30 MB."""
MAX_PAGE_ENTRIES = 200_000
"""The most entries of one page, which is opened in one step. A million records a day have 7,000 in ten minutes."""
GONE_AFTER = 3
"""A thing has disappeared when this many consecutive whole results, fetched by one process, lack it: a single one may
be an error of the vendor."""


class NumberedRecord(Struct, Generic[P], frozen=True, gc=False):
    """A new record, with the number that distinguishes its event ids."""

    record: Record[P]
    number: int
    """The revision, or for MULTISET the occurrence; zero for the first."""
    parts: Mapping[int, int] | None = None
    """The parts that are new while the record is known: the index of each in `Record.parts`, and its position among all
    parts that were published with this occurrence. None if the whole record is new."""


class NewRecords(Struct, Generic[P], frozen=True, gc=False):
    """The new records of one key, or a new reject, with their ledger entries. Committed together or not at all."""

    records: Sequence[NumberedRecord[P]]
    reject: Reject | None
    entries: Sequence[Entry]


class Ledger:
    """What one stream has published after `final`. Changed only by `add` and `forget`, after a commit."""

    def __init__(self, dedup_mode: DedupMode, version: int = 1, former: Former | None = None) -> None:
        self._dedup_mode = dedup_mode
        self.version = version
        """The version of the field lists for new pages."""
        self._former: Former = former or (lambda record: record)
        self.others: Sequence[Ledger] = ()
        """The ledgers of the other shards of the stream: what they contain is not new. See `shards`."""
        self._pages: dict[int, Page] = {}
        self._former_pages: set[int] = set()
        """Pages of the former version. Pages of rejects do not depend on the version."""
        self._reject_page: dict[bytes, int] = {}
        """The last page that contains each reject, by the reject's digest."""
        self._opened: OrderedDict[int, Page] = OrderedDict()
        self._open_entries = 0
        """The number of entries in the opened pages."""
        self._missed: Counter[bytes] = Counter()
        """LATEST streams: for each key, how many consecutive whole results lacked it."""
        self._unseen: Counter[bytes] = Counter()
        """LATEST streams: for each key on a former page, how many consecutive results lacked it, whole or not."""

    def __len__(self) -> int:
        """The number of entries."""
        return sum(map(len, self._pages.values()))

    def pages(self) -> Mapping[int, Page]:
        """The pages by their number."""
        return self._pages

    @property
    def has_former(self) -> bool:
        """Whether a page of the former version may be compared with."""
        return bool(self._former_pages) or any(other._former_pages for other in self.others)  # noqa: SLF001 - of this class

    def add(self, number: int, chunk: Chunk, nth: int | None = None) -> None:
        """Add a chunk to a page, after its commit is durable: the `nth` of the page, by default the next one."""
        if number not in self._pages:
            self._pages[number] = Page(number, chunk.version)
        page = self._pages[number]
        before = len(page)
        page.add(chunk, self._dedup_mode, nth)
        if number in self._opened:
            self._open_entries += len(page) - before
            if page.known is None:  # it was replaced
                self._open_entries -= len(self._opened.pop(number))
        if number < 0:
            for reject, _, _ in ENTRY.iter_unpack(chunk.packed):  # the later a page, the smaller its number
                self._reject_page[reject] = min(number, self._reject_page.get(reject, number))
        if number >= 0 and page.version != self.version:
            self._former_pages.add(number)
        else:
            self._former_pages.discard(number)

    def expired(self, final_s: int) -> list[Page]:
        """The pages of which no window that starts at `final_s` (vendor's clock) or later can select a record."""
        return [page for page in self._pages.values() if page.last_s < final_s]

    def forget(self, page: Page) -> None:
        """Remove a page, after its deletion is durable."""
        del self._pages[page.number]
        self._former_pages.discard(page.number)
        if self._opened.pop(page.number, None) is not None:
            self._open_entries -= len(page)
        if page.number < 0:
            for reject, _, _ in ENTRY.iter_unpack(page.entries):
                if self._reject_page.get(reject) == page.number:
                    del self._reject_page[reject]

    def as_former(self, record: Record[P]) -> Record[P] | None:
        """The record in the former version, if its page is of that version; else None."""
        if self._dedup_mode is not DedupMode.LATEST:
            return self._former(record) if self._is_former(record.vendor_local_s // PAGE_S) else None
        former = self._former(record)
        return former if _latest_page(former.key) in self._former_pages else None

    def _is_former(self, page: int) -> bool:
        """Whether records of a page are compared in the former version."""
        if page in self._pages:
            return page in self._former_pages
        return any(page in other._former_pages for other in self.others)  # noqa: SLF001 - of this class

    def new_of(
        self, key: bytes, records: Sequence[Record[P]], current: Sequence[Record[P]] | None = None
    ) -> NewRecords[P] | None:
        """What is new among all records of one key in one result; None if nothing is.

        If their page is of the former version, `records` are in that version, and `current` are the same records in the
        current one.
        """
        is_latest = self._dedup_mode is DedupMode.LATEST
        page, key_digest = (_latest_page(key), key) if is_latest else (records[0].vendor_local_s // PAGE_S, digest(key))
        number, known = self._known(page, key_digest)
        if number < 0 and current is None and len(records) == 1 and not (is_latest or records[0].parts):
            return self._first(page, key_digest, records[0])
        fingerprints = [(digest(record.fingerprint), record) for record in records]
        if self._dedup_mode is DedupMode.MULTISET:
            if current is None and any(record.parts for record in records):
                return self._new_with_parts(key, page, fingerprints, known)
            chosen = surplus(fingerprints, known)
            numbered = [NumberedRecord(record, len(known) + i) for i, (_, record) in enumerate(chosen)]
            stored = [(fingerprint, len(known) + i, record) for i, (fingerprint, record) in enumerate(chosen)]
        else:
            if number < 0:
                fingerprints = [item for item in fingerprints if not item[1].only_if_known]
            chosen, current_ones = _versions(fingerprints, known, is_latest=is_latest)
            numbered = [NumberedRecord(record, number + 1 + i) for i, (_, record) in enumerate(chosen)]
            stored = [(fingerprint, number + len(chosen), record) for fingerprint, record in current_ones]
        # A thing of a LATEST stream may change for years.
        if max(len(stored), len(chosen) + (0 if is_latest else number + 1)) > MAX_VERSIONS:
            raise too_many_versions(f"more than {MAX_VERSIONS} records or revisions have the same key")
        self._check_size(page, is_new=bool(chosen), is_latest=is_latest)
        if is_latest and current is not None:
            pairs = [(record.key, digest(record.fingerprint)) for record in current]
            return NewRecords(numbered, None, self._migrated(page, pairs, number + len(chosen)))
        if not chosen:
            return None
        version = self.version if current is None else self.version - 1
        entries = [
            Entry(page, FOREVER_S if is_latest else record.last_s, ENTRY.pack(key_digest, fingerprint, nth), version)
            for fingerprint, nth, record in stored
        ]
        return NewRecords(numbered, None, entries)

    def _first(self, page: int, key_digest: bytes, record: Record[P]) -> NewRecords[P] | None:
        """As `new_of`, for the only record of a key that is not known: that is what nearly all new records are."""
        if record.only_if_known:
            return None
        self._check_size(page, is_new=True, is_latest=False)
        packed = ENTRY.pack(key_digest, digest(record.fingerprint), 0)
        return NewRecords((NumberedRecord(record, 0),), None, (Entry(page, record.last_s, packed, self.version),))

    def _new_with_parts(
        self, key: bytes, page: int, records: Sequence[tuple[bytes, Record[P]]], known: Sequence[bytes]
    ) -> NewRecords[P] | None:
        """As `new_of`, for MULTISET records with parts, which have entries of their own for each occurrence."""
        count = len(known) + len(records)
        parts_keys = [_parts_key(key, number) for number in range(max(len(known), len(records)))]
        published = [self._known(page, each)[1] for each in parts_keys]
        parts_received, parts_published = sum(len(each.parts) for _, each in records), sum(map(len, published))
        pairs = len(known) * parts_received + len(records) * parts_published
        if count > MAX_OCCURRENCES or parts_received > MAX_PARTS or pairs > MAX_PAIRS:
            raise too_many_versions(f"{count} records with {parts_received} parts have the same key")
        numbered: list[NumberedRecord[P]] = []
        entries: list[Entry] = []
        for number, (fingerprint, record) in occurrences(records, known, published):
            before = published[number]
            parts = [digest(part) for part in record.parts]
            new = surplus_parts(parts, before)
            if number >= len(known):
                numbered.append(NumberedRecord(record, number))
                entries.append(Entry(page, record.last_s, ENTRY.pack(digest(key), fingerprint, number), self.version))
            elif new:
                positions = {index: len(before) + nth for nth, index in enumerate(new)}
                numbered.append(NumberedRecord(record, number, positions))
            for nth, index in enumerate(new, len(before)):
                packed = ENTRY.pack(parts_keys[number], parts[index], nth)
                entries.append(Entry(page, record.last_s, packed, self.version))
        self._check_size(page, is_new=bool(entries), is_latest=False)
        return NewRecords(numbered, None, entries) if numbered else None

    def _check_size(self, number: int, *, is_new: bool, is_latest: bool) -> None:
        """Raise Park if the stream has so many records already that new ones must not be added."""
        page = self._pages.get(number)
        if is_new and is_latest and page is None and len(self._pages) >= MAX_THINGS:
            raise _too_many(f"the stream has {MAX_THINGS} things")
        if is_new and page is not None and len(page) >= MAX_PAGE_ENTRIES:
            raise _too_many(f"more than {MAX_PAGE_ENTRIES} records start in the same ten minutes")

    def _migrated(self, page: int, fingerprints: Iterable[tuple[bytes, bytes]], number: int) -> Sequence[Entry]:
        """Entries that move a LATEST thing from its former page to the page of its current key.

        `fingerprints` are pairs of current key and fingerprint digest.
        """
        entries = [
            Entry(_latest_page(key), FOREVER_S, ENTRY.pack(key, fingerprint, number), self.version)
            for key, fingerprint in dict.fromkeys(fingerprints)
        ]
        deletion = Entry(page, FOREVER_S, b"", self.version)
        return entries if any(entry.page == page for entry in entries) else [*entries, deletion]

    def missing(
        self, keys: Collection[bytes], gone: Callable[[bytes], Record[P]], *, is_whole: bool
    ) -> Iterator[NewRecords[P] | None]:
        """The records of things that have disappeared from a LATEST stream, given all keys of one result.

        The things are determined at once. Each is compared with the ledger when it is taken; None stands for a thing
        that has not disappeared yet.

        A thing has disappeared when GONE_AFTER consecutive whole results lacked it; `is_whole` is about this result.
        Also migrates pages of the former version: at once if the thing was already published as disappeared, else when
        it disappears.
        """
        known = (page.entries[:8] for number, page in self._pages.items() if number >= 0)
        lacking = [key for key in known if key not in keys]
        if is_whole:
            self._missed = Counter({key: self._missed[key] + 1 for key in lacking})
        self._unseen = Counter(
            {key: self._unseen[key] + 1 for key in lacking if _latest_page(key) in self._former_pages}
        )
        return (self._missing(key, gone, is_whole=is_whole) for key in lacking)

    def _missing(self, key: bytes, gone: Callable[[bytes], Record[P]], *, is_whole: bool) -> NewRecords[P] | None:
        is_gone = is_whole and self._missed[key] >= GONE_AFTER
        if key in self._unseen:
            return self._missing_on_former_page(key, gone(key), is_gone=is_gone, is_whole=is_whole)
        return self.new_of(key, [gone(key)]) if is_gone else None

    def _missing_on_former_page(
        self, key: bytes, last: Record[P], *, is_gone: bool, is_whole: bool
    ) -> NewRecords[P] | None:
        """As `missing`, for one thing whose page is of the former version. `last` reports that it has disappeared.

        If no result is ever whole, the page is migrated with its number, but without a fingerprint: if the thing
        returns, it is published as a revision.
        """
        former = structs.replace(self._former(last), fingerprint=last.fingerprint)
        new_records = self.new_of(key, [former], [last])
        if is_gone or (new_records is not None and not new_records.records):
            return new_records
        if is_whole or self._unseen[key] < GONE_AFTER:
            return None
        number, _ = self._open(_latest_page(key))[key]
        return NewRecords((), None, self._migrated(_latest_page(key), [(last.key, NO_FINGERPRINT)], number))

    def last_stored_s(self, reject: bytes) -> int | None:
        """When the reject with this digest was last stored, in Unix seconds; None if it is new.

        Rejects have pages of their own, with negative numbers.
        """
        for ledger in (self, *self.others):
            number = ledger._reject_page.get(reject)  # noqa: SLF001 - of this class
            if number is not None:
                return ledger._pages[number].last_s  # noqa: SLF001
        return None

    def _known(self, page: int, key: bytes) -> tuple[int, Sequence[bytes]]:
        """The highest number of a key, and the digests of its current fingerprints, in all shards of the stream."""
        number, known = self._open(page).get(key, (-1, ()))
        for other in self.others:
            if page not in other._pages:  # noqa: SLF001 - of this class
                continue
            their_number, theirs = other._open(page).get(key, (-1, ()))  # noqa: SLF001
            if self._dedup_mode is DedupMode.MULTISET:
                known = [*known, *theirs]
            elif their_number > number:
                known = theirs
            number = max(number, their_number)
        return number, known

    def _open(self, number: int) -> Known:
        """The unpacked entries of a page; empty if it does not exist. May pack the least recently used pages again."""
        page = self._pages.get(number)
        if page is None:
            return {}
        if page.known is None:
            self._opened[number] = page
            self._open_entries += len(page)
            while len(self._opened) > 1 and self._open_entries > MAX_OPEN_ENTRIES:
                _, oldest = self._opened.popitem(last=False)
                oldest.known = None
                self._open_entries -= len(oldest)
        else:
            self._opened.move_to_end(number)
        return page.open(self._dedup_mode)


def _too_many(reason: str) -> Park:
    advice = "contact the vendor, or split the source into several: the stream waits until there is room"
    return Park(reason, code="too_many_records", advice=advice)


def too_many_versions(reason: str) -> Park:
    """The error for a key that cannot be what identifies a record."""
    return Park(
        f"{reason}, which cannot be true",
        code="too_many_versions",
        advice="contact the vendor: it repeats one record with ever other contents; the stream waits until it stops",
    )


def _parts_key(key: bytes, number: int) -> bytes:
    """The key digest of the entries of the published parts of an occurrence, which are in the order of publication."""
    return digest(b"parts", number.to_bytes(4, "big"), key)


def _versions(
    fingerprints: Iterable[tuple[bytes, Record[P]]], known: Sequence[bytes], *, is_latest: bool
) -> tuple[list[tuple[bytes, Record[P]]], Iterable[tuple[bytes, Record[P]]]]:
    """Of the versions of one key in a result, those to publish, and all in the order in which they are stored."""
    distinct: dict[bytes, Record[P]] = {}
    for fingerprint, record in fingerprints:  # in the vendor's order: what it reports last is the newest
        distinct.pop(fingerprint, None)
        distinct[fingerprint] = record
    chosen = [item for item in distinct.items() if item[0] not in known]
    if is_latest and not chosen and known and known[-1] not in distinct:
        chosen = list(distinct.items())[-1:]  # it was listed twice: what was published last is no longer listed
    for fingerprint, record in chosen:  # the page's last entry is what is published last
        del distinct[fingerprint]
        distinct[fingerprint] = record
    return chosen, distinct.items()


def _latest_page(key: bytes) -> int:
    """The page number of a LATEST key."""
    return int.from_bytes(key, "big")
