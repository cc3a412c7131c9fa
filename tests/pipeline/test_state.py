"""State in the state topic: it is read as it was written, and unknown versions are refused."""

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.errors import UnreadableState
from collector.model import Account, Checkpoint, DedupMode, Record
from collector.pipeline.batch import MAX_MESSAGE_BYTES, Batch
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.page import ENTRY, MAX_CHUNK_ENTRIES, NO_FINGERPRINT, Chunk, Entry
from collector.pipeline.state import Pairs, State, StateFormat, by_stream, load, load_in_steps, stream_prefix
from collector.pipeline.state_records import encode_chunk
from collector.steps import Running
from tests.rows import without_steps

T = datetime(2026, 11, 1, tzinfo=UTC)
SHAPE = StateFormat(DedupMode.VERSIONED, 1, timedelta(0))
PREFIX = stream_prefix(Account("seemetrix", "864"), "mall", "sessions")
CHECKPOINT = Checkpoint(T, T + timedelta(hours=2), T + timedelta(hours=1), timedelta(hours=6), T, "all devices")
START_S = int(T.timestamp())


def row(number: int, minute: int) -> Record[None]:
    start_s = START_S + 60 * minute
    return Record(b"%d" % number, b"content", start_s * 1000, (start_s + 30) * 1000, start_s, None)


def restored(topic: dict[bytes, bytes]) -> State:
    return load(PREFIX, SHAPE, by_stream(topic).get(PREFIX, {}))


def commit(state: State, topic: dict[bytes, bytes], batch: Batch) -> Pairs:
    """Write the batch to the topic, as a transaction does, and apply it to the state."""
    pairs = state.pairs(batch)
    for key, value in pairs.items():
        if value is None:
            del topic[key]  # KeyError if the tombstone's key does not exist
        else:
            topic[key] = value
    state.apply(batch)
    return pairs


def batch_of(state: State, rows: list[Record[None]]) -> Batch:
    deduplicator: Deduplicator[None] = Deduplicator(
        state.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=START_S
    )
    deduplicator.add(rows)
    return Batch(entries=[entry for new in without_steps(deduplicator.take_new()) for entry in new.entries])


def test_large_state_is_read_in_steps() -> None:
    state, topic = State(PREFIX, SHAPE, None), dict[bytes, bytes]()
    for page in range(50):
        commit(state, topic, batch_of(state, [row(page, page * 10)]))
    pairs = by_stream(topic)[PREFIX]
    running = Running(load_in_steps(PREFIX, SHAPE, pairs))
    assert 50 <= sum(1 for _ in running)
    assert state.ledger.pages().keys() == running.result.ledger.pages().keys()


def test_the_key_of_a_stream_is_a_path_of_quoted_names() -> None:
    assert PREFIX == "seemetrix/864/mall/sessions"
    assert "quividi/a%2Fb%40c/s/t" == stream_prefix(Account("quividi", "a/b@c"), "s", "t")


def test_checkpoint_and_ledger_are_restored() -> None:
    state, topic = State(PREFIX, SHAPE), {b"#header": b"{}"}
    commit(state, topic, Batch(checkpoint=CHECKPOINT))
    commit(state, topic, batch_of(state, [row(1, 90), row(2, 95)]))
    commit(state, topic, batch_of(state, [row(3, 91)]))
    assert {
        b"#header",
        PREFIX.encode(),
        f"{PREFIX}/{(START_S + 5400) // PAGE_S}/0".encode(),
        f"{PREFIX}/{(START_S + 5400) // PAGE_S}/1".encode(),
    } == set(topic)
    again = restored(topic)
    assert CHECKPOINT == again.checkpoint
    assert 3 == len(again.ledger)
    assert [] == batch_of(again, [row(1, 90), row(2, 95), row(3, 91)]).entries
    # The next chunk of a page continues the page's numbering.
    assert [f"{PREFIX}/{(START_S + 5400) // PAGE_S}/2".encode()] == list(again.pairs(batch_of(again, [row(4, 92)])))


def test_the_transaction_that_moves_final_past_a_page_deletes_it() -> None:
    state, topic = State(PREFIX, SHAPE), dict[bytes, bytes]()
    commit(state, topic, Batch(checkpoint=CHECKPOINT))
    commit(state, topic, batch_of(state, [row(1, 61), row(2, 100)]))
    commit(state, topic, Batch(checkpoint=structs.replace(CHECKPOINT, final=T + timedelta(minutes=80))))
    assert [PREFIX.encode(), f"{PREFIX}/{(START_S + 6000) // PAGE_S}/0".encode()] == sorted(topic)
    assert 1 == len(state.ledger)


