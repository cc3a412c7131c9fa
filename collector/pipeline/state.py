"""What a stream knows, and how it lies in the state topic.

    <vendor>/<user>/<source>/<stream>              the head, as JSON
    <vendor>/<user>/<source>/<stream>/<page>/<n>   the entries that the n-th commit added to a page

Chunks are appended, never rewritten, and are deleted in the transaction that moves `final` past their page. Of a LATEST
stream a thing has a page, with one chunk, which is written over and stays.
"""

import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct, structs

from collector.errors import UnreadableState
from collector.instants import unix_s
from collector.model import Account, Checkpoint, DedupMode
from collector.pipeline.batch import Batch
from collector.pipeline.ledger import Former, Ledger
from collector.pipeline.page import ENTRY, Chunk, Page, grouped

Pairs = Mapping[bytes, bytes | None]
"""Keys and values of the state topic; None deletes."""

_PREFIX_PARTS = 4
CHECKPOINT_VERSION = 1
CHUNK_VERSION = 1
_CHUNK = struct.Struct(">BBq")
"""Version of this codec, version of the page's lists of fields, last second of any entry; the entries follow."""


class _StoredCheckpoint(Struct, frozen=True):
    version: int
    since: datetime
    watermark: datetime
    final: datetime
    span_s: int
    swept_at: datetime
    selection: str = ""


class Shape(Struct, frozen=True):
    """What of a stream decides how its state is kept."""

    dedup_mode: DedupMode
    fields_version: int
    """Of the lists of fields in its keys and fingerprints: a page keeps the one with which it was begun."""
    max_clock_offset: timedelta
    """How far the vendor's own clock may stand from UTC."""
    former: Former | None = None
    """What a record was in the version before, where there may be pages of it."""


class State:
    """Head and ledger of one stream, as they are durable, and a head that may be some polls ahead of it."""

    def __init__(self, prefix: str, shape: Shape, checkpoint: Checkpoint | None = None) -> None:
        self.prefix = prefix
        self.shape = shape
        self.ledger = Ledger(shape.dedup_mode, shape.fields_version, shape.former)
        self.checkpoint = checkpoint
        self.durable: Checkpoint | None = None

    @property
    def final_s(self) -> int:
        """`final` on the vendor's own clock, however far that may stand from ours."""
        if self.checkpoint is None:
            raise AssertionError("a stream asks only after its first head is durable")
        return unix_s(self.checkpoint.final - self.shape.max_clock_offset)

    def after(self, batch: Batch) -> None:
        """Take over what is durable now."""
        for number, chunk in grouped(batch.entries).items():
            if chunk.packed:
                self.ledger.add(number, chunk)
            else:
                self.ledger.forget(self.ledger.pages()[number])
        if batch.checkpoint is not None:
            self.checkpoint = self.durable = batch.checkpoint
            for passed in self.ledger.passed(self.final_s):
                self.ledger.forget(passed)

    def pairs(self, batch: Batch) -> Pairs:
        """What the state topic must be told together with the batch."""
        pairs: dict[bytes, bytes | None] = {}
        pages = self.ledger.pages()
        for number, chunk in grouped(batch.entries).items():
            written_over = self.shape.dedup_mode is DedupMode.LATEST and number >= 0
            nth = pages[number].chunks if number in pages and not written_over else 0
            header = _CHUNK.pack(CHUNK_VERSION, chunk.version, chunk.last_s)
            pairs[self._chunk_key(number, nth)] = header + chunk.packed if chunk.packed else None
        if batch.checkpoint is not None:
            pairs[self.prefix.encode()] = _encode_checkpoint(batch.checkpoint)
            for passed in self.ledger.passed(unix_s(batch.checkpoint.final - self.shape.max_clock_offset)):
                pairs.update((self._chunk_key(passed.number, chunk), None) for chunk in range(passed.chunks))
        return pairs

    def _chunk_key(self, page: int, chunk: int) -> bytes:
        return f"{self.prefix}/{page}/{chunk}".encode()


def stream_prefix(account: Account, source: str, stream: str) -> str:
    return "/".join(quote(part, safe="") for part in (account.vendor, account.user, source, stream))


