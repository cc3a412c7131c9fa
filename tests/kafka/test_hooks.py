"""What is read out of aiokafka's consumer is what its broker said: these fail when a new version keeps it elsewhere."""

import logging
from collections.abc import AsyncIterator

import aiokafka
import anyio
import pytest

from collector.kafka.connection import options
from collector.kafka.hooks import is_coordinator_known, member_id, watch_heartbeats
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure
from tests.kafka.daemon import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def consumer(kafka: str, prefix: str) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, state_partitions=1)
    await ensure(settings, [])
    found = aiokafka.AIOKafkaConsumer(
        **options(settings), group_id=f"{prefix}group", session_timeout_ms=3000, heartbeat_interval_ms=100
    )
    await found.start()
    found.subscribe([settings.state_topic])
    try:
        yield found
    finally:
        await found.stop()


async def test_heartbeats_are_confirmed_while_one_is_a_member_and_not_when_one_is_not(
    consumer: aiokafka.AIOKafkaConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # the client complains of what the test does to it
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

    consumer._coordinator.member_id = "collector-somebody-else"  # whom the coordinator does not know
    seen.clear()

    async def put_out_and_back() -> bool:
        await consumer.getmany(timeout_ms=10)
        return {False, True} == {each for _, each in seen}

    await until(put_out_and_back, "a heartbeat is refused, and confirmed again after joining anew")
    assert member_id(consumer) not in (before, "collector-somebody-else")
