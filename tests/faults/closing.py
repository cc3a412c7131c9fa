"""A consumer that closes periods by `collector.progress`, all the while that a fault lasts."""

from collections.abc import Mapping, Sequence

import anyio
from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from msgspec import Struct

from collector.pipeline.message import PROGRESS
from tests.kafka.daemon import Received, reading

POLL_S = 0.05
END_S = 5.0
"""How long the ends are waited for while brokers are away. A message whose ends are not known is not judged."""


class Closed(Struct, frozen=True):
    """What a consumer has once it has received a progress message, and has read the event topics up to the ends."""

    source: str
    final: str
    ends: Mapping[tuple[str, int], int]
    """The high watermark of each partition, as of a moment after the message was received."""


class ClosingConsumer:
    """Follows the progress of all sources."""

    def __init__(self, kafka: str, prefix: str, topics: Sequence[str]) -> None:
        self.closed: list[Closed] = []
        self._kafka = kafka
        self._progress_topic = prefix + PROGRESS.topic
        self._admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
        self._topics = [prefix + topic for topic in topics]

    async def follow(self) -> None:
        """Never returns."""
        known = 0
        async with reading(self._kafka, [self._progress_topic]) as reader:
            while True:
                new = (await reader.poll())[known:]
                if new and (ends := await anyio.to_thread.run_sync(self._high_watermarks)):
                    known += len(new)
                    self.closed += [Closed(each.value["source"], each.value["final"], ends) for each in new]
                await anyio.sleep(POLL_S)

    def _high_watermarks(self) -> Mapping[tuple[str, int], int]:
        """The ends of all partitions of the event topics; empty if they are not known in time."""
        try:
            found = self._admin.list_topics(timeout=END_S).topics
            names = [
                TopicPartition(topic, partition)
                for topic in self._topics
                if topic in found
                for partition in found[topic].partitions
            ]
            ends = self._admin.list_offsets(
                dict.fromkeys(names, OffsetSpec.latest()),
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=END_S,
            )
            found_ends = {(name.topic, name.partition): end.result().offset for name, end in ends.items()}
        except KafkaException:
            return {}
        # While a leader fails, librdkafka also returns OFFSET_INVALID as if it were an end.
        return found_ends if min(found_ends.values(), default=OFFSET_INVALID) >= 0 else {}


def published_after_final(messages: Sequence[Received], closed: Sequence[Closed]) -> int:
    """The number of events that started before a `final`, and lie behind the ends that belong to it."""
    return len(
        {
            each.id
            for each in messages
            if "started_at" in each.value
            for one in closed
            if each.value["source"] == one.source
            and each.value["started_at"] < one.final
            and each.offset >= one.ends.get((each.topic, each.partition), 0)
        }
    )
