"""One transaction: messages and state, all of it or nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import aiokafka
import structlog
from aiokafka.codec import lz4_encode
from aiokafka.errors import (
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
from aiokafka.structs import TopicPartition

from collector.crash import crash_point, is_armed
from collector.errors import Refused
from collector.model import Message

BATCH_BYTES = 256 << 10
"""Of a prebuilt batch: prebuilt batches are not split, so one must fit into the topic's max.message.bytes (1 MiB)."""

LZ4_LEVEL = 1
"""aiokafka says 9: a third of all the time that a backfill takes, for a fifth less on the wire."""
lz4_encode.__defaults__ = (LZ4_LEVEL,)  # there is no public way to say it; librdkafka's is the same

_partition_of = DefaultPartitioner()  # murmur2 as Java's clients have it, so topics co-partition with downstream ones
_Batches = dict[tuple[str, int], list[BatchBuilder]]


class Producer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
    """Two things that the promise needs and aiokafka has no public way for."""

    ends_sent = 0
    """How often the end of the transaction was asked for.

    When no answer comes, aiokafka asks again by itself, over another connection. The first request may still be on its
    way, and would end whichever transaction it finds open, half-way: it names the same producer and the same epoch.
    """

    async def start(self) -> None:
        await super().start()
        sender, add, end = self._sender, self._sender._do_add_partitions_to_txn, self._sender._do_txn_commit  # noqa: SLF001
        self._heard = asyncio.Event()

        async def heard(partitions: object) -> object:
            try:
                return await add(partitions)
            finally:
                self._heard.set()

        async def counted(result: object) -> object:
            self.ends_sent += 1
            return await end(result)

        sender._do_add_partitions_to_txn = heard  # noqa: SLF001
        sender._do_txn_commit = counted  # noqa: SLF001

    async def add_to_transaction(self, places: Iterable[tuple[str, int]]) -> None:
        """Tell the coordinator of every partition that the transaction will write to, before anything is sent to one.

        aiokafka does so by itself as batches come, but sends them also when the coordinator has refused: a batch that
        reaches a partition ahead of the previous transaction's marker is then committed by that one. Raises
        TopicAuthorizationFailedError, whose argument is the topics.
        """
        manager = self._txn_manager
        ended = manager.wait_for_transaction_end()
        for place in places:
            manager.maybe_add_partition_to_txn(TopicPartition(*place))
        while manager.partitions_to_add() and not ended.done():
            self._heard.clear()
            heard = asyncio.ensure_future(self._heard.wait())
            await asyncio.wait((heard, ended), return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()
        if ended.done():
            ended.result()


async def transact(
    producer: Producer,
    messages: Sequence[Message],
    *,
    prefix: str,
    state: Mapping[bytes, bytes | None],
    state_topic: str,
    state_partition: int,
) -> None:
    """Returned: committed. Raised: not known, and the producer is of no more use.

    Raises Refused for a topic that the collector may not write to. Must not be cancelled: aiokafka's commit would go on
    behind our back, and a cancelled send leaves the producer unusable.
    """
    batches = await _packed(producer, messages, prefix)
    place = batches[state_topic, state_partition]
    for key, value in state.items():
        if not place or place[-1].append(timestamp=None, key=key, value=value, headers=[]) is None:
            place.append(_batch_with(producer, key, value, []))
    await producer.begin_transaction()
    crash_point("after_begin")
    try:
        await producer.add_to_transaction(batches)
    except TopicAuthorizationFailedError as denied:
        raise _refused(min(denied.args[0]), denied) or denied from denied
    sent: list[tuple[str, asyncio.Future[object]]] = []
    try:
        for (topic, partition), batch in _in_turns(batches):
            sent.append((topic, await producer.send_batch(batch, topic, partition=partition)))
    finally:
        for _, future in sent:
            future.add_done_callback(_heard)
    # A commit succeeds although a send in it failed for good: so each send's own word is heard first.
    await asyncio.wait([future for _, future in sent])
    errors = [(topic, error) for topic, future in sent if (error := future.exception()) is not None]
    if errors:  # a topic that is refused spoils the others' sends too: the one that an operator can mend is told
        raise next(filter(None, (_refused(topic, error) for topic, error in errors)), errors[0][1])
    crash_point("after_sends")
    if is_armed("commit_sent"):  # when the request is on its way, and before the answer is there
        asyncio.get_running_loop().call_later(0.002, crash_point, "commit_sent")
    producer.ends_sent = 0
    await producer.commit_transaction()
    crash_point("after_commit")
    if producer.ends_sent > 1:
        raise ConnectionError("the end of the transaction was asked for twice: what is still on its way must be fenced")


def _heard(future: asyncio.Future[object]) -> None:
    """Look at a send's error, also when another one's ended the transaction: else the loop complains of it."""
    if not future.cancelled():
        future.exception()


async def _packed(producer: Producer, messages: Sequence[Message], prefix: str) -> _Batches:
    """The messages in batches, by partition; each key's in their order."""
    partitions = {name: await _partitions(producer, prefix + name) for name in {each.topic for each in messages}}
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


async def _partitions(producer: Producer, topic: str) -> list[int]:
    try:
        return sorted(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError as error:  # so it says too when nobody answered in time
        if not await producer.client.force_metadata_update() or topic in producer.client.cluster.topics():
            raise KafkaConnectionError(f"no broker told of the topic {topic} in time") from error
        raise _refused(topic, error) or error from error
    except KafkaError as error:
        raise _refused(topic, error) or error from error


def _refused(topic: str, error: BaseException) -> Refused | None:
    """What an operator can mend, if that is what it is."""
    if isinstance(error, TopicAuthorizationFailedError):
        advice = f"allow the collector's user to Describe and Write the topic {topic}"
        return Refused(f"no permission to write to {topic}", advice=advice, topic=topic)
    if isinstance(error, UnknownTopicOrPartitionError | InvalidTopicError):
        advice = f"create the topic {topic}, or restart the collector, which creates it (kafka.create_topics)"
        return Refused(f"the topic {topic} is missing", advice=advice, topic=topic)
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        advice = f"set max.message.bytes of {topic} to 1048588 or more"
        return Refused(f"the topic {topic} refuses batches of {BATCH_BYTES} bytes", advice=advice, topic=topic)
    structlog.get_logger().debug("send_failed", topic=topic, error=repr(error))
    return None
