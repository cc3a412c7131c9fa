"""Each hook into aiokafka does what its docstring says, against a real broker; a new version may break it."""

import asyncio
import logging
from collections.abc import AsyncIterator

import aiokafka
import anyio
import pytest
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.structs import TopicPartition

from collector.kafka import producer as producer_module
from collector.kafka.connection import options
from collector.kafka.hooks import (
    cancel_sender,
    is_coordinator_known,
    member_id,
    open_connection,
    send_request,
    topic_partitions,
    watch_heartbeats,
)
from collector.kafka.producer import open_producer
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, ensure_topics
from tests.kafka.daemon import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def settings(kafka: str, prefix: str) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, state_partitions=2, group=f"{prefix}group")
    await ensure_topics(found, [])
    return found


@pytest.fixture
async def consumer(settings: KafkaSettings) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    found = aiokafka.AIOKafkaConsumer(
        **options(settings), group_id=settings.group, session_timeout_ms=3000, heartbeat_interval_ms=100
    )
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


async def test_heartbeats_are_confirmed_only_while_the_consumer_is_a_member(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # aiokafka logs the removed membership as an error
    consumer.subscribe([settings.state_topic])
    seen: list[tuple[float, bool]] = []
    watch_heartbeats(
        consumer, anyio.current_time, lambda sent_at, *, is_confirmed: seen.append((sent_at, is_confirmed))
    )

    async def confirmed() -> bool:
        await consumer.getmany(timeout_ms=10)
        return (True in {each for _, each in seen}) and is_coordinator_known(consumer)

    await until(confirmed, "a heartbeat is confirmed")
    assert all(sent_at <= anyio.current_time() for sent_at, _ in seen)
    before = member_id(consumer)
    assert before.startswith("collector-")

    consumer._coordinator.member_id = "collector-unknown"  # the coordinator has no such member
    seen.clear()

    async def removed_and_joined_again() -> bool:
        await consumer.getmany(timeout_ms=10)
        return {False, True} == {each for _, each in seen}

    await until(removed_and_joined_again, "a heartbeat is refused, and confirmed again after the consumer has rejoined")
    assert member_id(consumer) not in (before, "collector-unknown")


async def test_partitions_are_those_of_the_named_topics(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer, prefix: str
) -> None:
    missing = f"{prefix}missing"

    assert {settings.state_topic: [0, 1], missing: []} == await topic_partitions(
        consumer, [settings.state_topic, missing]
    )

    await ensure_topics(settings.model_copy(update={"partitions": 3}), [settings.topic_prefix + "missing"])
    assert {missing: [0, 1, 2]} == await topic_partitions(consumer, [missing])
    assert {settings.state_topic: [0, 1]} == await topic_partitions(consumer, [settings.state_topic])


async def test_a_partition_is_part_of_the_transaction_before_anything_is_sent_to_it(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer
) -> None:
    """The marker of the transaction proves it: nothing else is in the partition."""
    partition = TopicPartition(settings.state_topic, 1)
    async with open_producer(settings, settings.transactional_id(1)) as producer:
        for number in (1, 2):
            await producer.begin_transaction()
            await producer.transactions.register([(partition.topic, partition.partition)])
            await producer.commit_transaction()
            assert number == producer.transactions.ends_sent

            async def marked(number: int = number) -> bool:
                return bool({partition: number} == await consumer.end_offsets([partition]))

            await until(marked, f"marker {number} is written")


async def test_a_cancelled_sender_sends_nothing_more(settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "CLOSE_S", 0.2)
    async with open_producer(settings, settings.transactional_id(0)) as producer:
        await producer.begin_transaction()
        cancel_sender(producer)
        await anyio.sleep(0.1)
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"key", value=b"value")

        future = await producer.send_batch(batch, settings.state_topic, partition=0)

        done, _ = await asyncio.wait([future], timeout=0.5)
        assert not done


async def test_requests_go_to_one_broker(settings: KafkaSettings) -> None:
    chosen = {name: value for name, value in options(settings).items() if name != "bootstrap_servers"}
    host, port = settings.bootstrap_servers.split(":")
    connection = await open_connection(host, int(port), **chosen)
    await connection.close()
    async with admin(settings) as client:
        (node,) = [broker["node_id"] for broker in (await client.describe_cluster())["brokers"]]
        for chosen_node in (None, node):
            assert (await send_request(client, ApiVersionRequest(), chosen_node)).api_versions
