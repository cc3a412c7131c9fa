"""A publisher that uses epochs as a worker does, through the proxy, and what the broker has committed of it."""

from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from msgspec import Struct

from collector.cloudevents import Envelope, Message
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka.claim import claim
from collector.kafka.epoch import Epoch, epoch
from collector.kafka.producer import Fenced
from collector.kafka.reader import Progress, open_reader, reported_ends
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.faults.brokers import ProxiedBroker
from tests.faults.proxy import Proxy
from tests.messages import message_with

TOPIC = "things"
KEYS = 4
"""Keys of each batch, spread over the topic's three partitions."""
EPOCH_ERRORS = (EpochEnded, Fenced, KafkaMisconfigured, KafkaError, OSError, TimeoutError)
"""Errors that end an epoch and not the process, as in the daemon."""


class Committed(Struct, frozen=True):
    """What a consumer of committed messages receives."""

    messages: dict[bytes, list[bytes]]
    """By key, in order."""
    state: dict[int, dict[bytes, bytes]]
    """By partition, without records that belong to no stream."""


class Topics:
    """An event topic, and a state topic with a partition for each case of a test."""

    def __init__(self, proxy: Proxy, broker: ProxiedBroker, prefix: str, cases: int, timeout_s: int) -> None:
        """`timeout_s` is the transaction timeout; the deadline of a request is a third of it, that of a commit 2/3."""
        self.settings = KafkaSettings(
            bootstrap_servers=proxy.address,
            topic_prefix=prefix,
            group=f"{prefix}group",
            state_partitions=cases,
            partitions=3,
            transaction_timeout=timedelta(seconds=timeout_s),
        )
        self._broker = broker.address
        self._topics = [prefix + TOPIC, self.settings.state_topic]
        self._telemetry = KafkaTelemetry(Metrics(), ProcessStatus("0", "group"))

    async def create(self, *others: str) -> None:
        """Create the topics, and others."""
        direct = self.settings.model_copy(update={"bootstrap_servers": self._broker})
        names = {self.settings.topic_prefix + name for name in (TOPIC, *others)}
        await ensure_topics(direct, names)
        assert await claim(direct, names, 0)

    def message(self, key: str, text: str, topic: str = TOPIC) -> Message:
        envelope = Envelope(
            self.settings.topic_prefix + topic, ("ce_source", b"/test/list"), ("ce_type", b"test.thing.v1")
        )
        return message_with(envelope, key.encode(), text.encode(), text[:9].encode())

    def epoch(self, partition: int, progress: Progress = lambda *_: None) -> AbstractAsyncContextManager[Epoch]:
        return epoch(partition, self.settings, self._telemetry, lambda: True, progress=progress)

    def transactional_id(self, partition: int) -> str:
        """The transactional id of a partition's epochs, to which a fault can be limited."""
        return f"{self.settings.group}-{self.settings.state_topic}-{partition}"

    async def committed(self) -> Committed:
        """Everything up to the present end, once all transactions that are open before it have ended."""
        messages: dict[bytes, list[bytes]] = defaultdict(list)
        state: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        direct = self.settings.model_copy(update={"bootstrap_servers": self._broker})
        ends = {
            TopicPartition(topic, number): end
            for topic in self._topics
            for number, end in (await reported_ends(direct, topic)).items()
        }
        async with open_reader(direct) as reader:
            await reader.assign(list(ends))
            while not await reader.has_passed(ends):
                for record in await reader.poll():
                    if record.topic != self.settings.state_topic:
                        messages[record.key].append(record.value)
                    elif not record.key.startswith(b"#"):
                        state[record.partition][record.key] = record.value
        return Committed(messages, state)


class Publisher:
    """Publishes batches in order. After an epoch has failed, it continues from the durable state, as a worker does."""

    def __init__(self, topics: Topics, partition: int, batches: int = 3) -> None:
        self.topics = topics
        self.partition = partition
        self.batches = batches
        self.errors: list[Exception] = []
        """The errors that ended its epochs."""
        self.before_commit: Callable[[int], None] | None = None
        """Called before each commit, with the number of batches that are known to be durable."""
        self.padding: dict[int, int] = {}
        """By how many bytes the messages of a batch are longer, so that it needs several requests."""

    @property
    def id(self) -> str:
        return self.topics.transactional_id(self.partition)

    async def publish(self) -> None:
        """Publish all batches, in as many epochs as it takes."""
        while True:
            epoch: Epoch | None = None
            try:
                async with self.topics.epoch(self.partition) as epoch:
                    await self.publish_rest(epoch)
                    return
            except EPOCH_ERRORS as error:
                self.errors.append(error if epoch is None else epoch.failure or error)

    async def publish_rest(self, epoch: Epoch) -> None:
        """Publish the remaining batches in this epoch."""
        done = restored(epoch)
        while done < self.batches:
            if self.before_commit is not None:
                self.before_commit(done)
            await self.commit(epoch, done)
            done += 1

    async def commit(self, epoch: Epoch, done: int) -> None:
        """Commit the batch that follows the first `done` ones."""
        await epoch.commit(self.batch(done), {b"done": str(done + 1).encode()})

    def batch(self, number: int) -> list[Message]:
        """One message for each key, or three if they are long, so that those of a key exceed one producer batch."""
        return [self.topics.message(key, text) for key in self.keys for text in self.texts(number)]

    def texts(self, number: int) -> list[str]:
        padding = self.padding.get(number, 0)
        return [f"{number}{letter}{'x' * padding}" for letter in ("abc" if padding else "a")]

    @property
    def keys(self) -> list[str]:
        return [f"{self.partition}.{number}" for number in range(KEYS)]

    def assert_committed(self, committed: Committed, done: Collection[int] | None = None) -> int:
        """Assert that the state counts as many batches as are committed, and that each is, once and in order.

        `done` are the allowed numbers of batches, by default all. Returns the number.
        """
        count = int(committed.state.get(self.partition, {}).get(b"done", b"0"))
        assert count in ([self.batches] if done is None else done), (self.partition, count, self.errors)
        for key in self.keys:
            texts = [text.decode() for text in committed.messages.get(key.encode(), [])]
            expected = [text for number in range(count) for text in self.texts(number)]
            assert [text[:9] for text in expected] == [text[:9] for text in texts], (key, self.errors)
        return count


def restored(epoch: Epoch) -> int:
    """The number of durable batches in the state that the epoch has restored."""
    return int(epoch.pairs.get(b"done", b"0"))
