"""The state of a stream, and its format in the state topic.

    <vendor>/<user>/<source>/<stream>              the checkpoint, as JSON
    <vendor>/<user>/<source>/<stream>/<page>/<n>   the entries that the n-th commit added to a page

Chunks are only appended. They are deleted in the transaction that moves `final` past their page. In a LATEST stream,
each thing has a page with a single chunk, which is overwritten and never deleted.
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
from collector.pipeline.page import ENTRY, Chunk, Page, chunks_by_page

Pairs = Mapping[bytes, bytes | None]
"""Keys and values of the state topic. None deletes a key."""

_PREFIX_PARTS = 4
CHECKPOINT_VERSION = 1
CHUNK_VERSION = 1
_CHUNK = struct.Struct(">BBq")
"""Version of this format, version of the page's field lists, highest last second. The entries follow."""


class _StoredCheckpoint(Struct, frozen=True):
    version: int
    since: datetime
    watermark: datetime
    final: datetime
    span_s: int
    swept_at: datetime
    selection: str = ""


class StateFormat(Struct, frozen=True):
    """The properties of a stream that determine how its state is stored and compared."""

    dedup_mode: DedupMode
    fields_version: int
    """The current version of the field lists in keys and fingerprints. A page keeps its first version."""
    max_clock_offset: timedelta
    """The largest offset of the vendor's own clock from UTC."""
    former: Former | None = None
    """Returns a record in the former version; None when no state of that version can exist."""


class State:
    """Checkpoint and ledger of one stream.

    The ledger equals the durable one. The checkpoint may be a few polls ahead of `durable`, the last committed one.
    """

    def __init__(self, prefix: str, state_format: StateFormat, checkpoint: Checkpoint | None = None) -> None:
        self.prefix = prefix
        self.format = state_format
        self.ledger = Ledger(state_format.dedup_mode, state_format.fields_version, state_format.former)
        self.checkpoint = checkpoint
        self.durable: Checkpoint | None = None

    @property
    def final_s(self) -> int:
        """A lower bound of `final` on the vendor's own clock, in seconds, whatever that clock's offset from UTC is."""
        if self.checkpoint is None:
            raise AssertionError("the first checkpoint is durable before anything is fetched")
        return unix_s(self.checkpoint.final - self.format.max_clock_offset)

    def apply(self, batch: Batch) -> None:
        """Apply a batch, after its commit is durable."""
        for number, chunk in chunks_by_page(batch.entries).items():
            if chunk.packed:
                self.ledger.add(number, chunk)
            else:
                self.ledger.forget(self.ledger.pages()[number])
        if batch.checkpoint is not None:
            self.checkpoint = self.durable = batch.checkpoint
            for page in self.ledger.expired(self.final_s):
                self.ledger.forget(page)

    def pairs(self, batch: Batch) -> Pairs:
        """The changes to the state topic that must be committed together with the batch's messages."""
        pairs: dict[bytes, bytes | None] = {}
        pages = self.ledger.pages()
        for number, chunk in chunks_by_page(batch.entries).items():
            is_overwritten = self.format.dedup_mode is DedupMode.LATEST and number >= 0
            nth = pages[number].chunks if number in pages and not is_overwritten else 0
            header = _CHUNK.pack(CHUNK_VERSION, chunk.version, chunk.last_s)
            pairs[self._chunk_key(number, nth)] = header + chunk.packed if chunk.packed else None
        if batch.checkpoint is not None:
            pairs[self.prefix.encode()] = _encode_checkpoint(batch.checkpoint)
            for page in self.ledger.expired(unix_s(batch.checkpoint.final - self.format.max_clock_offset)):
                pairs.update((self._chunk_key(page.number, chunk), None) for chunk in range(page.chunks))
        return pairs

    def _chunk_key(self, page: int, chunk: int) -> bytes:
        return f"{self.prefix}/{page}/{chunk}".encode()


def stream_prefix(account: Account, source: str, stream: str) -> str:
    """The common prefix of a stream's keys in the state topic."""
    return "/".join(quote(part, safe="") for part in (account.vendor, account.user, source, stream))


