"""Batches: stable ids, headers of the contract, each record in one transaction, sizes that Kafka accepts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from collector.model import Account, DedupMode, Event, EventType, Record, Reject, Window
from collector.pipeline import batch as batch_module
from collector.pipeline.batch import Context, TransactionSize, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import MAX_PAYLOAD_BYTES, SECRET_BYTES, DeadLetterV1, Origin, record_digest
from tests.rows import without_steps

ACCOUNT = Account("test", "632")
T = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(T, T.replace(hour=1))


class Data(Struct, frozen=True):
    text: str


TYPE = EventType("test.thing.v1", "test.things", Data)
CONTEXT = Context(
    DedupMode.VERSIONED,
    Origin(ACCOUNT, "mall", "things", lambda text: text.replace("hush", "[secret]")),
    WINDOW,
    T,
    T,
    is_live=True,
)


def row(number: int, size: int = 1) -> Record[int]:
    start_ms = int(T.timestamp()) * 1000 + number
    return Record(b"%d" % number, b"", start_ms, start_ms + 5, start_ms // 1000, size)


def explode(record: Record[int], digest: str, number: int) -> Iterator[Event]:
    del number
    for index in range(2):
        data = Data("x" * record.payload)
        yield Event(TYPE, f"{digest}/thing/{index}", "thing/1", "2026-11-01T00:00:00.000Z", "1", data)


def batches_of(
    rows: Sequence[Record[int] | Reject], transaction: TransactionSize | None = None
) -> list[batch_module.Batch]:
    deduplicator: Deduplicator[int] = Deduplicator(
        Ledger(DedupMode.VERSIONED), since_ms=0, until_ms=None, final_s=0, requested_s=0
    )
    deduplicator.add(rows)
    context = structs.replace(CONTEXT, transaction=transaction or TransactionSize())
    return without_steps(batches(deduplicator, explode, context))


def test_a_message_is_a_cloudevent_in_binary_mode() -> None:
    (batch,) = batches_of([row(1)])
    message = batch.messages[0]
    assert "test.things" == message.topic
    assert b"1" == message.key
    digest = record_digest(DedupMode.VERSIONED, row(1), 0, ACCOUNT)
    common = f'"event_id":"{digest}/thing/0","type":"test.thing.v1","vendor":"test","source":"mall"'
    assert f'{{{common},"text":"x"}}' == message.value.decode()
    assert [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{digest}/thing/0".encode()),
        ("ce_source", b"/test/mall"),
        ("ce_type", b"test.thing.v1"),
        ("ce_subject", b"thing/1"),
        ("ce_time", b"2026-11-01T00:00:00.000Z"),
        ("content-type", b"application/json"),
    ] == message.headers


def test_ids_never_change() -> None:
    """If these digests changed, an upgrade would publish records again under new ids."""
    record = Record(b"key", b"fingerprint", 0, 0, 0, None)
    assert "68f09db84eefd0a2057fea31e6cc04fa" == record_digest(DedupMode.MULTISET, record, 0, ACCOUNT)
    assert "77be9b7d91fdb3e797a940f1d17f7464" == record_digest(DedupMode.VERSIONED, record, 0, ACCOUNT)
    assert record_digest(DedupMode.MULTISET, record, 0, ACCOUNT) != record_digest(
        DedupMode.MULTISET, record, 1, ACCOUNT
    )


def test_all_messages_of_a_record_are_in_one_transaction() -> None:
    transaction = TransactionSize()
    transaction.limit = 1000
    found = batches_of([row(number, size=100) for number in range(20)], transaction)
    assert len(found) > 5
    for batch in found:
        records = Counter(message.id.decode().partition("/")[0] for message in batch.messages)
        assert {2} == set(records.values())
    assert 40 == sum(len(batch.messages) for batch in found)
    assert 20 == sum(len(batch.entries) for batch in found)


def test_transactions_become_smaller_when_commits_are_slow_and_larger_again_when_they_are_fast() -> None:
    transaction = TransactionSize()
    whole = transaction.limit
    for _ in range(100):
        transaction.timed_out()
    least = transaction.limit
    assert 0 < least < whole / 32

    rows = [row(number, size=10_000) for number in range(60)]
    sizes = [sum(each.size for each in batch.messages) for batch in batches_of(rows, transaction)]
    assert least / 2 < max(sizes) <= least
    assert 60 == sum(len(batch.entries) for batch in batches_of(rows, transaction))

    transaction.committed(batches_of(rows[:1])[0].messages, 0.1, 20.0)
    assert least == transaction.limit, "a small commit says nothing of a larger one"
    large = batches_of(rows)[0].messages
    transaction.committed(large, 4.0, 20.0)
    assert least == transaction.limit
    transaction.committed(large, 0.1, 20.0)
    assert 2 * least == transaction.limit
    transaction.committed(large, 11.0, 20.0)
    assert least == transaction.limit


def test_a_record_whose_message_is_too_large_is_one_dead_letter_and_the_others_are_published() -> None:
    (batch,) = batches_of([row(1), row(2, size=1_000_000), row(3)])
    assert 5 == len(batch.messages)
    letter = msgspec.json.decode(batch.messages[2].value, type=DeadLetterV1)
    assert "too_large" == letter.reason
    assert "900000" in letter.error
    assert {"too_large": 1} == batch.tally.dead_letters
    assert {"fresh": 2, "rejected": 1} == {name: count for name, count in batch.tally.records.items() if count}
    assert {"test.thing.v1": 4} == batch.tally.events
    assert 3 == len(batch.entries)


def test_a_record_with_too_many_messages_is_one_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MAX_RECORD_BYTES", 5000)
    (batch,) = batches_of([row(1, size=4000)])
    assert ["collector.dead_letters"] == [message.topic for message in batch.messages]


def test_a_dead_letter_has_the_error_and_the_truncated_payload_without_secrets() -> None:
    (batch,) = batches_of([Reject(b'{"key":"hush"' + b"x" * 100_000, "wrong in hush - at `$.b`", "5315")])
    (message,) = batch.messages
    letter = msgspec.json.decode(message.value, type=DeadLetterV1)
    assert b"5315" == message.key
    assert "wrong in [secret] - at `$.b`" == letter.error
    assert letter.payload.startswith('{"key":"[secret]"')
    assert len(letter.payload) <= MAX_PAYLOAD_BYTES + len("[secret]")
    assert ("mall", "things", "malformed") == (
        msgspec.json.decode(message.value)["source"],
        letter.stream,
        letter.reason,
    )
    assert ("2026-11-01T00:00:00.000Z", "2026-11-01T01:00:00.000Z") == (letter.window_start, letter.window_end)


@pytest.mark.parametrize("before", [0, MAX_PAYLOAD_BYTES - 2, MAX_PAYLOAD_BYTES + SECRET_BYTES - 2])
@pytest.mark.parametrize("secrets", [1, 200_000])
def test_no_part_of_a_secret_is_in_a_long_dead_letter(before: int, secrets: int) -> None:
    (batch,) = batches_of([Reject(b"x" * before + b"hush" * secrets + b"y" * 2_000_000, "malformed")])
    payload = msgspec.json.decode(batch.messages[0].value, type=DeadLetterV1).payload

    assert len(payload) <= MAX_PAYLOAD_BYTES
    assert set(payload.replace("[secret]", "")) - set("[secret]") <= set("xy")


def test_without_a_readable_key_a_dead_letter_is_keyed_by_its_stream() -> None:
    (batch,) = batches_of([Reject(b"?", "malformed")])
    assert b"mall/things" == batch.messages[0].key


@given(numbers=st.lists(st.integers(0, 50), unique=True), max_bytes=st.integers(300, 3000))
def test_every_record_is_in_exactly_one_batch(numbers: list[int], max_bytes: int) -> None:
    transaction = TransactionSize()
    transaction.limit = max_bytes
    found = batches_of([row(number) for number in numbers], transaction)
    ids = [dict(message.headers)["ce_id"] for batch in found for message in batch.messages]
    assert len(ids) == len(set(ids)) == 2 * len(numbers)


def test_a_dead_letter_is_small_whatever_the_row_contains() -> None:
    (batch,) = batches_of([Reject(b"x" * 2_000_000, "wrong: " + "y" * 2_000_000, "k" * 2_000_000)])
    (message,) = batch.messages
    assert message.size < 200_000
    assert b"mall/things" == message.key
