"""Who writes the headers of the state topic: the first deployment that finds all topics empty, or an operator."""

from collections.abc import Iterable, Mapping, Sequence

import anyio
from aiokafka.structs import ConsumerRecord
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.header import BARRIER, HEADER, TRUNCATED, HeaderMissing, new_header
from collector.kafka.producer import Producer, open_producer
from collector.kafka.reader import reported_ends
from collector.kafka.restore import search
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import existing_topics
from collector.kafka.transaction import transact

_CLAIM = b"#claim"
"""The key of this module's own barriers."""


async def claim(settings: KafkaSettings, event_topics: Iterable[str], partition: int) -> bool:
    """Write the headers of all partitions in one transaction, if the state topic and the event topics are empty.

    Returns whether the partition has its header, by this call or by another process; if not, its state is lost. Raises
    Fenced when another process writes headers at the same time; KafkaMisconfigured, KafkaError, OSError or
    TimeoutError.
    """
    # Everything is checked twice. The first check writes nothing: it is repeated as long as a header is missing.
    if await search(settings, await _reported_last_offsets(settings), _is_state):
        last = await _reported_last_offsets(settings)  # another process may have claimed the topic since
        return await search(settings, {partition: last[partition]}, _is_header)
    if await _were_published(settings, event_topics):
        return False
    async with open_producer(settings, _transactional_id(settings)) as producer:
        last = await _write(producer, settings, _barriers(settings))
        if await search(settings, last, _is_state):
            return await search(settings, {partition: last[partition]}, _is_header)
        if await _were_published(settings, event_topics):
            return False
        await _write_headers(producer, settings, range(settings.state_partitions))
    return True


async def verify_claimed(settings: KafkaSettings, event_topics: Iterable[str]) -> None:
    """Verify that every state partition has its header, or that nothing was ever published, as the brokers report it.

    Reads each partition no further than to its header. Raises HeaderMissing; KafkaMisconfigured, KafkaError, OSError or
    TimeoutError.
    """
    last = await _reported_last_offsets(settings)
    for partition, offset in last.items():
        if await search(settings, {partition: offset}, _is_header):
            continue
        if await search(settings, last, _is_state) or await _were_published(settings, event_topics):
            raise HeaderMissing(settings.state_topic, partition)
        return


class Accepted(Struct, frozen=True):
    """The state partitions whose loss an operator accepted."""

    empty: Sequence[int]
    """They had no header. Their streams start again as new streams."""
    truncated: Sequence[int]
    """They had lost their newest records. Their streams continue from the records that still exist."""


async def accept(settings: KafkaSettings) -> Accepted:
    """Write the headers that are missing and remove the marks of truncation, in one transaction.

    An operator calls this, and thereby accepts that state is lost. Returns the partitions that had lost state. Raises
    as `claim` does.
    """
    async with open_producer(settings, _transactional_id(settings)) as producer:
        last = await _write(producer, settings, _barriers(settings))
        empty, truncated = set(range(settings.state_partitions)), set[int]()

        def collect(partition: int, record: ConsumerRecord) -> bool:
            if record.key == HEADER:
                empty.discard(partition)
            elif record.key == TRUNCATED:
                (truncated.discard if record.value is None else truncated.add)(partition)
            return False

        await search(settings, last, collect)
        if lost := empty | truncated:
            await _write_headers(producer, settings, sorted(lost))
    return Accepted(sorted(empty), sorted(truncated - empty))


def _transactional_id(settings: KafkaSettings) -> str:
    """The id for writing headers: of two processes that write them at the same time, one fences the other."""
    return f"{settings.transactional_id_prefix}claim"


def _barriers(settings: KafkaSettings) -> Mapping[int, Mapping[bytes, bytes]]:
    return {partition: {_CLAIM: b""} for partition in range(settings.state_partitions)}


async def _were_published(settings: KafkaSettings, event_topics: Iterable[str]) -> bool:
    """Whether anything was ever appended to an event topic, even if it has expired since.

    A missing topic is as empty: nobody can read twice what was in it. One that this user may not describe is not known
    to be empty.
    """
    try:
        existing = await existing_topics(settings, event_topics)
    except KafkaMisconfigured as error:
        raise causes.emptiness_unknown(error) if error.topic is not None else error from error
    for name in existing:
        if any((await reported_ends(settings, name)).values()):
            return True
    return False


async def _write_headers(producer: Producer, settings: KafkaSettings, partitions: Iterable[int]) -> None:
    records = {HEADER: new_header(settings), TRUNCATED: None}
    await _write(producer, settings, dict.fromkeys(partitions, records))


async def _write(
    producer: Producer, settings: KafkaSettings, records: Mapping[int, Mapping[bytes, bytes | None]]
) -> Mapping[int, int]:
    """Commit records of the state topic by partition; return the offset of the last one in each. Not cancellable."""
    # All partitions may have been read since the last transaction. If a connection cannot be renewed, this one fails.
    await producer.sessions.renew(settings.commit_deadline_s)
    last: Mapping[int, int] = {}
    with anyio.CancelScope(shield=True):
        last = await transact(producer, settings, (), records, {})
    return last  # noqa: RET504 - for mypy, a scope may suppress an exception


async def _reported_last_offsets(settings: KafkaSettings) -> Mapping[int, int]:
    """The last offset of each state partition, as the brokers report it; -1 for an empty one."""
    ends = await reported_ends(settings, settings.state_topic)
    return {number: end - 1 for number, end in ends.items()}


def _is_header(_partition: int, record: ConsumerRecord) -> bool:
    return bool(record.key == HEADER)


def _is_state(_partition: int, record: ConsumerRecord) -> bool:
    return record.key not in (BARRIER, _CLAIM)
