"""The encoding of the records of the state topic.

    <vendor>/<user>/<source>/<stream>              the checkpoint, as JSON
    <vendor>/<user>/<source>/<stream>/<page>/<n>   the n-th chunk of entries that was added to a page
    #replayed/<vendor>/<user>/<source>/<stream>/…  a dead letter that was published again: see `replay`

Every decoder raises UnreadableState and nothing else: a record that cannot be read stops its own stream only.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct, structs

from collector.errors import UnreadableState
from collector.instants import MAX_MS
from collector.model import Checkpoint, DedupMode
from collector.pipeline.ledger import FOREVER_S, PAGE_S
from collector.pipeline.page import ENTRY, Chunk

RESERVED = b"#"
"""The keys of records that belong to a partition, not to a stream, start with it."""
PREFIX_PARTS = 4
"""The parts of a key that name the stream."""
CHECKPOINT_VERSION = 1
CHUNK_VERSION = 1
MIN_INSTANT = datetime(2, 1, 1, tzinfo=UTC)
MAX_INSTANT = datetime(9000, 1, 1, tzinfo=UTC)
"""The times of a checkpoint are between these: so far from the ends of the calendar that no window crosses them."""
MAX_SPAN_S = 100 * 366 * 86_400
"""The longest span of a checkpoint, a hundred years: more than any vendor has."""
MAX_CHUNKS = 1_000_000
"""The most chunks of a page. A page with a commit in every second of eleven days has as many."""
MAX_NUMBER = 1 << 31
"""The largest number of an entry: the next numbers still fit into it."""
_MAX_SHOWN = 200
"""The most characters of a key in an error."""
_CHUNK = struct.Struct(">BBq")
"""Version of this format, version of the page's field lists, highest last second. The entries follow."""
_NUMBERS = struct.Struct(f">{ENTRY.size - 4}xI")
_HIGHEST_BYTES = slice(ENTRY.size - 4, None, ENTRY.size)
"""The highest byte of the number of each entry."""
_SUFFIX = re.compile(r"(0|-?[1-9][0-9]{0,19})/(0|[1-9][0-9]{0,9})", re.ASCII)
_MAX_PAGE = MAX_MS // 1000 // PAGE_S
_MAX_LAST_S = MAX_MS // 1000 + 86_400
"""The last second of the calendar, on any clock."""


class _Version(Struct, frozen=True):
    version: int


class _StoredCheckpoint(Struct, frozen=True):
    version: int
    since: datetime
    watermark: datetime
    final: datetime
    span_s: int
    swept_at: datetime
    selection: str = ""
    zone: str = ""


class StoredChunk(Struct, frozen=True):
    """A chunk with its place: the `nth` of the page."""

    page: int
    nth: int
    chunk: Chunk


def split_key(key: bytes) -> tuple[str, str] | None:
    """The prefix of the stream that a key names, and the rest: empty for the checkpoint.

    Returns None for a key that names no stream: it is reserved, has too few parts, or its stream is not valid UTF-8. A
    rest that is not valid UTF-8 is returned with escapes, as which it is never the key of a chunk.
    """
    parts = key.split(b"/", PREFIX_PARTS)
    if key.startswith(RESERVED) or len(parts) < PREFIX_PARTS or not all(parts[:PREFIX_PARTS]):
        return None
    try:
        prefix = b"/".join(parts[:PREFIX_PARTS]).decode()
    except UnicodeDecodeError:
        return None
    rest = b"/".join(parts[PREFIX_PARTS:]).decode("utf-8", "backslashreplace")
    return prefix, rest if rest or len(parts) == PREFIX_PARTS else "/"  # a slash at the end is no checkpoint's key


def unnamed_keys(keys: Iterable[bytes]) -> list[str]:
    """The keys that name neither a stream nor a record of the partition, as text."""
    return [shown(key.decode("utf-8", "backslashreplace")) for key in keys if _is_unnamed(key)]


