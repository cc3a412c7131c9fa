"""Reads the state topic: up to an offset that is known to be its end, or up to the end that the brokers report."""

from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import ConsumerRecord, TopicPartition

from collector.crash import crash_point
from collector.kafka.reader import Progress, read_to, reported_ends
from collector.kafka.settings import KafkaSettings


async def restore(settings: KafkaSettings, partition: int, end: int, progress: Progress) -> dict[bytes, bytes]:
    """The newest value of each key in a partition of the state topic, as committed up to the offset `end`.

    `end` is the offset of a record that this process committed. Nothing else proves where the end is: a deposed leader
    still responds to ListOffsets and Fetch from its own stale log, which is shorter.

    Raises TimeoutError when reading makes no progress for MAX_STALL_S; KafkaMisconfigured, KafkaError or OSError.
    """
    pairs: dict[bytes, bytes] = {}

    def take(record: ConsumerRecord) -> bool:
        crash_point("mid_restore")
        return _apply(pairs, record)

    await read_to(settings, {TopicPartition(settings.state_topic, partition): end}, take, progress)
    return pairs


async def snapshot(settings: KafkaSettings, partitions: Iterable[int], progress: Progress) -> dict[bytes, bytes]:
    """The newest value of each key in the partitions, up to the ends that the brokers report: for display only.

    Raises as `restore` does.
    """
    pairs: dict[bytes, bytes] = {}
    ends = await reported_ends(settings, settings.state_topic, partitions)
    done, total = 0, sum(ends.values())

    def take(record: ConsumerRecord) -> bool:
        return _apply(pairs, record)

    def report(read: int, _: int) -> None:
        progress(done + read, total)

    for partition, end in ends.items():
        await read_to(settings, {TopicPartition(settings.state_topic, partition): end - 1}, take, report)
        done += end
    return pairs


async def search(
    settings: KafkaSettings, ends: Mapping[int, int], matches: Callable[[int, ConsumerRecord], bool]
) -> bool:
    """Whether a committed record of the state topic matches. Stops reading at the first one that does.

    `ends` has the last offset to read, by partition. `matches` receives the partition and the record. Raises as
    `restore` does.
    """
    is_found = False

    def take(record: ConsumerRecord) -> bool:
        nonlocal is_found
        is_found = matches(record.partition, record)
        return not is_found

    await read_to(settings, {TopicPartition(settings.state_topic, each): end for each, end in ends.items()}, take)
    return is_found


def _apply(pairs: dict[bytes, bytes], record: ConsumerRecord) -> bool:
    """Apply a record as log compaction does; return True, to continue reading."""
    key = record.key or b""  # a topic that was not compacted once may have records without a key
    if record.value is None:
        pairs.pop(key, None)
    else:
        pairs[key] = record.value
    return True
