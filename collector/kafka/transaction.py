"""One transaction: messages and state, all of it or nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import anyio
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
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from msgspec import Struct

from collector.cloudevents import Message
from collector.crash import crash_point, is_armed
from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.header import StateLost, state_topic_missing
from collector.kafka.producer import MAX_BATCH_BYTES, Producer, translated
from collector.kafka.settings import KafkaSettings

_partition_of = DefaultPartitioner()  # murmur2 as Java's clients have it, so topics co-partition with downstream ones
_Batches = dict[tuple[str, int], list[BatchBuilder]]


async def transact(
    producer: Producer,
    settings: KafkaSettings,
    messages: Sequence[Message],
    state: Mapping[int, Mapping[bytes, bytes | None]],
    above: Mapping[int, int],
) -> Mapping[int, int]:
    """Commit messages and records of the state topic, by their partition, in one transaction.

    Returns the offset of the last state record of each partition. Each must land above the offset that `above` has for
    its partition: offsets only grow, so a smaller one means that the topic was re-created or truncated.

    1. Pack everything into batches, before anything has begun.
    2. Begin.
    3. Register every partition with the coordinator.
    4. Send the batches.
    5. Await every send: a commit succeeds although a send in it failed.
    6. Check that the state landed above.
    7. Commit. An end that was sent twice may end a later transaction, so it counts as failed.

    When it raises, nothing is known of what is committed, and the producer is of no more use. Raises Fenced, Refused
    for what an operator must change, StateLost, KafkaError, OSError or TimeoutError. Must not be cancelled: aiokafka's
    commit would go on behind our back, and a cancelled send leaves the producer unusable.
    """
    try:
        with anyio.fail_after(settings.commit_deadline_s):
            return await _transact(producer, settings, messages, state, above)
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
    above: Mapping[int, int],
) -> Mapping[int, int]:
    # 1.
    batches = await _packed(producer, settings, messages)
    await _check_state_topic(producer, settings)
    for partition, records in state.items():
        _pack_state(producer, batches[settings.state_topic, partition], records)
    # 2.
    await producer.begin_transaction()
    crash_point("after_begin")
    # 3.
    try:
        await producer.transactions.register(batches)
    except TopicAuthorizationFailedError as denied:
        raise _misconfiguration(settings, min(denied.args[0]), denied) or denied from denied
    # 4.
    sent: list[_Sent] = []
    try:
        for (topic, partition), batch in _in_turns(batches):
            future = await producer.send_batch(batch, topic, partition=partition)
            sent.append(_Sent(topic, partition, batch.record_count(), future))
    finally:
        for each in sent:
            each.future.add_done_callback(_retrieve)
    # 5.
    await asyncio.wait([each.future for each in sent])
    errors = [(each.topic, error) for each in sent if (error := each.future.exception()) is not None]
    if errors:
        raise _first_to_change(settings, errors)
    crash_point("after_sends")
    # 6.
    landed = _landed([each for each in sent if each.topic == settings.state_topic], above)
    # 7.
    if is_armed("commit_sent"):  # when the request is on its way, and before the answer is there
        asyncio.get_running_loop().call_later(0.002, crash_point, "commit_sent")
    producer.transactions.ends_sent = 0
    await producer.commit_transaction()
    crash_point("after_commit")
    if producer.transactions.ends_sent > 1:
        raise ConnectionError("the end of the transaction was sent twice: the one still on its way must be fenced")
    return landed


class _Sent(Struct, frozen=True):
    """A batch on its way."""

    topic: str
    partition: int
    records: int
    future: asyncio.Future[RecordMetadata]


def _landed(sent: Sequence[_Sent], above: Mapping[int, int]) -> Mapping[int, int]:
    """The offset of the last record in each partition. Raises StateLost when one is not above where it must be."""
    landed: dict[int, int] = {}
    for each in sent:
        first: int = each.future.result().offset
        if first < 0:  # the answer to a batch that was sent twice, and is too long ago for the broker to know
            raise ConnectionError(f"the broker does not report where the state in {each.topic} was appended")
        if first <= (floor := max(above.get(each.partition, -1), landed.get(each.partition, -1))):
            raise StateLost(each.topic, each.partition, known=floor, landed=first)
        landed[each.partition] = first + each.records - 1
    return landed


async def _check_state_topic(producer: Producer, settings: KafkaSettings) -> None:
    """Raise Refused when the state topic was deleted, or created again by a broker with settings of its own."""
    try:
        partitions = await _partitions(producer, settings, settings.state_topic)
    except KafkaMisconfigured as refused:
        raise state_topic_missing(settings.state_topic) if refused.is_missing else refused from refused
    if len(partitions) != settings.state_partitions:
        raise causes.state_partitions(settings, len(partitions))


def _pack_state(producer: Producer, place: list[BatchBuilder], records: Mapping[bytes, bytes | None]) -> None:
    for key, value in records.items():
        if not place or place[-1].append(timestamp=None, key=key, value=value, headers=[]) is None:
            place.append(_batch_with(producer, key, value, []))


def _retrieve(future: asyncio.Future[RecordMetadata]) -> None:
    """Retrieve a send's error, also when another one's ended the transaction: else the loop complains of it."""
    if not future.cancelled():
        future.exception()


async def _packed(producer: Producer, settings: KafkaSettings, messages: Sequence[Message]) -> _Batches:
    """The messages in batches, by partition; each key's in their order."""
    prefix = settings.topic_prefix
    partitions = {
        name: await _partitions(producer, settings, prefix + name) for name in {each.topic for each in messages}
    }
    batches: _Batches = defaultdict(list)
    places: dict[tuple[str, bytes], list[BatchBuilder]] = {}
    for message in messages:
        name, key, headers = message.topic, message.key, message.headers
        place = places.get((name, key))
        if place is None:
            place = batches[prefix + name, _partition_of(key, partitions[name], partitions[name])]
            places[name, key] = place
        if not place or place[-1].append(timestamp=None, key=key, value=message.value, headers=headers) is None:
            place.append(_batch_with(producer, key, message.value, headers))
    return batches


