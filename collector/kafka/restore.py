"""Reading what a partition of the state topic holds, up to an offset that is known to be its end."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

import aiokafka
import anyio
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord, TopicPartition

from collector.crash import crash_point
from collector.kafka.connection import options, start, stop
from collector.kafka.hooks import topic_partitions
from collector.kafka.settings import KafkaSettings

Progress = Callable[[int, int], None]
"""Takes how many records are read, or compacted away, and of how many."""

MAX_STALL_S = 30.0
"""How long a reader may make no progress. As long as there is some, a restore may take any time."""
MAX_FETCH_BYTES = 256 << 10
"""Of one answer: a broker with a quota on its clients' bytes is silent after each, in proportion to its size."""
_POLL_MS = 200


async def restore(settings: KafkaSettings, partition: int, end: int, progress: Progress) -> dict[bytes, bytes]:
    """The newest value of each key in a partition of the state topic, as committed up to the offset `end`.

    `end` is the offset of a record that this process committed. Only that proves where the end is: a deposed leader
    still answers ListOffsets and Fetch from its own stale log, which is shorter.

    Raises TimeoutError when the reader makes no progress for MAX_STALL_S; KafkaError or OSError.
    """
    pairs: dict[bytes, bytes] = {}

    def apply(record: ConsumerRecord) -> bool:
        crash_point("mid_restore")
        _apply(pairs, record)
        return True

    await _read(settings, TopicPartition(settings.state_topic, partition), end, apply, progress)
    return pairs


async def snapshot(settings: KafkaSettings, partitions: Iterable[int], progress: Progress) -> dict[bytes, bytes]:
    """The newest value of each key in the partitions, up to the ends that the brokers report: for looking only.

    Raises TimeoutError when the reader makes no progress for MAX_STALL_S; KafkaError or OSError.
    """
    pairs: dict[bytes, bytes] = {}
    ends = await reported_ends(settings, settings.state_topic, partitions)
    done, total = 0, sum(ends.values())

    def apply(record: ConsumerRecord) -> bool:
        _apply(pairs, record)
        return True

    def progressed(read: int, _: int) -> None:
        progress(done + read, total)

    for partition, end in ends.items():
        await _read(settings, TopicPartition(settings.state_topic, partition), end - 1, apply, progressed)
        done += end
    return pairs


async def search(
    settings: KafkaSettings, ends: Mapping[int, int], found: Callable[[int, ConsumerRecord], bool]
) -> bool:
    """Whether a committed record of the state topic is what is looked for; reads no further than to the first.

    `ends` are, by partition, the offsets up to which to read. Raises as `restore` does.
    """
    is_found = False

    def look(partition: int, record: ConsumerRecord) -> bool:
        nonlocal is_found
        is_found = is_found or found(partition, record)
        return not is_found

    for partition, end in ends.items():
        place = TopicPartition(settings.state_topic, partition)
        await _read(settings, place, end, partial(look, partition), lambda *_: None)
        if is_found:
            break
    return is_found


async def reported_ends(settings: KafkaSettings, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
    """The offset after the last record of each partition, as the brokers report it; of all partitions by default.

    Zero means that nothing was ever appended, also if all of it has expired since. Raises KafkaConnectionError when no
    broker describes the topic: that it is unknown does not mean that it is empty. Raises KafkaError, OSError or
    TimeoutError.
    """
    with anyio.fail_after(settings.commit_deadline_s):
        async with _reader(settings, "read_uncommitted") as reader:
            described = await topic_partitions(reader, [topic])
            known = described[topic] if partitions is None else partitions
            if not known:
                raise KafkaConnectionError(f"no broker described the topic {topic}")
            ends = await reader.end_offsets([TopicPartition(topic, partition) for partition in known])
    return {place.partition: end for place, end in sorted(ends.items())}


def _apply(pairs: dict[bytes, bytes], record: ConsumerRecord) -> None:
    if record.value is None:
        pairs.pop(record.key, None)
    else:
        pairs[record.key] = record.value


async def _read(
    settings: KafkaSettings,
    place: TopicPartition,
    end: int,
    take: Callable[[ConsumerRecord], bool],
    progress: Progress,
) -> None:
    """Read the committed records of a partition until the position has passed the offset `end`, or `take` has enough.

    The position passes what was aborted and the control records, and stops before what is open.
    """
    if end < 0:
        return
    with anyio.move_on_after(MAX_STALL_S) as stall:
        async with _reader(settings, "read_committed", place) as reader:
            begin = (await reader.beginning_offsets([place]))[place]
            await reader.seek_to_beginning(place)
            reached = -1
            while (position := await reader.position(place)) <= end:
                if position != reached:
                    reached, stall.deadline = position, anyio.current_time() + MAX_STALL_S
                    progress(max(0, position - begin), max(1, end + 1 - begin))
                for record in (await reader.getmany(place, timeout_ms=_POLL_MS)).get(place, ()):
                    if record.offset > end or not take(record):
                        return
    if stall.cancelled_caught:
        raise TimeoutError(
            f"reading partition {place.partition} of {place.topic} made no progress for {MAX_STALL_S:g} s"
        )


@asynccontextmanager
async def _reader(
    settings: KafkaSettings, isolation: Literal["read_committed", "read_uncommitted"], *places: TopicPartition
) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    reader = aiokafka.AIOKafkaConsumer(
        **options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        check_crcs=settings.is_complete,
        max_partition_fetch_bytes=MAX_FETCH_BYTES,
    )
    try:
        await start(reader, settings.commit_deadline_s)
        if places:
            reader.assign(list(places))
        yield reader
    finally:
        await stop(reader)
