"""Reading what a partition of the state topic holds, up to its end."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Literal

import aiokafka
import anyio
from aiokafka.structs import TopicPartition

from collector.crash import crash_point
from collector.errors import Refused
from collector.kafka.connection import CLOSE_S, options, start
from collector.kafka.settings import KafkaSettings

_POLL_MS = 200


async def restore(
    settings: KafkaSettings, *partitions: int, heard: Callable[[int, int], None] | None = None
) -> dict[bytes, bytes]:
    """The newest value of each key in the partitions, as committed up to the moment of the call.

    `heard` is told again and again how many records of how many are read, or compacted away.

    The end is taken by a reader that sees uncommitted records, and then read up to by one that does not: its position
    passes what was aborted and the control records, of which the tail may consist, and stops before what is open.
    """
    places = [TopicPartition(settings.state_topic, partition) for partition in partitions]
    async with _reader(settings, "read_uncommitted", *places) as reader:
        ends = await reader.end_offsets(places)
        begins = ends if heard is None else await reader.beginning_offsets(places)
    done, total = 0, sum(ends[place] - begins[place] for place in places)
    pairs: dict[bytes, bytes] = {}
    async with _reader(settings, "read_committed", *places) as reader:
        await reader.seek_to_beginning(*places)
        for place in places:
            while (position := await reader.position(place)) < ends[place]:
                crash_point("mid_restore")
                if heard is not None:
                    heard(done + position - begins[place], total)
                for records in (await reader.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        if record.value is None:
                            pairs.pop(record.key, None)
                        else:
                            pairs[record.key] = record.value
            done += ends[place] - begins[place]
    return pairs


async def has_records(settings: KafkaSettings, topic: str) -> bool:
    """Whether anything was ever written to the topic, and not all of it is deleted."""
    async with _reader(settings, "read_uncommitted") as reader:
        await reader._client.set_topics([topic])  # noqa: SLF001 - the public way asks for every topic there is
        partitions = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()]
        begins, ends = await reader.beginning_offsets(partitions), await reader.end_offsets(partitions)
    return any(ends[place] > begins[place] for place in partitions)


async def refuse_orphans(settings: KafkaSettings, event_topics: Iterable[str]) -> None:
    """Raise Refused when the event topics have data, and no state says of which records.

    Then the state topic was deleted, or its prefix changed: everything would be published a second time.
    """
    if await has_records(settings, settings.state_topic):
        return
    for name in sorted(event_topics):
        if await has_records(settings, settings.topic_prefix + name):
            raise Refused(
                f"{settings.topic_prefix}{name} has data, and {settings.state_topic} is empty",
                advice="if what is there may be published again, accept it with: collector state init",
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
    )
    try:
        await start(reader, settings, settings.commit_deadline_s)
        if places:
            reader.assign(list(places))
        yield reader
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await reader.stop()
