"""The state of a stream, and how it is read from the state topic and written to it. See `state_records` for the format.

Chunks are only appended. They are deleted in the transaction that moves `final` past their page. In a LATEST stream,
each thing has a page with a single chunk, which is overwritten and never deleted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from msgspec import Struct, structs

from collector.errors import UnreadableState
from collector.instants import unix_s
from collector.model import Account, Backfill, Checkpoint, DedupMode, Pause
from collector.pipeline.batch import Batch
from collector.pipeline.ledger import Former, Ledger
from collector.pipeline.page import ENTRY, Chunk, Page, chunks_by_page, split_chunk
from collector.pipeline.state_records import (
    CHUNK_VERSION,
    chunk_key,
    decode_checkpoint,
    decode_chunks,
    encode_checkpoint,
    encode_chunk,
    split_key,
    too_new,
    verify_place,
)
from collector.steps import Steps, at_once

Pairs = Mapping[bytes, bytes | None]
"""Keys and values of the state topic. None deletes a key."""


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
        self.others: Sequence[State] = ()
        """The states of the other shards of the stream, which compare with this ledger."""
        self.inherited: Sequence[Ledger] = ()
        """The ledgers of former shards whose records are shown with those of this one. See `shards`."""

    @property
    def final_s(self) -> int:
        """A lower bound of `final` on the vendor's own clock, in seconds, whatever that clock's offset from UTC is."""
        if self.checkpoint is None:
            raise AssertionError("the first checkpoint is durable before anything is fetched")
        return unix_s(self.checkpoint.final - self.format.max_clock_offset)

    def _expired(self, checkpoint: Checkpoint) -> Sequence[Page]:
        """The pages that no shard will fetch again once this checkpoint is durable."""
        finals = [other.durable.final for other in self.others if other.durable is not None]
        return self.ledger.expired(unix_s(min([checkpoint.final, *finals]) - self.format.max_clock_offset))

    def apply(self, batch: Batch) -> None:
        """Apply a batch, after its commit is durable."""
        for number, chunk in chunks_by_page(batch.entries).items():
            if chunk.packed:
                for part in self._parts(number, chunk):
                    self.ledger.add(number, part)
            else:
                self.ledger.forget(self.ledger.pages()[number])
        if batch.checkpoint is not None:
            self.checkpoint = self.durable = batch.checkpoint
            for page in self._expired(batch.checkpoint):
                self.ledger.forget(page)

    def pairs(self, batch: Batch) -> Pairs:
        """The changes to the state topic that must be committed together with the batch's messages."""
        pairs: dict[bytes, bytes | None] = {}
        pages = self.ledger.pages()
        for number, chunk in chunks_by_page(batch.entries).items():
            first = pages[number].chunks if number in pages and not self._is_overwritten(number) else 0
            for nth, part in enumerate(self._parts(number, chunk), first):
                pairs[chunk_key(self.prefix, number, nth)] = encode_chunk(part) if part.packed else None
        if batch.checkpoint is not None:
            pairs[self.prefix.encode()] = encode_checkpoint(batch.checkpoint)
            for page in self._expired(batch.checkpoint):
                pairs.update((chunk_key(self.prefix, page.number, nth), None) for nth in range(page.chunks))
        return pairs

    def stored_keys(self) -> Sequence[bytes]:
        """The keys of everything that is stored in the state topic."""
        pages = self.ledger.pages().values()
        return [
            self.prefix.encode(),
            *(chunk_key(self.prefix, page.number, nth) for page in pages for nth in range(page.chunks)),
        ]

    def _is_overwritten(self, page: int) -> bool:
        return self.format.dedup_mode is DedupMode.LATEST and page >= 0

    def _parts(self, page: int, chunk: Chunk) -> Sequence[Chunk]:
        """The chunks to write. The chunk of a LATEST thing replaces the previous one, so it is not split."""
        return [chunk] if self._is_overwritten(page) else split_chunk(chunk)


def stream_prefix(account: Account, source: str, *stream: str) -> str:
    """The common prefix of a stream's keys in the state topic; that of its source without a stream."""
    return "/".join(quote(part, safe="") for part in (account.vendor, account.user, source, *stream))


