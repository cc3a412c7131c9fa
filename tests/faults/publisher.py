"""The publisher as a worker uses it, through the proxy; and the truth, which is read at the broker itself."""

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
from collector.kafka.topics import ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.faults.brokers import ProxiedBroker
from tests.faults.proxy import Proxy

THINGS = "things"
KEYS = 4
"""Of each batch, over the topic's three partitions."""
BROKEN = (EpochEnded, Fenced, KafkaMisconfigured, KafkaError, OSError, TimeoutError)
"""What ends an epoch and not the process: the same as in the daemon."""


class Truth(Struct, frozen=True):
    """What a reader of committed messages sees."""

    things: dict[bytes, list[bytes]]
    """By key, in order."""
    state: dict[int, dict[bytes, bytes]]
    """By partition, without the records that belong to no stream."""


class Place:
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

    async def truth(self) -> Truth:
        """Up to the end as it is now, also of what is open: that is waited for."""
        things: dict[bytes, list[bytes]] = defaultdict(list)
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
                        things[record.key].append(record.value)
                    elif not record.key.startswith(b"#"):
                        state[record.partition][record.key] = record.value
        return Truth(things, state)


class Publisher:
    """Publishes its batches one by one; after a broken epoch it begins anew from what is durable, as a worker does."""

    def __init__(self, place: Place, partition: int, batches: int = 3) -> None:
        self.place = place
        self.partition = partition
        self.batches = batches
        self.broke: list[Exception] = []
        """What ended its epochs, except for the last one."""
        self.before: Callable[[int], None] | None = None
        """Called before each commit, with how many batches are known to be durable."""
        self.padding: dict[int, int] = {}
        """How many bytes longer the messages of some batches are, so that they need several requests."""

    @property
    def id(self) -> str:
        return self.place.id(self.partition)

    async def publish(self) -> None:
        """All of it, whatever happens."""
        while True:
            holding: Epoch | None = None
            try:
                async with self.place.epoch(self.partition) as holding:
                    await self.go_on(holding)
                    return
            except BROKEN as error:
                self.broke.append(error if holding is None else holding.failure or error)

    async def go_on(self, holding: Epoch) -> None:
        """What is left, in this epoch."""
        done = restored(holding)
        while done < self.batches:
            if self.before is not None:
                self.before(done)
            await self.commit(holding, done)
            done += 1

    async def commit(self, holding: Epoch, done: int) -> None:
        await holding.commit(self.batch(done), {b"done": str(done + 1).encode()})

    def batch(self, number: int) -> list[Message]:
        """One message to each key, or three where they are long: one key's do not fit into one batch then."""
        return [message(key, text) for key in self.keys for text in self.texts(number)]

    def texts(self, number: int) -> list[str]:
        padding = self.padding.get(number, 0)
        return [f"{number}{letter}{'x' * padding}" for letter in ("abc" if padding else "a")]

    @property
    def keys(self) -> list[str]:
        return [f"{self.partition}.{number}" for number in range(KEYS)]

    def assert_whole(self, truth: Truth, done: Collection[int] | None = None) -> int:
        """The first so many batches are there, each once and in order, and the state says so; how many they are.

        Without `done` it must be all of them.
        """
        said = int(truth.state.get(self.partition, {}).get(b"done", b"0"))
        assert said in ([self.batches] if done is None else done), (self.partition, said, self.broke)
        for key in self.keys:
            there = [text.decode() for text in truth.things.get(key.encode(), [])]
            expected = [text for number in range(said) for text in self.texts(number)]
            assert [text[:9] for text in expected] == [text[:9] for text in there], (key, self.broke)
        return said


def restored(holding: Epoch) -> int:
    """How many batches are durable, as the epoch restored it."""
    return int(holding.pairs.get(b"done", b"0"))


def message(key: str, text: str, topic: str = THINGS) -> Message:
    envelope = Envelope(topic, ("ce_source", b"/test/list"), ("ce_type", b"test.thing.v1"))
    return Message(envelope, key.encode(), text.encode(), text[:9].encode(), b"thing", b"2026-11-01T00:00:00.000Z")
