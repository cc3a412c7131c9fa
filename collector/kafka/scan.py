"""Reads committed messages of whole topics up to their present ends, from the beginning, a time, or an earlier end."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from time import monotonic

from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord, TopicPartition
from msgspec import Struct

from collector.kafka import causes
from collector.kafka.reader import MAX_STALL_S, Progress, open_reader, reported_ends
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe

Offsets = Mapping[tuple[str, int], int]
"""An offset of each partition, by topic and number."""


class StoredMessage(Struct, frozen=True):
    """A committed message, and where it is."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """When it was published, or appended, depending on the topic: Unix time in milliseconds."""
    key: bytes
    headers: Mapping[str, bytes]
    value: bytes


async def existing(settings: KafkaSettings, topics: Iterable[str]) -> list[str]:
    """Those of the topics that exist. Raises KafkaMisconfigured, KafkaError, OSError or TimeoutError, as all here."""
    names = sorted(set(topics))
    async with admin(settings) as client:
        found = await describe(client, settings, names)
    return [name for name in names if name in found]


async def committed_ends(settings: KafkaSettings, topics: Iterable[str]) -> Offsets:
    """The ends of what can be read now in all partitions of the topics.

    What follows an open transaction is not included, although it may be committed already. Raises KafkaMisconfigured
    for a topic that does not exist.
    """
    names = sorted(set(topics))
    if not names:
        return {}
    async with open_reader(settings) as reader:
        if not await reader.assign_topics(names):
            if missing := set(names).difference(await existing(settings, names)):
                raise causes.topic_missing(settings, min(missing))
            raise KafkaConnectionError(f"no broker described the topics {', '.join(names)}")
        return {(part.topic, part.partition): end for part, end in (await reader.committed_ends()).items()}


async def whole_ends(settings: KafkaSettings, topics: Iterable[str]) -> Offsets:
    """The ends of all partitions of the topics, which must exist.

    Open transactions are included: `scan` waits until they end, so that nothing is missed that is committed now.
    """
    return {
        (topic, partition): end
        for topic in sorted(set(topics))
        for partition, end in (await reported_ends(settings, topic)).items()
    }


async def scan(
    settings: KafkaSettings,
    ends: Offsets,
    *,
    after: Offsets | None = None,
    since_ms: Mapping[str, int] | None = None,
    keys: Collection[bytes] | None = None,
    progress: Progress = lambda *_: None,
) -> AsyncIterator[list[StoredMessage]]:
    """Yield the committed messages before these ends, those of a partition in their order.

    Starts at the offsets `after`; without one, at the time `since_ms` of the topic (Unix time in milliseconds); without
    that, at the beginning. Only messages with one of the `keys` are returned; by default all. Raises TimeoutError when
    the position has not moved for MAX_STALL_S.
    """
    open_ends = {TopicPartition(*name): end for name, end in ends.items() if end > (after or {}).get(name, 0)}
    if not open_ends:
        return
    async with open_reader(settings) as reader:
        starts = await reader.assign_from(
            {part: (after or {}).get((part.topic, part.partition)) for part in open_ends},
            {part: (since_ms or {}).get(part.topic) for part in open_ends},
        )
        total, reached = sum(max(0, end - starts[part]) for part, end in open_ends.items()), -1
        deadline = monotonic() + MAX_STALL_S
        while True:
            positions = {part: min(end, await reader.position(part)) for part, end in open_ends.items()}
            done = sum(max(0, position - starts[part]) for part, position in positions.items())
            if all(position >= open_ends[part] for part, position in positions.items()):
                return
            if done != reached:
                reached, deadline = done, monotonic() + MAX_STALL_S
                progress(done, max(1, total))
            elif monotonic() > deadline:
                names = ", ".join(sorted({part.topic for part in open_ends}))
                raise TimeoutError(f"reading {names} made no progress for {MAX_STALL_S:g} s")
            found = [
                _stored(record)
                for record in await reader.poll()
                if record.offset < ends[record.topic, record.partition] and (keys is None or record.key in keys)
            ]
            if found:
                yield found


def _stored(record: ConsumerRecord) -> StoredMessage:
    return StoredMessage(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key or b"",
        dict(record.headers),
        record.value or b"",
    )
