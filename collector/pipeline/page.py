"""A ledger page: the packed entries of ten minutes, or of one thing of a LATEST stream."""

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from collector.model import DedupMode

ENTRY = struct.Struct(">8s8sI")
"""Digest of the key, digest of the fingerprint, and a number: the revision, or for MULTISET the occurrence.

A new revision of a key adds an entry for every current fingerprint, all with the new number. So the entries with the
highest revision of a key are its current state.
"""
MAX_CHUNK_ENTRIES = 20_000
"""The most entries of one chunk of a page: 400 kB, below half the maximum message size."""
NO_FINGERPRINT = bytes(8)
"""Stored instead of a fingerprint for a reject, and for a thing whose last record is not known."""
Known = dict[bytes, tuple[int, Sequence[bytes]]]
"""An open page: by digest of the key, the highest number and the digests of the current fingerprints."""


class Entry(Struct, frozen=True, gc=False):
    """One ledger entry, with the page that it belongs to."""

    page: int
    last_s: int
    """`Record.last_s`: the last second at which a window may select the record."""
    packed: bytes
    """The entry in the format ENTRY; empty to delete the page, because its thing has moved to another page."""
    version: int
    """The version of the field lists from which the key and the fingerprint were made."""


class Chunk(NamedTuple):
    """Entries that one commit adds to a page. A commit with many entries adds several chunks."""

    packed: bytes
    """Entries in the format ENTRY."""
    last_s: int
    """The highest `last_s` of its entries."""
    version: int
    """The version of the field lists."""


def split_chunk(chunk: Chunk) -> Sequence[Chunk]:
    """The chunk as chunks of at most MAX_CHUNK_ENTRIES entries, in order; the chunk itself if it is empty."""
    size = MAX_CHUNK_ENTRIES * ENTRY.size
    starts = range(0, max(1, len(chunk.packed)), size)
    return [chunk._replace(packed=chunk.packed[start : start + size]) for start in starts]


class Page:
    """The entries of one page, packed. Each commit that adds to the page adds one or more chunks."""

    __slots__ = ("chunks", "entries", "known", "last_s", "number", "version")

    def __init__(self, number: int, version: int) -> None:
        self.number = number
        self.version = version
        """The version of the field lists of all its entries."""
        self.last_s = -(1 << 62)
        """The highest `last_s` of its entries."""
        self.chunks = 0
        """The number of its chunks, which is also the number of the next one."""
        self.entries = b""
        self.known: Known | None = None
        """Unpacked entries while the page is open, else None."""

    def add(self, chunk: Chunk, dedup_mode: DedupMode, nth: int | None = None) -> None:
        """Append a chunk: the `nth`, by default the next. For LATEST streams a chunk replaces the previous one."""
        if dedup_mode is DedupMode.LATEST and self.number >= 0:
            self.entries, self.chunks, self.known, self.version = b"", 0, None, chunk.version
        self.chunks = 1 + (self.chunks if nth is None else nth)
        self.entries += chunk.packed
        self.last_s = max(self.last_s, chunk.last_s)
        if self.known is not None:
            _unpack_into(self.known, chunk.packed, dedup_mode)

    def open(self, dedup_mode: DedupMode) -> Known:
        """The unpacked entries, kept until `known` is set to None."""
        if self.known is None:
            self.known = {}
            _unpack_into(self.known, self.entries, dedup_mode)
        return self.known

    def __len__(self) -> int:
        return len(self.entries) // ENTRY.size


def _unpack_into(known: Known, packed: bytes, dedup_mode: DedupMode) -> None:
    for key, fingerprint, number in ENTRY.iter_unpack(packed):
        newest, current = known.get(key, (-1, ()))
        if number > newest and dedup_mode is not DedupMode.MULTISET:
            current = ()
        if isinstance(current, list):
            current.append(fingerprint)
        else:  # nearly all keys have one fingerprint, and a tuple is smaller
            current = [*current, fingerprint] if current else (fingerprint,)
        known[key] = max(number, newest), current


def chunks_by_page(entries: Iterable[Entry]) -> Mapping[int, Chunk]:
    """The entries that one commit adds to each page, by page number, before they are split.

    All entries of a page have the same version.
    """
    packed: dict[int, list[bytes]] = defaultdict(list)
    last_s: dict[int, int] = {}
    version: dict[int, int] = {}
    for entry in entries:
        packed[entry.page].append(entry.packed)
        last_s[entry.page] = max(last_s.get(entry.page, entry.last_s), entry.last_s)
        version[entry.page] = entry.version
    return {page: Chunk(b"".join(parts), last_s[page], version[page]) for page, parts in packed.items()}


def digest(*parts: bytes) -> bytes:
    """Eight bytes that represent a key or a fingerprint.

    The probability that any two of the million keys of a page collide is about 3 in 10^8.
    """
    return blake2b(b"".join(parts), digest_size=8).digest()
