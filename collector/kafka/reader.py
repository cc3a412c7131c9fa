"""Reads committed records: to restore state, to search topics, and to check the events of the demo.

A reader returns no record of an aborted or an open transaction. Its position moves past aborted transactions and
control records, and stops before an open transaction.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import aiokafka
import anyio
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from aiokafka.structs import ConsumerRecord, TopicPartition
from msgspec import Struct

from collector.kafka import causes
from collector.kafka.connection import options, start_client, stop_client
from collector.kafka.hooks import Sessions, topic_partitions
from collector.kafka.settings import KafkaSettings

Progress = Callable[[int, int], None]
"""Receives the number of offsets passed so far, and the total. Records of some may have been compacted away."""

MAX_STALL_S = 30.0
"""How long `read_to` waits without progress. With progress, it may take any time."""
MAX_FETCH_BYTES = 256 << 10
"""Of one response for a partition: a broker with a byte quota delays a response in proportion to its size."""
_POLL_MS = 200
_RETRY_S = 0.5
_RENEWAL_LEFT_S = 0.5
"""A connection is renewed when less of its session is left: more than the time between two polls."""


class CommittedReader:
    """Reads the committed records of its partitions from the beginning, as a consumer without a group."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._sessions = Sessions(consumer)

    @property
    def is_assigned(self) -> bool:
        """Whether it has partitions to read."""
        return bool(self._consumer.assignment())

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read these partitions. Raises KafkaError, OSError or TimeoutError, as all methods do."""
        self._consumer.assign(list(partitions))
        await self._consumer.seek_to_beginning(*partitions)

    async def assign_from(
        self, offsets: Mapping[TopicPartition, int | None], since_ms: Mapping[TopicPartition, int | None]
    ) -> Mapping[TopicPartition, int]:
        """Read these partitions from an offset; without one, from a time (Unix milliseconds), else from the beginning.

        Returns where each starts.
        """
        self._consumer.assign(list(offsets))
        starts: dict[TopicPartition, int] = await self._consumer.beginning_offsets(list(offsets))
        times = {each: ms for each, ms in since_ms.items() if ms is not None and offsets[each] is None}
        if times:
            ends = await self._consumer.end_offsets(list(times))
            found = await self._consumer.offsets_for_times(times)
            starts |= {each: ends[each] if found[each] is None else found[each].offset for each in times}
        starts |= {each: max(starts[each], offset) for each, offset in offsets.items() if offset is not None}
        for each, offset in starts.items():
            self._consumer.seek(each, offset)
        return starts

    async def assign_topics(self, topics: Iterable[str]) -> bool:
        """Read all partitions of these topics. Returns False, and reads nothing, while one of them does not exist."""
        partitions = await topic_partitions(self._consumer, topics)
        if not all(partitions.values()):
            return False
        await self.assign(
            [TopicPartition(topic, number) for topic, numbers in partitions.items() for number in numbers]
        )
        return True

    async def poll(self) -> list[ConsumerRecord]:
        """The next records, those of a partition in their order; empty when none arrives for _POLL_MS."""
        await self._sessions.renew(
            _RENEWAL_LEFT_S
        )  # a connection that cannot be replaced is closed by the broker, and opened again
        by_partition = await self._consumer.getmany(timeout_ms=_POLL_MS)
        return [record for records in by_partition.values() for record in records]

    def close(self) -> None:
        """Close the connections that others have replaced."""
        self._sessions.close()

    async def beginnings(self) -> Mapping[TopicPartition, int]:
        """The offset of the first record that still exists, of each assigned partition."""
        offsets: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(
            list(self._consumer.assignment())
        )
        return offsets

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the record to be read next."""
        offset: int = await self._consumer.position(partition)
        return offset

    async def has_passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether everything before these offsets has been read."""
        for partition, end in ends.items():
            if await self.position(partition) < end:
                return False
        return True

    async def committed_ends(self) -> Mapping[TopicPartition, int]:
        """The offset after the last record that can be read now, of each assigned partition."""
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(self._consumer.assignment()))
        return ends


@asynccontextmanager
async def open_reader(settings: KafkaSettings) -> AsyncIterator[CommittedReader]:
    """A reader without partitions; closed at the end.

    Raises KafkaMisconfigured for a password or a certificate that cannot be read, and for a topic that this user may
    not read; KafkaError, OSError or TimeoutError.
    """
    async with _open_consumer(settings, "read_committed") as consumer:
        reader = CommittedReader(consumer)
        try:
            yield reader
        finally:
            reader.close()


async def read_to(
    settings: KafkaSettings,
    ends: Mapping[TopicPartition, int],
    take: Callable[[ConsumerRecord], bool],
    progress: Progress = lambda *_: None,
) -> None:
    """Pass each committed record of the partitions, up to these offsets, to `take`, until it returns False.

    `progress` is called whenever a position has moved. Raises TimeoutError when none has for MAX_STALL_S;
    KafkaMisconfigured, KafkaError or OSError as `open_reader` does.
    """
    ends = {partition: end for partition, end in ends.items() if end >= 0}
    if not ends:
        return
    with anyio.move_on_after(MAX_STALL_S) as stall:
        async with open_reader(settings) as reader:
            await reader.assign(list(ends))
            beginnings = await reader.beginnings()
            total = sum(max(1, end + 1 - beginnings[partition]) for partition, end in ends.items())
            reached: Mapping[TopicPartition, int] = {}
            while not await reader.has_passed({partition: end + 1 for partition, end in ends.items()}):
                # What lies after an end is no progress: one partition may grow while another has no leader.
                positions = {each: min(await reader.position(each), end + 1) for each, end in ends.items()}
                if positions != reached:
                    reached, stall.deadline = positions, anyio.current_time() + MAX_STALL_S
                    progress(sum(max(0, at - beginnings[each]) for each, at in positions.items()), total)
                for record in await reader.poll():
                    partition = TopicPartition(record.topic, record.partition)
                    if record.offset <= ends[partition] and not take(record):
                        return
    if stall.cancelled_caught:
        names = " and ".join(f"partition {each.partition} of {each.topic}" for each in sorted(ends))
        raise TimeoutError(f"reading {names} made no progress for {MAX_STALL_S:g} s")


async def reported_ends(settings: KafkaSettings, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
    """The offset after the last record of each partition, open transactions included; of all partitions by default.

    Zero means that nothing was ever appended, not even records that have expired. The partition's leader reports the
    end; a deposed leader reports an earlier one. Raises KafkaConnectionError when no broker describes the topic,
    which does not mean that it is empty; KafkaMisconfigured, KafkaError, OSError or TimeoutError.
    """
    with anyio.fail_after(settings.commit_deadline_s):
        async with _open_consumer(settings, "read_uncommitted") as consumer:
            described = await topic_partitions(consumer, [topic])
            numbers = described[topic] if partitions is None else partitions
            if not numbers:
                raise KafkaConnectionError(f"no broker described the topic {topic}")
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
    return {partition.partition: end for partition, end in sorted(ends.items())}


class ConsumedMessage(Struct, frozen=True):
    """A message as a consumer of events decodes it; `topic` is without the deployment's prefix."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: bytes


