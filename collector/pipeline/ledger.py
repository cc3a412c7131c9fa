"""What is already published, and so what in an answer is new.

Entries lie in pages of ten minutes of their record's start on the vendor's own clock: the start is a part of the key,
so a key has one page, also when a revision changes its end. A page is kept until `final` has passed the last second in
which a window may select any of its records. At rest a page is packed bytes, 20 an entry; it is opened to be read, and
the pages that were read longest ago are closed again.

What is LATEST is never forgotten: a key has a page of its own, which holds its last entry and is written over.

Of equal keys, known fingerprints are matched first, and only the surplus is new: a twin that comes late is the one that
was missing, not the other.
"""

import struct
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

from msgspec import Struct

from collector.model import Memory, Record, Reject

P = TypeVar("P")

PAGE_S = 600
ENTRY = struct.Struct(">8s8sI")
"""Digest of the key, digest of the fingerprint, and a number: of versions the revision, of rows the occurrence.

A new version of a key writes an entry for every fingerprint that is now current, all with the newest revision: the
entries with a key's highest revision are all that is known of it.
"""
OPEN_ENTRIES = 100_000
"""How many entries may stay open: some 30 MB, and more than one answer touches."""
NO_FINGERPRINT = bytes(8)
FOREVER_S = 1 << 62
"""No window passes it."""
GONE_AFTER = 3
"""Whole answers in a row, of one process, that lack a thing: fewer may be a glitch of the vendor's."""


class Entry(Struct, frozen=True, gc=False):
    """One line of the ledger."""

    page: int
    last_s: int
    packed: bytes


class Numbered(Struct, Generic[P], frozen=True, gc=False):
    """A record that is new, with the number that makes its id."""

    record: Record[P]
    number: int


class Novelty(Struct, Generic[P], frozen=True, gc=False):
    """What is new of one key. Commits as one: all of it or nothing."""

    records: Sequence[Numbered[P]]
    reject: Reject | None
    entries: Sequence[Entry]


