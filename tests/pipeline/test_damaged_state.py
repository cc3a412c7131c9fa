"""A damaged record of the state topic refuses its own stream, by name, and nothing else."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import KafkaMisconfigured, UnreadableState
from collector.kafka.header import HEADER, verify_header
from collector.kafka.settings import KafkaSettings
from collector.model import Checkpoint, DedupMode
from collector.pipeline.ledger import FOREVER_S, PAGE_S
from collector.pipeline.page import ENTRY, Chunk
from collector.pipeline.state import State, StateFormat, by_stream, load, summary
from collector.pipeline.state_records import MAX_NUMBER, encode_checkpoint, encode_chunk, unnamed_keys

T = datetime(2026, 11, 1, tzinfo=UTC)
PREFIX = "seemetrix/864/mall/sessions"
NEIGHBOUR = "quividi/5/forum/viewers"
MULTISET, VERSIONED, LATEST = (StateFormat(mode, 1, timedelta(0)) for mode in DedupMode)
CHECKPOINT = encode_checkpoint(
    Checkpoint(T, T + timedelta(hours=2), T + timedelta(hours=1), timedelta(hours=6), T, "all devices")
)
START_S = int(T.timestamp())
PAGE = START_S // PAGE_S
CHUNK = encode_chunk(Chunk(ENTRY.pack(b"12345678", b"abcdefgh", 0) * 3, START_S + 30, 1))
THING = int.from_bytes(b"\x01device7")
THING_CHUNK = encode_chunk(Chunk(ENTRY.pack(b"\x01device7", b"abcdefgh", 4), FOREVER_S, 1))
VALID = {b"": CHECKPOINT, b"/%d/0" % PAGE: CHUNK, b"/%d/1" % PAGE: CHUNK, b"/-%d/0" % PAGE: CHUNK}
VALID_LATEST = {b"": CHECKPOINT, b"/%d/0" % THING: THING_CHUNK}


def topic(of_stream: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A partition with a header, these records of one stream, and a healthy neighbour."""
    records = {PREFIX.encode() + rest: value for rest, value in of_stream.items()}
    return {HEADER: b"{}", **records, **{NEIGHBOUR.encode() + rest: value for rest, value in VALID.items()}}


def restored(of_stream: dict[bytes, bytes], state_format: StateFormat = VERSIONED) -> State:
    streams = by_stream(topic(of_stream))
    assert len(load(NEIGHBOUR, VERSIONED, streams[NEIGHBOUR]).ledger) == 9, "the neighbour is not affected"
    return load(PREFIX, state_format, streams.get(PREFIX, {}))


def checkpoint_with(**fields: object) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(CHECKPOINT), **fields})


def chunk_with(*, last_s: int = START_S + 30, number: int = 0) -> bytes:
    return encode_chunk(Chunk(ENTRY.pack(b"12345678", b"abcdefgh", number), last_s, 1))