def _batch_with(producer: Producer, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]) -> BatchBuilder:
    """A new batch, whose first message this is: it takes any."""
    batch = producer.create_batch()
    batch.append(timestamp=None, key=key, value=value, headers=headers)
    return batch


def _in_turns(batches: _Batches) -> Iterator[tuple[tuple[str, int], BatchBuilder]]:
    """Each partition's batches in their order, the partitions side by side: a request carries one of each."""
    left = [(place, iter(of_place)) for place, of_place in batches.items()]
    while left:
        going_on = []
        for place, of_place in left:
            if (batch := next(of_place, None)) is not None:
                yield place, batch
                going_on.append((place, of_place))
        left = going_on


async def _partitions(producer: Producer, settings: KafkaSettings, topic: str) -> list[int]:
    try:
        return sorted(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError as error:  # so it says too when nobody answered in time
        if not await producer.client.force_metadata_update() or topic in producer.client.cluster.topics():
            raise KafkaConnectionError(f"no broker described the topic {topic} in time") from error
        raise _misconfiguration(settings, topic, error) or error from error
    except KafkaError as error:
        raise _misconfiguration(settings, topic, error) or error from error


def _first_to_change(settings: KafkaSettings, errors: Sequence[tuple[str, BaseException]]) -> BaseException:
    """Of the errors of one transaction's sends, by topic, one that an operator can act on, else the first.

    A topic that is refused spoils the others' sends too. A timestamp that even the state topic refuses is no matter of
    one topic: the clock is wrong.
    """
    for topic, error in errors:
        if isinstance(error, InvalidTimestampError) and topic == settings.state_topic:
            return causes.timestamps_refused(None)
    return next(filter(None, (_misconfiguration(settings, topic, error) for topic, error in errors)), errors[0][1])


def _misconfiguration(settings: KafkaSettings, topic: str, error: BaseException) -> KafkaMisconfigured | None:
    """The error of a topic as what an operator must change; None when it is not one of those."""
    match error:
        case InvalidTimestampError():
            return causes.timestamps_refused(topic)
        case TopicAuthorizationFailedError():
            return causes.topic_denied(settings, topic, "Write")
        case UnknownTopicOrPartitionError() | InvalidTopicError():
            return causes.topic_missing(topic)
        case MessageSizeTooLargeError() | RecordListTooLargeError():
            return causes.message_size(topic, f"a batch of {MAX_BATCH_BYTES} bytes was refused", of_one_topic=True)
        case _:
            return None