class Page:
    """The entries of ten minutes: packed chunks, one for each commit that added to it."""

    __slots__ = ("chunks", "entries", "known", "last_s", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.last_s = -(1 << 62)
        self.chunks = 0
        """How many commits added to it: the next one's number."""
        self.entries = b""
        self.known: dict[bytes, tuple[int, tuple[bytes, ...]]] | None = None
        """While open: per key the highest number and the current fingerprints."""

    def add(self, packed: bytes, last_s: int, memory: Memory, chunk: int | None = None) -> None:
        if memory is Memory.LATEST and self.number >= 0:  # the same chunk, written over
            self.entries, self.chunks, self.known = b"", 0, None
        self.chunks = 1 + (self.chunks if chunk is None else chunk)
        self.entries += packed
        self.last_s = max(self.last_s, last_s)
        if self.known is not None:
            _learn(self.known, packed, memory)

    def open(self, memory: Memory) -> dict[bytes, tuple[int, tuple[bytes, ...]]]:
        if self.known is None:
            self.known = {}
            _learn(self.known, self.entries, memory)
        return self.known

    def __len__(self) -> int:
        return len(self.entries) // ENTRY.size


def _learn(known: dict[bytes, tuple[int, tuple[bytes, ...]]], packed: bytes, memory: Memory) -> None:
    for key, fingerprint, number in ENTRY.iter_unpack(packed):
        newest, current = known.get(key, (-1, ()))
        superseded = memory is not Memory.ROWS and number > newest
        known[key] = max(number, newest), (fingerprint,) if superseded else (*current, fingerprint)


class Ledger:
    """What one stream has published after `final`. Read by a sieve; changed by `add` and `forget` alone."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._pages: dict[int, Page] = {}
        self._opened: OrderedDict[int, Page] = OrderedDict()
        self._missed: Counter[bytes] = Counter()
        """Of a LATEST stream: how many whole answers in a row lacked each key."""

    def __len__(self) -> int:
        return sum(map(len, self._pages.values()))

    def pages(self) -> Mapping[int, Page]:
        return self._pages

    def add(self, page: int, packed: bytes, last_s: int, chunk: int | None = None) -> None:
        """Take note of what one commit added to a page, after it is durable; of a page's chunks in their order."""
        if page not in self._pages:
            self._pages[page] = Page(page)
        self._pages[page].add(packed, last_s, self._memory, chunk)

    def passed(self, final_s: int) -> list[Page]:
        """The pages that no window from `final_s` on, on the vendor's own clock, can ask about."""
        return [page for page in self._pages.values() if page.last_s < final_s]

    def forget(self, page: Page) -> None:
        del self._pages[page.number]
        self._opened.pop(page.number, None)

    def sieve(self, *, since_ms: int, until_ms: int | None, final_s: int, asked_s: int) -> "Sieve[P]":
        """A sieve for one whole answer.

        A record that starts outside `[since_ms, until_ms)`, or of which the ledger has forgotten everything because it
        ends before `final_s` (vendor's clock), is `outside`. A reject is filed under `asked_s`, since its own time may
        be what cannot be read.
        """
        return Sieve(self, since_ms, until_ms, final_s, asked_s)

    def new_of(self, key: bytes, records: Sequence[Record[P]]) -> Novelty[P] | None:
        """What is new of the records of one key, all that were in one answer."""
        if self._memory is Memory.LATEST:
            page, short = int.from_bytes(key, "big"), key
        else:
            page, short = records[0].filed_s // PAGE_S, digest(key)
        number, known = self._open(page).get(short, (-1, ()))
        found = [(digest(record.fingerprint), record) for record in records]
        if self._memory is Memory.ROWS:
            chosen = _surplus(found, known)
            numbered = [Numbered(record, len(known) + i) for i, (_, record) in enumerate(chosen)]
            stated = [(fingerprint, len(known) + i, record) for i, (fingerprint, record) in enumerate(chosen)]
        else:
            current = dict(found)
            chosen = sorted((item for item in current.items() if item[0] not in known), key=lambda item: item[0])
            numbered = [Numbered(record, number + 1 + i) for i, (_, record) in enumerate(chosen)]
            stated = [(fingerprint, number + len(chosen), record) for fingerprint, record in current.items()]
        if not chosen:
            return None
        forever = self._memory is Memory.LATEST
        entries = [
            Entry(page, FOREVER_S if forever else record.last_s, ENTRY.pack(short, print_, n))
            for print_, n, record in stated
        ]
        return Novelty(numbered, None, entries)

    def missing(self, present: Collection[bytes]) -> list[bytes]:
        """The keys of a LATEST stream that `GONE_AFTER` whole answers in a row lacked, this being the last of them."""
        known = [page.entries[:8] for number, page in self._pages.items() if number >= 0]
        self._missed = Counter({key: self._missed[key] + 1 for key in known if key not in present})
        return [key for key, count in self._missed.items() if count >= GONE_AFTER]

    def last_seen_s(self, reject: bytes) -> int | None:
        """Under which second a row that could not be understood was filed last; None when it is new.

        Rejects have pages of their own, below zero; they are few, so all of them are looked at.
        """
        pages = [page for number, page in self._pages.items() if number < 0]
        return max((page.last_s for page in pages if reject in self._open(page.number)), default=None)

    def _open(self, number: int) -> dict[bytes, tuple[int, tuple[bytes, ...]]]:
        page = self._pages.get(number)
        if page is None:
            return {}
        if page.known is None:
            self._opened[number] = page
            while len(self._opened) > 1 and sum(map(len, self._opened.values())) > OPEN_ENTRIES:
                self._opened.popitem(last=False)[1].known = None
        else:
            self._opened.move_to_end(number)
        return page.open(self._memory)


class Sieve(Generic[P]):
    """Takes an answer's rows, in any order, and then gives what is new of them."""

    def __init__(self, ledger: Ledger, since_ms: int, until_ms: int | None, final_s: int, asked_s: int) -> None:
        self._ledger = ledger
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._final_s = final_s
        self._asked_s = asked_s
        self._by_key: dict[bytes, list[Record[P]]] = {}
        self._rejects: dict[bytes, Reject] = {}
        self.duplicate = 0
        """Rows that are known, as far as has been looked at."""
        self.outside = 0

    def add(self, rows: Iterable[Record[P] | Reject]) -> None:
        since_ms, until_ms, final_s = self._since_ms, self._until_ms, self._final_s
        for row in rows:
            self.duplicate += 1
            if isinstance(row, Reject):
                self._rejects[digest(b"reject", row.payload)] = row
            elif row.start_ms < since_ms or (until_ms is not None and row.start_ms >= until_ms) or row.last_s < final_s:
                self.outside += 1
                self.duplicate -= 1
            else:
                self._by_key.setdefault(row.key, []).append(row)

    def miss(self, gone: Callable[[bytes], Record[P]]) -> None:
        """Take what the answer lacks for gone, once that is sure. After all of its rows."""
        if self._rejects:  # one of them may be what seems to be missing
            return
        for key in self._ledger.missing(self._by_key.keys()):
            last = gone(key)
            if self._ledger.new_of(key, [last]) is not None:
                self._by_key[key] = [last]
                self.duplicate += 1

    def new(self) -> Iterator[Novelty[P]]:
        """By start, then by identity; last the rejects. Decided as it is taken, and let go of with it."""
        by_key = self._by_key
        for key in sorted(by_key, key=lambda key: (by_key[key][0].start_ms, key)):
            novelty = self._ledger.new_of(key, by_key.pop(key))
            if novelty is not None:
                self.duplicate -= len(novelty.records)
                yield novelty
        for short, reject in self._rejects.items():
            seen_s = self._ledger.last_seen_s(short)
            if seen_s is None:
                self.duplicate -= 1
            elif seen_s >= (self._final_s + self._asked_s) // 2:
                continue
            # One that keeps coming is filed again before it would be forgotten: it is a dead letter once.
            entry = Entry(-1 - self._asked_s // PAGE_S, self._asked_s, ENTRY.pack(short, NO_FINGERPRINT, 0))
            yield Novelty((), reject if seen_s is None else None, (entry,))


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


def digest(*parts: bytes) -> bytes:
    """Eight bytes that stand for a key or a fingerprint: within one page of a million, one in 10^8 to meet another."""
    return blake2b(b"".join(parts), digest_size=8).digest()


def grouped(entries: Iterable[Entry]) -> dict[int, tuple[bytes, int]]:
    """Per page: the packed entries, and the last second of any."""
    packed: dict[int, list[bytes]] = defaultdict(list)
    last_s: dict[int, int] = {}
    for entry in entries:
        packed[entry.page].append(entry.packed)
        last_s[entry.page] = max(last_s.get(entry.page, entry.last_s), entry.last_s)
    return {page: (b"".join(parts), last_s[page]) for page, parts in packed.items()}
