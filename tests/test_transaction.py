"""The steps of a transaction that make a commit durable, on a producer that records what it is called with."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError, NotEnoughReplicasError
from msgspec import Struct

from collector.cloudevents import Envelope, Message
from collector.kafka.header import StateLost
from collector.kafka.records import RecordBatch
from collector.kafka.settings import KafkaSettings
from collector.kafka.transaction import transact
from tests.messages import message_with

pytestmark = pytest.mark.anyio

SETTINGS = KafkaSettings(state_partitions=1)
THING = Envelope("test.things", ("ce_source", b"/test/source"), ("ce_type", b"test.thing.v1"))
EVENT = message_with(THING, b"7", b"{}", b"id")
STATE = {0: {b"first": b"1", b"second": b"2"}}


class Appended(Struct, frozen=True):
    """The broker's response to a batch."""

    offset: int


class RecordingProducer:
    """A producer whose broker appends the state at `offset`, or responds with `error` to the batches of a topic.

    Its client gives the batches of `given_up` up.
    """

    def __init__(
        self, *, offset: int = 10, error: Mapping[str, Exception] | None = None, ends: int = 1, given_up: str = ""
    ) -> None:
        self.steps: list[str] = []
        self.failure: Exception | None = None
        self.transactions = self
        self.ends_sent = 0
        self._offset = offset
        self._errors = error or {}
        self._ends = ends
        self._given_up = given_up

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> RecordBatch:
        return RecordBatch(1 << 20, 0, 0)

    async def begin_transaction(self) -> None:
        self.steps.append("begin")

    async def register(self, partitions: Mapping[tuple[str, int], object]) -> None:
        self.steps.append(f"register {len(partitions)}")

    async def send_batch(self, _: RecordBatch, topic: str, *, partition: int) -> asyncio.Future[Appended]:
        self.steps.append(f"send {topic} {partition}")
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        error = self._errors.get(topic)
        # The response arrives later, as that of a broker does.
        later = asyncio.get_running_loop().call_soon
        if topic == self._given_up:
            later(future.cancel)
            return future
        later(future.set_exception, error) if error else later(future.set_result, Appended(self._offset))
        return future

    async def commit_transaction(self) -> None:
        self.steps.append("commit")
        self.ends_sent = self._ends


async def commit(producer: Any, *, above: int = 9, messages: Sequence[Message] = (EVENT,)) -> Mapping[int, int]:  # noqa: ANN401 - in place of a producer
    return await transact(producer, SETTINGS, messages, STATE, {0: above})


async def test_every_partition_is_registered_and_every_batch_is_sent_before_the_commit() -> None:
    producer = RecordingProducer()

    assert {0: 11} == await commit(producer)
    assert ["begin", "register 2", "send test.things 0", "send collector.state 0", "commit"] == producer.steps
    assert producer.failure is None


@pytest.mark.parametrize("offset", [0, 9])
async def test_state_that_is_not_appended_above_the_known_offset_is_lost_and_not_committed(offset: int) -> None:
    producer = RecordingProducer(offset=offset)

    with pytest.raises(StateLost):
        await commit(producer, above=9)
    assert "commit" not in producer.steps
    assert isinstance(producer.failure, StateLost)


async def test_without_an_offset_of_the_state_nothing_is_committed() -> None:
    producer = RecordingProducer(offset=-1)

    with pytest.raises(ConnectionError):
        await commit(producer, above=-1)
    assert "commit" not in producer.steps


@pytest.mark.parametrize("topic", ["test.things", "collector.state"])
async def test_after_a_failed_send_nothing_is_committed(topic: str) -> None:
    """Kafka would commit the other batches."""
    producer = RecordingProducer(error={topic: NotEnoughReplicasError()})

    with pytest.raises(KafkaError):
        await commit(producer)
    assert "commit" not in producer.steps
    assert isinstance(producer.failure, NotEnoughReplicasError)


@pytest.mark.parametrize("topic", ["test.things", "collector.state"])
async def test_a_send_that_the_client_gave_up_fails_and_cancels_nothing_else(topic: str) -> None:
    producer = RecordingProducer(given_up=topic)

    with pytest.raises(ConnectionError):
        await commit(producer)
    assert "commit" not in producer.steps
    assert isinstance(producer.failure, ConnectionError)


async def test_an_end_that_was_sent_twice_counts_as_failed() -> None:
    """The one still in flight may end a later transaction."""
    producer = RecordingProducer(ends=2)

    with pytest.raises(ConnectionError):
        await commit(producer)
    assert producer.failure is not None
