"""A page of the ledger: what was published of ten minutes, or of one thing of a LATEST stream, as packed entries."""

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from collector.model import DedupMode

ENTRY = struct.Struct(">8s8sI")
"""Digest of the key, digest of the fingerprint, and a number: of versions the revision, of rows the occurrence.

A new version of a key writes an entry for every fingerprint that is now current, all with the newest revision: the
entries with a key's highest revision are all that is known of it.
"""
NO_FINGERPRINT = bytes(8)
"""That of no record."""
Known = dict[bytes, tuple[int, tuple[bytes, ...]]]
"""Of an open page, per key: the highest number and the current fingerprints."""


class Entry(Struct, frozen=True, gc=False):
    """One line of the ledger."""

    page: int
    last_s: int
    packed: bytes
    """Empty: the page is void, since its thing has another page now."""
    version: int
    """Of the lists of fields by which the key and the fingerprint were made."""


class Chunk(NamedTuple):
    """What one commit adds to a page."""

    packed: bytes
    last_s: int
    """The last second of any of its entries."""
    version: int


class Page:
    """The entries of ten minutes: packed chunks, one for each commit that added to it."""

    __slots__ = ("chunks", "entries", "known", "last_s", "number", "version")

    def __init__(self, number: int, version: int) -> None:
        self.number = number
        self.version = version
        """Of the lists of fields with which it was begun: all of its entries are of this version."""
        self.last_s = -(1 << 62)
        self.chunks = 0
        """How many commits added to it: the next one's number."""
        self.entries = b""
        self.known: Known | None = None
        """While open."""

    def add(self, chunk: Chunk, dedup_mode: DedupMode, nth: int | None = None) -> None:
        if dedup_mode is DedupMode.LATEST and self.number >= 0:  # the same chunk, written over
            self.entries, self.chunks, self.known, self.version = b"", 0, None, chunk.version
        self.chunks = 1 + (self.chunks if nth is None else nth)
        self.entries += chunk.packed
        self.last_s = max(self.last_s, chunk.last_s)
        if self.known is not None:
            _learn(self.known, chunk.packed, dedup_mode)

    def open(self, dedup_mode: DedupMode) -> Known:
        if self.known is None:
            self.known = {}
            _learn(self.known, self.entries, dedup_mode)
        return self.known

    def __len__(self) -> int:
        return len(self.entries) // ENTRY.size


def _learn(known: Known, packed: bytes, dedup_mode: DedupMode) -> None:
    for key, fingerprint, number in ENTRY.iter_unpack(packed):
        newest, current = known.get(key, (-1, ()))
        superseded = dedup_mode is not DedupMode.MULTISET and number > newest
        known[key] = max(number, newest), (fingerprint,) if superseded else (*current, fingerprint)


def grouped(entries: Iterable[Entry]) -> Mapping[int, Chunk]:
    """The entries of one commit by their page; those of a page are all of one version."""
    packed: dict[int, list[bytes]] = defaultdict(list)
    last_s: dict[int, int] = {}
    version: dict[int, int] = {}
    for entry in entries:
        packed[entry.page].append(entry.packed)
        last_s[entry.page] = max(last_s.get(entry.page, entry.last_s), entry.last_s)
        version[entry.page] = entry.version
    return {page: Chunk(b"".join(parts), last_s[page], version[page]) for page, parts in packed.items()}


def digest(*parts: bytes) -> bytes:
    """Eight bytes that stand for a key or a fingerprint: within one page of a million, one in 10^8 to meet another."""
    return blake2b(b"".join(parts), digest_size=8).digest()
