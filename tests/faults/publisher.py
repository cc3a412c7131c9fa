"""The publisher as a worker uses it, through the proxy; and the truth, which is read at the broker itself."""

from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from msgspec import Struct

from collector.cloudevents import Envelope, Message
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka.claim import claim
from collector.kafka.epoch import Epoch, epoch
from collector.kafka.producer import Fenced
from collector.kafka.restore import Progress
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.faults.brokers import ProxiedBroker
from tests.faults.proxy import Proxy

THINGS = "things"
KEYS = 4
"""Of each batch, over the topic's three partitions."""
EPOCH_ERRORS = (EpochEnded, Fenced, KafkaMisconfigured, KafkaError, OSError, TimeoutError)
"""What ends an epoch and not the process: the same as in the daemon."""


class Committed(Struct, frozen=True):
    """What a reader of committed messages sees."""

    things: dict[bytes, list[bytes]]
    """By key, in order."""
    state: dict[int, dict[bytes, bytes]]
    """By partition, without the records that belong to no stream."""


class Topics:
    """Topics of the test's own, and a state partition for each of its cases."""

    def __init__(self, proxy: Proxy, broker: ProxiedBroker, prefix: str, cases: int, timeout_s: int) -> None:
        """`timeout_s` is that of transactions: requests have a third of it, and a commit two."""
        self.settings = KafkaSettings(
            bootstrap_servers=proxy.address,
            topic_prefix=prefix,
            group=f"{prefix}group",
            state_partitions=cases,
            partitions=3,
            transaction_timeout=timedelta(seconds=timeout_s),
        )
        self._broker = broker.address
        self._topics = [prefix + THINGS, self.settings.state_topic]
        self._telemetry = KafkaTelemetry(Metrics(), ProcessStatus("0", "group"))

    async def ensure(self, *others: str) -> None:
        direct = self.settings.model_copy(update={"bootstrap_servers": self._broker})
        await ensure(direct, {THINGS, *others})
        assert await claim(direct, {THINGS, *others}, 0)

    def epoch(self, partition: int, progress: Progress = lambda *_: None) -> AbstractAsyncContextManager[Epoch]:
        return epoch(partition, self.settings, self._telemetry, lambda: True, progress=progress)

    def id(self, partition: int) -> str:
        """The transactional id, by which faults know whom they are for."""
        return f"{self.settings.group}-{self.settings.state_topic}-{partition}"

    async def committed(self) -> Committed:
        """Up to the end as it is now, also of what is open: that is waited for."""
        things: dict[bytes, list[bytes]] = defaultdict(list)
        state: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        async with self._reader("read_uncommitted") as reader:
            await reader._client.set_topics(self._topics)
            numbers = {topic: reader.partitions_for_topic(topic) for topic in self._topics}
            places = [TopicPartition(topic, number) for topic in self._topics for number in numbers[topic]]
            ends = await reader.end_offsets(places)
        async with self._reader("read_committed") as reader:
            reader.assign(places)
            await reader.seek_to_beginning(*places)
            while [topics for topics in places if await reader.position(topics) < ends[topics]]:
                for topics, records in (await reader.getmany(timeout_ms=100)).items():
                    for record in records:
                        if topics.topic != self.settings.state_topic:
                            things[record.key].append(record.value)
                        elif not record.key.startswith(b"#"):
                            state[topics.partition][record.key] = record.value
        return Committed(things, state)

    def _reader(self, isolation: str) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self._broker,
            isolation_level=isolation,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )


class Publisher:
    """Publishes its batches one by one; after a broken epoch it begins anew from what is durable, as a worker does."""

    def __init__(self, topics: Topics, partition: int, batches: int = 3) -> None:
        self.topics = topics
        self.partition = partition
        self.batches = batches
        self.errors: list[Exception] = []
        """What ended its epochs, except for the last one."""
        self.before_commit: Callable[[int], None] | None = None
        """Called before each commit, with how many batches are known to be durable."""
        self.padding: dict[int, int] = {}
        """How many bytes longer the messages of some batches are, so that they need several requests."""

    @property
    def id(self) -> str:
        return self.topics.id(self.partition)

    async def publish(self) -> None:
        """All of it, whatever happens."""
        while True:
            epoch: Epoch | None = None
            try:
                async with self.topics.epoch(self.partition) as epoch:
                    await self.publish_rest(epoch)
                    return
            except EPOCH_ERRORS as error:
                self.errors.append(error if epoch is None else epoch.over or error)

    async def publish_rest(self, epoch: Epoch) -> None:
        """What is left, in this epoch."""
        done = restored(epoch)
        while done < self.batches:
            if self.before_commit is not None:
                self.before_commit(done)
            await self.commit(epoch, done)
            done += 1

    async def commit(self, epoch: Epoch, done: int) -> None:
        await epoch.commit(self.batch(done), {b"done": str(done + 1).encode()})

    def batch(self, number: int) -> list[Message]:
        """One message to each key, or three where they are long: one key's do not fit into one batch then."""
        return [message(key, text) for key in self.keys for text in self.texts(number)]

    def texts(self, number: int) -> list[str]:
        padding = self.padding.get(number, 0)
        return [f"{number}{letter}{'x' * padding}" for letter in ("abc" if padding else "a")]

    @property
    def keys(self) -> list[str]:
        return [f"{self.partition}.{number}" for number in range(KEYS)]

    def assert_committed(self, truth: Committed, done: Collection[int] | None = None) -> int:
        """The first so many batches are there, each once and in order, and the state says so; how many they are.

        Without `done` it must be all of them.
        """
        said = int(truth.state.get(self.partition, {}).get(b"done", b"0"))
        assert said in ([self.batches] if done is None else done), (self.partition, said, self.errors)
        for key in self.keys:
            there = [text.decode() for text in truth.things.get(key.encode(), [])]
            expected = [text for number in range(said) for text in self.texts(number)]
            assert [text[:9] for text in expected] == [text[:9] for text in there], (key, self.errors)
        return said


def restored(epoch: Epoch) -> int:
    """How many batches are durable, as the epoch restored it."""
    return int(epoch.pairs.get(b"done", b"0"))


def message(key: str, text: str, topic: str = THINGS) -> Message:
    envelope = Envelope(topic, ("ce_source", b"/test/list"), ("ce_type", b"test.thing.v1"))
    return Message(envelope, key.encode(), text.encode(), text[:9].encode(), b"thing", b"2026-11-01T00:00:00.000Z")