def by_stream(pairs: Mapping[bytes, bytes]) -> dict[str, dict[str, bytes]]:
    """The pairs of a partition by stream prefix, and then by the rest of the key, which is empty for the checkpoint."""
    streams: dict[str, dict[str, bytes]] = {}
    for key, value in pairs.items():
        parts = key.decode().split("/", _PREFIX_PARTS)
        if len(parts) >= _PREFIX_PARTS:
            streams.setdefault("/".join(parts[:_PREFIX_PARTS]), {})["".join(parts[_PREFIX_PARTS:])] = value
    return streams


class Summary(Struct, frozen=True):
    """A stream in the state topic, whether it is configured or not."""

    vendor: str
    user: str
    source: str
    stream: str
    checkpoint: Checkpoint
    entries: int
    """The number of ledger entries."""


def summary(prefix: str, pairs: Mapping[str, bytes]) -> Summary | None:
    """The summary of a stream's pairs; None without a checkpoint. Raises UnreadableState for an unknown version."""
    if "" not in pairs:
        return None
    vendor, user, source, stream = (unquote(part) for part in prefix.split("/"))
    entries = sum((len(value) - _CHUNK.size) // ENTRY.size for suffix, value in pairs.items() if suffix)
    return Summary(vendor, user, source, stream, _decode_checkpoint(prefix, pairs[""]), entries)


def rewound(checkpoint: Checkpoint, to: datetime) -> Checkpoint:
    """The checkpoint moved back to an instant. Nothing else moves `watermark` or `final` back."""
    return structs.replace(checkpoint, watermark=min(checkpoint.watermark, to), final=min(checkpoint.final, to))


def load(prefix: str, state_format: StateFormat, pairs: Mapping[str, bytes]) -> State:
    """Read the state of one stream from its pairs, as `by_stream` returns them. A new stream has no checkpoint.

    Raises UnreadableState for a version that is newer than the current one or older than the former one: the stream
    must not run.
    """
    state = State(prefix, state_format, _decode_checkpoint(prefix, pairs[""]) if "" in pairs else None)
    state.durable = state.checkpoint
    chunks: list[tuple[int, int, bytes]] = []
    for suffix, value in pairs.items():
        if suffix:
            page, _, chunk = suffix.partition("/")
            chunks.append((int(page), int(chunk), value))
    for number, nth, value in sorted(chunks):
        version, fields_version, last_s = _CHUNK.unpack_from(value)
        if version != CHUNK_VERSION:
            raise _unreadable(prefix, f"ledger version {version}")
        if number >= 0:  # rejects do not depend on the field lists
            _check_version(prefix, state_format, fields_version, state.ledger.pages().get(number))
        state.ledger.add(number, Chunk(value[_CHUNK.size :], last_s, fields_version), nth)
    return state


def _check_version(prefix: str, state_format: StateFormat, version: int, page: Page | None) -> None:
    """Raise UnreadableState for a chunk whose field lists are neither the current nor the former ones."""
    if version > state_format.fields_version or (page is not None and page.version != version):
        raise _unreadable(prefix, f"ledger version {CHUNK_VERSION}.{version}")
    if version < state_format.fields_version - (state_format.former is not None):
        raise UnreadableState(
            f"the state of {prefix} has ledger version {CHUNK_VERSION}.{version}, which is too old to be read",
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
        raise _unreadable(prefix, f"an unreadable checkpoint: {error}") from error
    if checkpoint.version != CHECKPOINT_VERSION:
        raise _unreadable(prefix, f"checkpoint version {checkpoint.version}")
    return Checkpoint(
        checkpoint.since,
        checkpoint.watermark,
        checkpoint.final,
        timedelta(seconds=checkpoint.span_s),
        checkpoint.swept_at,
        checkpoint.selection,
    )


def _unreadable(prefix: str, what: str) -> UnreadableState:
    return UnreadableState(
        f"the state of {prefix} has {what}, which this version cannot read",
        code="state_too_new",
        advice="run the version of the collector that wrote it, or a newer one",
    )