def by_stream(pairs: Mapping[bytes, bytes]) -> dict[str, dict[str, bytes]]:
    """The pairs of a partition by stream prefix, and then by the rest of the key, which is empty for the checkpoint.

    Pairs whose keys name no stream are left out.
    """
    streams: dict[str, dict[str, bytes]] = {}
    for key, value in pairs.items():
        if (parts := split_key(key)) is not None:
            prefix, rest = parts
            streams.setdefault(prefix, {})[rest] = value
    return streams


class Summary(Struct, frozen=True):
    """A stream in the state topic, whether it is configured or not."""

    vendor: str
    user: str
    source: str
    stream: str | None
    """None for a source that is paused and has no streams in the state."""
    checkpoint: Checkpoint | None
    """None if the state cannot be read, or if there is none of a paused stream or of a requested backfill."""
    entries: int
    """The number of ledger entries that can be read."""
    owner: str | None = None
    """The host that owns it; None if no replica does, or it is not known."""
    problem: UnreadableState | None = None
    """Why the state cannot be read. Versions of field lists are not considered: they depend on the configuration."""
    paused: Pause | None = None
    backfill: Backfill | None = None
    """The request that it works for, if it is a backfill."""

    @property
    def account(self) -> Account:
        """The account of the stream."""
        return Account(self.vendor, self.user)


def summary(prefix: str, pairs: Mapping[str, bytes]) -> Summary | None:
    """The summary of a stream's pairs; None without a checkpoint, if all else can be read."""
    vendor, user, source, stream = (unquote(part) for part in prefix.split("/"))
    try:
        entries = sum(len(stored.chunk.packed) // ENTRY.size for stored in decode_chunks(prefix, pairs))
        checkpoint = decode_checkpoint(prefix, pairs[""]) if "" in pairs else None
    except UnreadableState as error:
        return Summary(vendor, user, source, stream, None, 0, problem=error)
    return None if checkpoint is None else Summary(vendor, user, source, stream, checkpoint, entries)


def rewound(checkpoint: Checkpoint, to: datetime) -> Checkpoint:
    """The checkpoint moved back to an instant. Nothing else moves `watermark` or `final` back."""
    return structs.replace(checkpoint, watermark=min(checkpoint.watermark, to), final=min(checkpoint.final, to))


def load(prefix: str, state_format: StateFormat, pairs: Mapping[str, bytes]) -> State:
    """As `load_in_steps`, at once."""
    return at_once(load_in_steps(prefix, state_format, pairs))


def load_in_steps(prefix: str, state_format: StateFormat, pairs: Mapping[str, bytes]) -> Steps[State]:
    """Read the state of one stream from its pairs, as `by_stream` returns them. A new stream has no checkpoint.

    Raises UnreadableState, and nothing else, for a record that cannot be read, and for a version that is newer than the
    current one or older than the former one: the stream must not run.
    """
    state = State(prefix, state_format, decode_checkpoint(prefix, pairs[""]) if "" in pairs else None)
    state.durable = state.checkpoint
    for stored in decode_chunks(prefix, pairs):
        if stored.page >= 0:  # rejects do not depend on the field lists
            page = state.ledger.pages().get(stored.page)
            _check_version(prefix, state_format, stored.chunk.version, page)
        verify_place(prefix, state_format.dedup_mode, stored)
        state.ledger.add(stored.page, stored.chunk, stored.nth)
        yield
    return state


def _check_version(prefix: str, state_format: StateFormat, version: int, page: Page | None) -> None:
    """Raise UnreadableState for a chunk whose field lists are neither the current nor the former ones."""
    if version > state_format.fields_version or (page is not None and page.version != version):
        raise too_new(prefix, f"ledger version {CHUNK_VERSION}.{version}")
    if version < state_format.fields_version - (state_format.former is not None):
        raise UnreadableState(
            f"the state of {prefix} has ledger version {CHUNK_VERSION}.{version}, which is too old to be read",
            code="state_too_old",
            advice="run the release before this one until the stream's final is a day after the start of that release",
        )