def test_a_page_that_was_written_before_a_crash_is_deleted_after_it() -> None:
    state, topic = State(PREFIX, SHAPE), dict[bytes, bytes]()
    commit(state, topic, Batch(checkpoint=CHECKPOINT))
    commit(state, topic, batch_of(state, [row(1, 61)]))
    again = restored(topic)
    commit(again, topic, Batch(checkpoint=structs.replace(CHECKPOINT, final=T + timedelta(minutes=80))))
    assert [PREFIX.encode()] == list(topic)


def test_streams_of_one_partition_are_kept_apart() -> None:
    topic = dict[bytes, bytes]()
    for name in ("sessions", "sessions2"):
        state = State(f"seemetrix/864/mall/{name}", SHAPE)
        commit(state, topic, Batch(checkpoint=CHECKPOINT))
        commit(state, topic, batch_of(state, [row(1, 90)]))
    assert ["seemetrix/864/mall/sessions", "seemetrix/864/mall/sessions2"] == sorted(by_stream(topic))
    assert 1 == len(restored(topic).ledger)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (PREFIX, b'{"version":2,"since":1}'),
        (PREFIX + "/1/0", bytes([9, 1, *bytes(28)])),
        (PREFIX + "/1/0", bytes([1, 2, *bytes(28)])),
    ],
)
def test_state_of_an_unknown_version_is_refused(key: str, value: bytes) -> None:
    with pytest.raises(UnreadableState) as refused:
        restored({key.encode(): value})
    assert "state_too_new" == refused.value.code


_instants = st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
_ordered = st.tuples(_instants, _instants, _instants).map(sorted)


@given(
    times=_ordered,
    checkpoint=st.builds(
        Checkpoint,
        since=_instants,
        watermark=_instants,
        final=_instants,
        span=st.integers(60, 10**6).map(lambda s: timedelta(seconds=s)),
        swept_at=_instants,
        selection=st.text(max_size=20),
    ),
)
def test_any_checkpoint_round_trips(times: list[datetime], checkpoint: Checkpoint) -> None:
    since, final, watermark = times
    checkpoint = structs.replace(checkpoint, since=since, final=final, watermark=watermark)
    state = State(PREFIX, SHAPE)
    pairs = {key: value for key, value in state.pairs(Batch(checkpoint=checkpoint)).items() if value is not None}
    assert checkpoint == restored(pairs).checkpoint


def test_a_reject_that_was_stored_twice_is_known_until_its_last_page_expires_also_after_a_restart() -> None:
    state, topic = State(PREFIX, SHAPE), dict[bytes, bytes]()
    reject = b"a reject"
    commit(state, topic, Batch(checkpoint=CHECKPOINT))
    for requested_s in (START_S, START_S + 10 * PAGE_S):
        entry = Entry(-1 - requested_s // PAGE_S, requested_s, ENTRY.pack(reject, NO_FINGERPRINT, 0), 1)
        commit(state, topic, Batch(entries=[entry]))
    again = restored(topic)
    assert START_S + 10 * PAGE_S == again.ledger.last_stored_s(reject)
    [expired] = again.ledger.expired(START_S + 1)
    again.ledger.forget(expired)
    assert START_S + 10 * PAGE_S == again.ledger.last_stored_s(reject)


def test_many_versions_of_one_key_are_split_over_several_records(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CHUNK_ENTRIES * ENTRY.size < MAX_MESSAGE_BYTES / 2
    monkeypatch.setattr("collector.pipeline.page.MAX_CHUNK_ENTRIES", 100)
    state, topic = State(PREFIX, SHAPE), dict[bytes, bytes]()
    commit(state, topic, Batch(checkpoint=CHECKPOINT))
    versions = [structs.replace(row(1, 90), fingerprint=b"%d" % number) for number in range(250)]
    commit(state, topic, batch_of(state, versions))
    assert 4 == len(topic), "a checkpoint and three chunks"
    again = restored(topic)
    assert 250 == len(again.ledger) == len(state.ledger)
    assert [] == batch_of(again, versions).entries
    commit(again, topic, batch_of(again, [row(2, 91)]))
    assert 5 == len(topic)
    commit(again, topic, Batch(checkpoint=structs.replace(CHECKPOINT, final=CHECKPOINT.watermark)))
    assert [PREFIX.encode()] == list(topic)


def test_chunks_are_decoded_one_by_one() -> None:
    chunk = encode_chunk(Chunk(ENTRY.pack(bytes(8), bytes(8), 0) * 1000, START_S + 100 * PAGE_S, SHAPE.fields_version))
    pairs = {f"{START_S // PAGE_S + page}/{nth}": chunk for page in range(20) for nth in range(5)}
    tracemalloc.start()
    try:
        state = load(PREFIX, SHAPE, pairs)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 100_000 == len(state.ledger)
    assert peak < 1.2 * kept