DAMAGED: dict[str, dict[bytes, bytes]] = {
    "a checkpoint that is no JSON": {b"": b"not json"},
    "an empty checkpoint": {b"": b""},
    "a checkpoint that is cut off": {b"": CHECKPOINT[:-9]},
    "a checkpoint twice": {b"": CHECKPOINT * 2},
    "bad UTF-8 in a checkpoint": {b"": CHECKPOINT.replace(b"all devices", b"all \xff")},
    "nesting without end": {b"": b'{"version":1,"more":' + b"[" * 100_000},
    "version 0": {b"": checkpoint_with(version=0)},
    "a time of the wrong type": {b"": checkpoint_with(since=[1])},
    "a span of the wrong type": {b"": checkpoint_with(span_s="long")},
    "a time without a zone": {b"": checkpoint_with(final="2026-11-01T01:00:00")},
    "an impossible time": {b"": checkpoint_with(watermark="2026-02-30T00:00:00Z")},
    "a time before the calendar": {b"": checkpoint_with(since="0001-01-01T00:00:00+14:00")},
    "a time at the end of the calendar": {b"": checkpoint_with(watermark="9999-12-31T23:59:59Z")},
    "a sweep at the end of the calendar": {b"": checkpoint_with(swept_at="9999-12-31T23:59:59Z")},
    "final after the watermark": {b"": checkpoint_with(final="2026-11-01T03:00:00Z")},
    "final before since": {b"": checkpoint_with(final="2026-10-01T03:00:00Z")},
    "no span": {b"": checkpoint_with(span_s=0)},
    "a negative span": {b"": checkpoint_with(span_s=-60)},
    "an enormous span": {b"": checkpoint_with(span_s=10**10)},
    "a span beyond timedelta": {b"": b'{"version":1,' + checkpoint_with(span_s=10**18)[13:-1] + b"0" * 12 + b"}"},
    "bad UTF-8 in a key": {**VALID, b"/%d/\xff" % PAGE: CHUNK},
    "a key with a slash at its end": {**VALID, b"/": CHECKPOINT},
    "a key without a chunk": {**VALID, b"/%d" % PAGE: CHUNK},
    "a key with too many parts": {**VALID, b"/%d/0/0" % PAGE: CHUNK},
    "a page that is no number": {**VALID, b"/first/0": CHUNK},
    "a page number in another spelling": {**VALID, b"/+%d/0" % PAGE: CHUNK},
    "a page number in other digits": {**VALID, "/\u0661/0".encode(): CHUNK},
    "a page number of 5000 digits": {**VALID, b"/%b/0" % (b"1" * 5000): CHUNK},
    "a page after the calendar": {**VALID, b"/%d/0" % (1 << 40): CHUNK},
    "a negative chunk number": {**VALID, b"/%d/-1" % PAGE: CHUNK},
    "an enormous chunk number": {**VALID, b"/%d/4000000000" % PAGE: CHUNK},
    "an empty chunk": {**VALID, b"/%d/2" % PAGE: b""},
    "a chunk without entries": {**VALID, b"/%d/2" % PAGE: CHUNK[:10]},
    "a short chunk": {**VALID, b"/%d/2" % PAGE: CHUNK[:-1]},
    "a chunk twice": {**VALID, b"/%d/2" % PAGE: CHUNK * 2},
    "chunk version 0": {**VALID, b"/%d/2" % PAGE: b"\0" + CHUNK[1:]},
    "a last second before its page": {**VALID, b"/%d/2" % PAGE: chunk_with(last_s=5)},
    "a last second after the calendar": {**VALID, b"/%d/2" % PAGE: chunk_with(last_s=1 << 60)},
    "an entry with a number that is too large": {**VALID, b"/%d/2" % PAGE: chunk_with(number=MAX_NUMBER + 1)},
    "an entry with the largest number": {**VALID, b"/%d/2" % PAGE: chunk_with(number=(1 << 32) - 1)},
}


@pytest.mark.parametrize("of_stream", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_refuses_its_stream(of_stream: dict[bytes, bytes]) -> None:
    with pytest.raises(UnreadableState) as refused:
        restored(of_stream)
    assert "state_damaged" == refused.value.code
    assert PREFIX in str(refused.value)
    assert "collector state show" in refused.value.advice


@pytest.mark.parametrize("of_stream", DAMAGED.values(), ids=DAMAGED)
def test_the_summary_of_a_damaged_stream_has_its_problem(of_stream: dict[bytes, bytes]) -> None:
    found = summary(PREFIX, by_stream(topic(of_stream))[PREFIX])
    assert found is not None
    assert ("mall", "sessions") == (found.source, found.stream)
    assert found.problem is not None or found.checkpoint is not None


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        (b"/%d/1" % THING, THING_CHUNK),
        (b"/%d/0" % (THING + 1), THING_CHUNK),
        (b"/%d/0" % THING, THING_CHUNK + ENTRY.pack(b"another8", bytes(8), 0)),
        (b"/%d/0" % THING, encode_chunk(Chunk(THING_CHUNK[10:], START_S, 1))),
        (b"/%d/0" % (1 << 64), THING_CHUNK),
    ],
    ids=["second chunk", "page of another thing", "entry of another thing", "it expires", "page beyond 64 bits"],
)
def test_a_thing_on_a_wrong_page_refuses_its_stream(rest: bytes, value: bytes) -> None:
    with pytest.raises(UnreadableState) as refused:
        restored({b"": CHECKPOINT, rest: value}, LATEST)
    assert "state_damaged" == refused.value.code


