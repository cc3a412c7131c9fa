"""Reading topics as a consumer does: committed messages alone, from the first on."""

from collections.abc import AsyncIterator, Mapping, Sequence

import aiokafka
import anyio
from aiokafka.structs import TopicPartition
from msgspec import Struct

from collector.kafka.connection import options, start, stop
from collector.kafka.hooks import topic_partitions
from collector.kafka.settings import KafkaSettings

_POLL_MS = 200
_LOOK_AGAIN_S = 0.5


class Followed(Struct, frozen=True):
    """A message; `topic` is without the deployment's prefix."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: bytes


async def follow(settings: KafkaSettings, topics: Sequence[str]) -> AsyncIterator[list[Followed]]:
    """What is committed, in pieces as it comes, for ever; an empty piece when nothing did for a moment.

    Raises KafkaError, OSError or TimeoutError when the brokers do not answer at the start.
    """
    consumer = aiokafka.AIOKafkaConsumer(
        **options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        check_crcs=settings.is_complete,
    )
    try:
        await start(consumer, settings.request_timeout_s)
        consumer.assign(await _partitions(consumer, [settings.topic_prefix + topic for topic in topics]))
        while True:
            found = await consumer.getmany(timeout_ms=_POLL_MS)
            yield [
                Followed(
                    record.topic.removeprefix(settings.topic_prefix),
                    (record.key or b"").decode(),
                    {name: value.decode() for name, value in record.headers},
                    record.value or b"",
                )
                for records in found.values()
                for record in records
            ]
    finally:
        await stop(consumer)


async def _partitions(consumer: aiokafka.AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """Of all the topics, once they are there: somebody else creates them."""
    while True:
        found = await topic_partitions(consumer, topics)
        if all(found.values()):
            return [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
        await anyio.sleep(_LOOK_AGAIN_S)