def reserved(pairs: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The pairs that belong to the partition."""
    return {key: value for key, value in pairs.items() if key.startswith(RESERVED)}


def _is_unnamed(key: bytes) -> bool:
    return not key.startswith(RESERVED) and split_key(key) is None


def shown(text: str) -> str:
    """A key as it is shown to operators: control characters are escaped, and a long key is cut off."""
    escaped = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return escaped if len(escaped) <= _MAX_SHOWN else f"{escaped[:_MAX_SHOWN]}…"


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The value of the checkpoint's record."""
    fields = structs.asdict(checkpoint)
    span = fields.pop("span")
    return msgspec.json.encode(
        _StoredCheckpoint(version=CHECKPOINT_VERSION, span_s=span // timedelta(seconds=1), **fields)
    )


def decode_checkpoint(prefix: str, value: bytes) -> Checkpoint:
    """The checkpoint of a stream.

    Raises UnreadableState for another version, and for a checkpoint that the collector does not write: without a time
    zone, with times that are out of order or at the ends of the calendar, or with a span that is not positive or longer
    than MAX_SPAN_S.
    """
    try:
        version = msgspec.json.decode(value, type=_Version).version
        if version > CHECKPOINT_VERSION:
            raise too_new(prefix, f"checkpoint version {version}")
        stored = msgspec.json.decode(value, type=_StoredCheckpoint)
        since, watermark, final, swept_at = map(
            _in_utc, (stored.since, stored.watermark, stored.final, stored.swept_at)
        )
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise damaged(prefix, "", str(error)) from error
    if stored.version != CHECKPOINT_VERSION:
        raise damaged(prefix, "", f"its version is {stored.version}")
    if not since <= final <= watermark:
        raise damaged(prefix, "", "its times are not in the order since, final, watermark")
    if not 0 < stored.span_s <= MAX_SPAN_S:
        raise damaged(prefix, "", f"span_s is not between 1 and {MAX_SPAN_S}")
    span = timedelta(seconds=stored.span_s)
    return Checkpoint(since, watermark, final, span, swept_at, stored.selection, stored.zone)


def _in_utc(instant: datetime) -> datetime:
    """The instant in UTC. Raises ValueError without a zone or too near to the ends of the calendar, OverflowError."""
    if instant.tzinfo is None:
        raise ValueError("a time has no time zone")
    in_utc = instant.astimezone(UTC)
    if not MIN_INSTANT <= in_utc <= MAX_INSTANT:
        raise ValueError("a time is at the end of the calendar")
    return in_utc


def chunk_key(prefix: str, page: int, nth: int) -> bytes:
    """The key of a chunk's record."""
    return f"{prefix}/{page}/{nth}".encode()


def encode_chunk(chunk: Chunk) -> bytes:
    """The value of a chunk's record."""
    return _CHUNK.pack(CHUNK_VERSION, chunk.version, chunk.last_s) + chunk.packed


def decode_chunks(prefix: str, pairs: Mapping[str, bytes]) -> Iterator[StoredChunk]:
    """The chunks among a stream's pairs, in the order in which they are added to the ledger. Lazy: they are copies.

    Raises UnreadableState for another version, and for keys and values that the collector does not write.
    """
    for page, nth, suffix in sorted((*_place(prefix, suffix), suffix) for suffix in pairs if suffix):
        yield StoredChunk(page, nth, _decode_chunk(prefix, suffix, pairs[suffix]))


def _place(prefix: str, suffix: str) -> tuple[int, int]:
    """The page of a chunk, and its number in it."""
    if (place := _SUFFIX.fullmatch(suffix)) is None:
        raise damaged(prefix, suffix, "its key does not end with the numbers of a page and a chunk")
    page, nth = int(place[1]), int(place[2])
    if not -2 - _MAX_PAGE < page < 1 << 64 or nth >= MAX_CHUNKS:
        raise damaged(prefix, suffix, "the number of its page or chunk is too large")
    return page, nth


def _decode_chunk(prefix: str, suffix: str, value: bytes) -> Chunk:
    if value and value[0] > CHUNK_VERSION:
        raise too_new(prefix, f"ledger version {value[0]}")
    if len(value) < _CHUNK.size + ENTRY.size or (len(value) - _CHUNK.size) % ENTRY.size:
        raise damaged(prefix, suffix, f"a chunk cannot have {len(value)} bytes")
    version, fields_version, last_s = _CHUNK.unpack_from(value)
    if version != CHUNK_VERSION:
        raise damaged(prefix, suffix, f"its version is {version}")
    packed = value[_CHUNK.size :]
    if max(packed[_HIGHEST_BYTES]) >= MAX_NUMBER >> 24 and max(_NUMBERS.iter_unpack(packed))[0] > MAX_NUMBER:
        raise damaged(prefix, suffix, "the number of an entry is too large")
    return Chunk(packed, last_s, fields_version)


def verify_place(prefix: str, dedup_mode: DedupMode, stored: StoredChunk) -> None:
    """Raise UnreadableState for a chunk that a stream of this mode does not write at this place, or with this time."""
    page, last_s, packed = stored.page, stored.chunk.last_s, stored.chunk.packed
    if page >= 0 and dedup_mode is DedupMode.LATEST:
        key = page.to_bytes(8, "big")
        is_whole = all(packed.startswith(key, start) for start in range(0, len(packed), ENTRY.size))
        if stored.nth or last_s != FOREVER_S or not is_whole:
            raise damaged(prefix, f"{page}/{stored.nth}", "it does not contain the thing that its key names")
    elif page > _MAX_PAGE or not page * PAGE_S <= last_s <= _MAX_LAST_S:
        raise damaged(prefix, f"{page}/{stored.nth}", "its last second is not in the time of its page")


def too_new(prefix: str, what: str) -> UnreadableState:
    """The error of a record in the format of a later version."""
    return UnreadableState(
        f"the state of {shown(prefix)} has {what}, which this version cannot read",
        code="state_too_new",
        advice="run the version of the collector that wrote it, or a newer one",
    )


def damaged(prefix: str, suffix: str, reason: str) -> UnreadableState:
    """The error of a record that no version of the collector writes."""
    key = shown(f"{prefix}/{suffix}" if suffix else prefix)
    return UnreadableState(
        f"the state of {shown(prefix)} is damaged: the record with the key {key} cannot be read: {reason}",
        code="state_damaged",
        advice="see the records with `collector state show`, then restore or remove this record: "
        "'When a record of the state is damaged' in docs/operations.md",
    )
