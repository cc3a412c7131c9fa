"""One transaction: messages and state are committed together, or not at all."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import anyio
import structlog
from aiokafka.errors import (
    InvalidTimestampError,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import RecordMetadata
from msgspec import Struct

from collector.cloudevents import Message, record_of
from collector.crash import crash_point, is_armed
from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.connection import reason_of
from collector.kafka.header import StateLost, state_topic_missing
from collector.kafka.producer import MAX_BATCH_BYTES, Producer, translated
from collector.kafka.records import RecordBatch
from collector.kafka.settings import KafkaSettings

_partition_of = DefaultPartitioner()  # murmur2 as in Java's clients, so that topics co-partition with downstream ones
_Batches = dict[tuple[str, int], list[RecordBatch]]
"""By topic and partition."""


async def transact(
    producer: Producer,
    settings: KafkaSettings,
    messages: Sequence[Message],
    state: Mapping[int, Mapping[bytes, bytes | None]],
    known_offsets: Mapping[int, int],
) -> Mapping[int, int]:
    """Commit messages, and records of the state topic by their partition, in one transaction.

    Returns the offset of the last state record of each partition. Each must be larger than the one in
    `known_offsets`: offsets only grow, so a smaller one means that the topic was re-created or truncated.

    1. Pack everything into batches, before the transaction begins.
    2. Begin the transaction.
    3. Register every partition with the coordinator.
    4. Send the batches.
    5. Await every send: a commit succeeds even when a send in it failed.
    6. Verify that the state was appended above the known offsets.
    7. Commit. An end that was sent twice may end a later transaction, so it counts as failed.

    When it raises, the transaction may or may not be durable, and the producer must not be used again. Raises
    KafkaMisconfigured for what an operator must change, and its subclass StateLost; Fenced, KafkaError, OSError or
    TimeoutError. Must not be cancelled: aiokafka's commit would continue in the background, and a cancelled send leaves
    the producer unusable.
    """
    try:
        with anyio.fail_after(settings.commit_deadline_s):
            return await _transact(producer, settings, messages, state, known_offsets)
    except Exception as error:
        producer.failure = translated(error, settings)
        if producer.failure is error:
            raise
        raise producer.failure from error


async def _transact(
    producer: Producer,
    settings: KafkaSettings,
    messages: Sequence[Message],
    state: Mapping[int, Mapping[bytes, bytes | None]],
    known_offsets: Mapping[int, int],
) -> Mapping[int, int]:
    # 1. Pack.
    batches = await _packed(producer, settings, messages)
    await _verify_state_topic(producer, settings)
    for partition, records in state.items():
        _pack_state(producer, batches[settings.state_topic, partition], records)
    # 2. Begin.
    await producer.begin_transaction()
    crash_point("after_begin")
    # 3. Register.
    try:
        await producer.transactions.register(batches)
    except TopicAuthorizationFailedError as denied:
        raise _misconfiguration(settings, min(denied.args[0]), denied) or denied from denied
    # 4. Send, and 5. await.
    sent = await _send(producer, settings, batches)
    crash_point("after_sends")
    # 6. Verify.
    last_offsets = _last_offsets([each for each in sent if each.topic == settings.state_topic], known_offsets)
    # 7. Commit.
    if is_armed("commit_sent"):  # while the request is in flight, before the response arrives
        asyncio.get_running_loop().call_later(0.002, crash_point, "commit_sent")
    producer.transactions.ends_sent = 0
    await producer.commit_transaction()
    crash_point("after_commit")
    if producer.transactions.ends_sent > 1:
        raise ConnectionError("the end of the transaction was sent twice: the one still in flight must be fenced")
    return last_offsets


class _Sent(Struct, frozen=True):
    """A batch that was sent; `future` ends with the broker's response."""

    topic: str
    partition: int
    records: int
    future: asyncio.Future[RecordMetadata]


async def _send(producer: Producer, settings: KafkaSettings, batches: _Batches) -> Sequence[_Sent]:
    """Send the batches, and await all of them. Raises an error that an operator can act on, else the first one."""
    sent: list[_Sent] = []
    try:
        for (topic, partition), batch in _interleaved(batches):
            future = await producer.send_batch(batch, topic, partition=partition)
            sent.append(_Sent(topic, partition, batch.record_count(), future))
    finally:
        for each in sent:
            each.future.add_done_callback(_retrieve_error)
    await asyncio.wait([each.future for each in sent])
    errors = [(each.topic, error) for each in sent if (error := _error_of(each.future)) is not None]
    for topic, error in dict(errors).items():
        structlog.get_logger().debug("send_failed", topic=topic, error=reason_of(error))
    if errors:
        raise _most_actionable(settings, errors)
    return sent


