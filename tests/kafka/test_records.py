"""Records and batches that the collector encodes itself are byte for byte those of aiokafka's own builder."""

from unittest.mock import patch

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from collector.cloudevents import Envelope, Message, record_of
from collector.kafka.producer import MAX_BATCH_BYTES
from collector.kafka.records import CODECS, RecordBatch

NOW_S = 1_793_000_000.25
TEXTS = st.text(max_size=90).map(str.encode) | st.integers(0, 9000).map(lambda size: b"x" * size)
ENVELOPES = st.builds(
    Envelope,
    st.just("things"),
    TEXTS.map(lambda text: ("ce_source", text)),
    TEXTS.map(lambda text: ("ce_type", text)),
    st.none() | st.binary(max_size=20),
    st.just(b"") | TEXTS.map(lambda text: b'"type":"%b",' % text),
)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, Message, dict[str, bytes]]:
    """A message as it is encoded, in plain words, and its attributes."""
    attributes = {name: draw(TEXTS) for name in ("key", "event_id", "data", "subject", "time")}
    attributes["data"] = b"{%b}" % attributes["data"]
    envelope = draw(ENVELOPES)
    return envelope.event(**attributes), envelope.plain_event(**attributes), attributes


def built_by_aiokafka(records: list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]], codec: int) -> bytes:
    builder = BatchBuilder(1 << 30, codec, is_transactional=1)
    for key, value, headers in records:
        builder.append(timestamp=int(NOW_S * 1000), key=key, value=value, headers=headers)
    return bytes(builder._build())


def built(records: list[bytes], codec: int) -> bytes:
    batch = RecordBatch(1 << 30, codec, int(NOW_S * 1000))
    assert all(map(batch.add, records))
    assert len(records) == batch.record_count()
    return bytes(batch._build())


@given(st.lists(messages(), min_size=1, max_size=8))
def test_messages_are_encoded_as_aiokafka_encodes_their_parts(
    found: list[tuple[Message, Message, dict[str, bytes]]],
) -> None:
    parts: list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]] = []
    for message, plain, attributes in found:
        assert plain == message
        assert message.value.startswith(b'{"event_id":"%b",' % attributes["event_id"])
        assert message.value.endswith(message.envelope.fields + attributes["data"][1:])
        headers = message.envelope.headers(attributes["event_id"], attributes["subject"], attributes["time"])
        parts.append((attributes["key"], message.value, headers))
    assert built_by_aiokafka(parts, CODECS[None]) == built([message.record for message, _, _ in found], CODECS[None])


@given(messages())
def test_the_parts_of_a_message_can_be_read(found: tuple[Message, Message, dict[str, bytes]]) -> None:
    message, _, attributes = found
    assert attributes["key"] == message.key
    read = message.id, message.subject, message.time
    assert (attributes["event_id"], attributes["subject"], attributes["time"]) == read
    assert message.envelope.headers(*read) == message.headers
    assert len(built([message.record], CODECS[None])) <= message.size + len(built([b""], CODECS[None]))


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), min_size=1, max_size=8))
def test_records_of_the_state_are_encoded_as_by_aiokafka(records: list[tuple[bytes, bytes | None]]) -> None:
    expected = built_by_aiokafka([(key, value, []) for key, value in records], CODECS[None])
    assert expected == built([record_of(key, value) for key, value in records], CODECS[None])


@pytest.mark.parametrize("name", [each for each in CODECS if each])
@pytest.mark.parametrize("records", [50, 5000])
def test_batches_are_compressed_as_by_aiokafka(name: str, records: int) -> None:
    """Also with offsets and lengths that have more bytes."""
    values = [b'{"number":%d}' % number * (1 + number % 400) for number in range(records)]
    parts: list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]] = [(b"7", value, []) for value in values]
    encoded = [record_of(b"7", value) for value in values]
    with patch("gzip.time.time", return_value=NOW_S):  # in the header of a gzip stream
        assert built_by_aiokafka(parts, CODECS[name]) == built(encoded, CODECS[name])


@pytest.mark.parametrize("name", [each for each in CODECS if each])
def test_a_batch_that_compression_does_not_make_smaller_is_sent_as_it_is(name: str) -> None:
    record = record_of(b"7", b"{}")
    assert built([record], CODECS[None]) == built([record], CODECS[name])


def test_a_full_batch_takes_no_record_but_an_empty_one_takes_any() -> None:
    record = record_of(b"7", b"x" * 1000)
    batch = RecordBatch(MAX_BATCH_BYTES, 0, 0)
    while batch.add(record):
        pass
    assert MAX_BATCH_BYTES - 1100 < batch.size() <= MAX_BATCH_BYTES
    assert RecordBatch(100, 0, 0).add(record)