async def follow(settings: KafkaSettings, topics: Iterable[str]) -> AsyncIterator[list[ConsumedMessage]]:
    """The committed messages of the topics, as they arrive; an empty list when none does for _POLL_MS. Never ends.

    Waits until all topics exist. Raises KafkaError, OSError or TimeoutError when the brokers cannot be used at the
    start.
    """
    names = list(topics)
    async with open_reader(settings) as reader:
        while not await reader.assign_topics(names):  # noqa: ASYNC110 - brokers do not announce a new topic
            await anyio.sleep(_RETRY_S)
        while True:
            yield [
                ConsumedMessage(
                    record.topic,
                    (record.key or b"").decode(),
                    {name: value.decode(errors="replace") for name, value in record.headers},  # a schema id is binary
                    record.value or b"",
                )
                for record in await reader.poll()
            ]


@asynccontextmanager
async def _open_consumer(
    settings: KafkaSettings, isolation: Literal["read_committed", "read_uncommitted"]
) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    consumer = aiokafka.AIOKafkaConsumer(
        **options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        check_crcs=not settings.is_mock,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
    )
    try:
        await start_client(consumer, settings.commit_deadline_s)
        yield consumer
    except TopicAuthorizationFailedError as denied:  # its argument is the topic
        raise causes.topic_denied(settings, str(denied.args[0]), "Read") from denied
    finally:
        await stop_client(consumer)