def _last_offsets(sent: Sequence[_Sent], known_offsets: Mapping[int, int]) -> Mapping[int, int]:
    """The offset of the last state record of each partition. Raises StateLost if it is not above the known offset."""
    last: dict[int, int] = {}
    for each in sent:
        first: int = each.future.result().offset
        if first < 0:  # the response to a batch that was sent twice, after the broker has forgotten its offset
            raise ConnectionError(f"the broker does not report where the state in {each.topic} was appended")
        if first <= (known := max(known_offsets.get(each.partition, -1), last.get(each.partition, -1))):
            raise StateLost(each.topic, each.partition, known_offset=known, new_offset=first)
        last[each.partition] = first + each.records - 1
    return last


async def _verify_state_topic(producer: Producer, settings: KafkaSettings) -> None:
    """Raise KafkaMisconfigured when the state topic was deleted, or re-created with other partitions."""
    try:
        partitions = await _partitions(producer, settings, settings.state_topic)
    except KafkaMisconfigured as error:
        raise state_topic_missing(settings.state_topic) if error.is_missing else error from error
    if len(partitions) != settings.state_partitions:
        raise causes.state_partitions(settings, len(partitions))


def _pack_state(producer: Producer, batches: list[RecordBatch], records: Mapping[bytes, bytes | None]) -> None:
    """Append the state records of one partition to its batches."""
    for key, value in records.items():
        record = record_of(key, value)
        if not batches or not batches[-1].add(record):
            batches.append(_batch_with(producer, record))


def _error_of(future: asyncio.Future[RecordMetadata]) -> BaseException | None:
    """The error of a send that has ended. One that the client gave up must not seem to be the caller's cancellation."""
    return ConnectionError("the client gave a send up") if future.cancelled() else future.exception()


def _retrieve_error(future: asyncio.Future[RecordMetadata]) -> None:
    """Retrieve a send's error even if another one has ended the transaction: otherwise the event loop logs it."""
    if not future.cancelled():
        future.exception()


async def _packed(producer: Producer, settings: KafkaSettings, messages: Sequence[Message]) -> _Batches:
    """The messages in batches, by topic and partition; those of one key in their order."""
    partitions = {name: await _partitions(producer, settings, name) for name in {each.topic for each in messages}}
    batches: _Batches = defaultdict(list)
    by_key: dict[str, dict[bytes, list[RecordBatch]]] = {name: {} for name in partitions}  # spares hashing each key
    for message in messages:
        name, key, record = message.envelope.topic, message.key, message.record
        target = by_key[name].get(key)
        if target is None:
            target = batches[name, _partition_of(key, partitions[name], partitions[name])]
            by_key[name][key] = target
        if not target or not target[-1].add(record):
            target.append(_batch_with(producer, record))
    return batches


def _batch_with(producer: Producer, record: bytes) -> RecordBatch:
    """A new batch with this record in it: the first one may have any size."""
    batch = producer.create_batch()
    batch.add(record)
    return batch


def _interleaved(batches: _Batches) -> Iterator[tuple[tuple[str, int], RecordBatch]]:
    """One batch of each partition in turn: a request to a broker carries one batch of each of its partitions."""
    remaining = [(partition, iter(of_partition)) for partition, of_partition in batches.items()]
    while remaining:
        unfinished = []
        for partition, of_partition in remaining:
            if (batch := next(of_partition, None)) is not None:
                yield partition, batch
                unfinished.append((partition, of_partition))
        remaining = unfinished


async def _partitions(producer: Producer, settings: KafkaSettings, topic: str) -> list[int]:
    """The partitions of a topic. Raises KafkaMisconfigured when it is missing or denied, else KafkaError."""
    try:
        return sorted(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError as error:  # which aiokafka also raises when no broker responds in time
        if not await producer.client.force_metadata_update() or topic in producer.client.cluster.topics():
            raise KafkaConnectionError(f"no broker described the topic {topic} in time") from error
        raise _misconfiguration(settings, topic, error) or error from error
    except KafkaError as error:
        raise _misconfiguration(settings, topic, error) or error from error


def _most_actionable(settings: KafkaSettings, errors: Sequence[tuple[str, BaseException]]) -> BaseException:
    """The first error that an operator can act on, else the first one. `errors` has the errors of sends by topic.

    When a send to one topic is refused, the sends to other topics fail too. When even the state topic refuses a
    timestamp, the cause is the clock and not a topic.
    """
    for topic, error in errors:
        if isinstance(error, InvalidTimestampError) and topic == settings.state_topic:
            return causes.timestamps_refused(None)
    return next(filter(None, (_misconfiguration(settings, topic, error) for topic, error in errors)), errors[0][1])


def _misconfiguration(settings: KafkaSettings, topic: str, error: BaseException) -> KafkaMisconfigured | None:
    """What an operator must change, from the error of a topic; None when a retry may succeed."""
    match error:
        case InvalidTimestampError():
            return causes.timestamps_refused(topic)
        case TopicAuthorizationFailedError():
            return causes.topic_denied(settings, topic, "Write")
        case UnknownTopicOrPartitionError() | InvalidTopicError():
            return causes.topic_missing(settings, topic)
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            return causes.message_size(topic, f"a batch of {MAX_BATCH_BYTES} bytes was refused", of_one_topic=True)
        case _:
            return None