def test_valid_state_is_read() -> None:
    assert 9 == len(restored(VALID).ledger)
    assert 10 == len(restored({**VALID, b"/%d/2" % PAGE: chunk_with(number=MAX_NUMBER)}).ledger)
    assert 1 == len(restored(VALID_LATEST, LATEST).ledger)


@pytest.mark.parametrize(
    "key", [b"", b"a/b/c", b"\xff\xfe", b"seemetrix/\xff/mall/sessions", b"seemetrix//mall/x", b"///"]
)
def test_a_key_that_names_no_stream_refuses_nothing_and_is_reported(key: bytes) -> None:
    pairs = {**topic(VALID), key: b"anything"}
    assert {PREFIX, NEIGHBOUR} == by_stream(pairs).keys()
    assert 1 == len(unnamed_keys(pairs))
    assert [] == unnamed_keys(topic(VALID))


_bytes = st.binary(max_size=200)


@st.composite
def _broken(draw: st.DrawFn, valid: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Valid state with one key or value that is changed in one place."""
    rest = draw(st.sampled_from(sorted(valid)))
    key, value = rest, valid[rest]
    damage = draw(st.sampled_from([_change, _cut, _double, _renumber]))
    if draw(st.booleans()):
        key = damage(draw, rest)
    else:
        value = damage(draw, value)
    return {**{each: valid[each] for each in valid if each != rest}, key: value}


def _change(draw: st.DrawFn, data: bytes) -> bytes:
    place = draw(st.integers(0, max(0, len(data) - 1)))
    return data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :]


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _double(draw: st.DrawFn, data: bytes) -> bytes:
    start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    return data[:end] + data[start:]


def _renumber(draw: st.DrawFn, data: bytes) -> bytes:
    """Replace a run of digits by another number."""
    digits = [place for place in range(len(data)) if data[place : place + 1].isdigit()]
    if not digits:
        return data
    start = end = draw(st.sampled_from(digits))
    while data[end : end + 1].isdigit():
        end += 1
    number = draw(st.one_of(st.integers(), st.integers(0, 60), st.sampled_from([10**30, -(10**30), 1 << 63, 1 << 64])))
    return data[:start] + b"%d" % number + data[end:]


_any_key = st.one_of(_bytes, st.just(b""), st.integers().map(lambda number: b"/%d/0" % number))
_any_state = st.one_of(
    _broken(VALID),
    _broken(VALID_LATEST),
    st.dictionaries(_any_key, st.one_of(_bytes, _bytes.map(lambda rest: b"\1\1" + rest)), max_size=4),
)


@given(of_stream=_any_state, state_format=st.sampled_from([MULTISET, VERSIONED, LATEST]))
def test_any_state_is_read_or_refused(of_stream: dict[bytes, bytes], state_format: StateFormat) -> None:
    pairs = topic(of_stream)
    unnamed_keys(pairs)
    for prefix, of_one in by_stream(pairs).items():
        summary(prefix, of_one)
        with suppress(UnreadableState):
            state = load(prefix, state_format, of_one)
            if state.checkpoint is not None:
                assert state.checkpoint.watermark + state.checkpoint.span > state.checkpoint.final
                state.ledger.expired(state.final_s)


@given(header=st.one_of(_bytes, st.just(b'{"version":1,"group":"\xff"}'), st.just(b'{"a":' + b"[" * 100_000)))
def test_any_header_is_read_or_refused(header: bytes) -> None:
    with suppress(KafkaMisconfigured):
        verify_header(KafkaSettings(), 0, {HEADER: header})