def by_stream(pairs: Mapping[bytes, bytes]) -> dict[str, dict[str, bytes]]:
    """A partition's pairs by the prefix of their stream; there, by the rest of the key: the head's is empty."""
    found: dict[str, dict[str, bytes]] = {}
    for key, value in pairs.items():
        parts = key.decode().split("/", _PREFIX_PARTS)
        if len(parts) >= _PREFIX_PARTS:
            found.setdefault("/".join(parts[:_PREFIX_PARTS]), {})["".join(parts[_PREFIX_PARTS:])] = value
    return found


class Summary(Struct, frozen=True):
    """What the state topic knows of a stream, whether it is configured or not."""

    vendor: str
    user: str
    source: str
    stream: str
    checkpoint: Checkpoint
    entries: int


def summary(prefix: str, pairs: Mapping[str, bytes]) -> Summary | None:
    """Of a stream's own pairs; None without a head. Raises Refused for a head that this version does not know."""
    if "" not in pairs:
        return None
    vendor, user, source, stream = (unquote(part) for part in prefix.split("/"))
    entries = sum((len(value) - _CHUNK.size) // ENTRY.size for place, value in pairs.items() if place)
    return Summary(vendor, user, source, stream, _decode_checkpoint(prefix, pairs[""]), entries)


def rewound(checkpoint: Checkpoint, to: datetime) -> Checkpoint:
    """The head with `watermark` and `final` not after an instant: the one way in which they move back."""
    return structs.replace(checkpoint, watermark=min(checkpoint.watermark, to), final=min(checkpoint.final, to))


def load(prefix: str, shape: Shape, pairs: Mapping[str, bytes]) -> State:
    """The state of one stream out of its own pairs; without a head when the stream was never seen.

    Raises Refused for state that this version does not know: newer, or older than the version before it.
    """
    state = State(prefix, shape, _decode_checkpoint(prefix, pairs[""]) if "" in pairs else None)
    state.durable = state.checkpoint
    chunks: list[tuple[int, int, bytes]] = []
    for place, value in pairs.items():
        if place:
            page, _, chunk = place.partition("/")
            chunks.append((int(page), int(chunk), value))
    for number, nth, value in sorted(chunks):
        version, fields_version, last_s = _CHUNK.unpack_from(value)
        if version != CHUNK_VERSION:
            raise _unknown(prefix, f"ledger version {version}")
        if number >= 0:  # rejects do not depend on lists of fields
            _refuse_other(prefix, shape, fields_version, state.ledger.pages().get(number))
        state.ledger.add(number, Chunk(value[_CHUNK.size :], last_s, fields_version), nth)
    return state


def _refuse_other(prefix: str, shape: Shape, version: int, page: Page | None) -> None:
    """Raises Refused for a chunk that was made by lists of fields by which no record can be compared."""
    if version > shape.fields_version or (page is not None and page.version != version):
        raise _unknown(prefix, f"ledger version {CHUNK_VERSION}.{version}")
    if version < shape.fields_version - (shape.former is not None):
        raise UnreadableState(
            f"the state of {prefix} has ledger version {CHUNK_VERSION}.{version}, which this version no longer knows",
            code="state_too_old",
            advice="run the release before this one until the stream's final is a day after the start of that release",
        )


def _encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    fields = structs.asdict(checkpoint)
    span = fields.pop("span")
    return msgspec.json.encode(
        _StoredCheckpoint(version=CHECKPOINT_VERSION, span_s=span // timedelta(seconds=1), **fields)
    )


def _decode_checkpoint(prefix: str, value: bytes) -> Checkpoint:
    try:
        checkpoint = msgspec.json.decode(value, type=_StoredCheckpoint)
    except msgspec.MsgspecError as error:
        raise _unknown(prefix, f"a head that cannot be read: {error}") from error
    if checkpoint.version != CHECKPOINT_VERSION:
        raise _unknown(prefix, f"head version {checkpoint.version}")
    return Checkpoint(
        checkpoint.since,
        checkpoint.watermark,
        checkpoint.final,
        timedelta(seconds=checkpoint.span_s),
        checkpoint.swept_at,
        checkpoint.selection,
    )


def _unknown(prefix: str, what: str) -> UnreadableState:
    return UnreadableState(
        f"the state of {prefix} has {what}, which this version does not know",
        code="state_too_new",
        advice="run the version of the collector that wrote it, or a newer one",
    )
