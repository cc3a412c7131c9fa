"""Real producers through the proxy: it changes nothing without faults, and they survive each fault once."""

import aiokafka
import anyio
import pytest

from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import REQUEST, RESPONSE, Action, Delay, Drop, ErrorResponse, Reset
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.anyio

MAX_WAIT_S = 5.0
"""The request timeout, within which a busy machine must also open a connection."""


async def test_without_faults_nothing_is_lost_and_no_client_bypasses_the_proxy(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    topic, texts = f"{prefix}things", [f"{number}".encode() for number in range(300)]
    await _create_topics(proxied_broker, prefix)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=proxy.address, transactional_id=topic) as producer:
        for number in range(3):
            async with producer.transaction():
                for text in texts[number::3]:
                    await producer.send(topic, text, partition=0)
        addresses = {(broker.host, broker.port) for broker in producer.client.cluster.brokers()}
    assert {("127.0.0.1", proxied_broker.proxy_port)} == addresses
    assert {True} == {proxy.seen[api] >= 3 for api in (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.END_TXN)}
    for address in (proxy.address, proxied_broker.address):
        assert sorted(texts) == sorted(await committed(address, topic))
    assert not proxy.applied


FAULTS: list[tuple[Api, Action]] = [
    (api, action)
    for api in (Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN, Api.END_TXN)
    for each in (Drop, Reset, lambda direction: Delay(0.2, direction), lambda direction: ErrorResponse(16, direction))
    for action in (each(REQUEST), each(RESPONSE))
]


async def test_a_single_fault_loses_and_duplicates_nothing(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """A producer for each fault, which applies to it alone; all run concurrently."""
    topic, expected = f"{prefix}things", []
    await _create_topics(proxied_broker, prefix)

    async def produce(number: int, api: Api, action: Action) -> None:
        name = f"{topic}-{number}"
        with proxy.fault(api, action, times=1, skip=1, for_id=name) as fault:
            async with aiokafka.AIOKafkaProducer(
                bootstrap_servers=proxy.address, transactional_id=name, request_timeout_ms=int(MAX_WAIT_S * 1000)
            ) as producer:
                for turn in range(3):
                    async with producer.transaction():
                        expected.append(f"{name}-{turn}".encode())
                        await producer.send_and_wait(topic, expected[-1])
        assert 1 == fault.applied, (api, action)

    async with anyio.create_task_group() as producers:
        for number, (api, action) in enumerate(FAULTS):
            producers.start_soon(produce, number, api, action)
    assert sorted(expected) == sorted(await committed(proxied_broker.address, topic))


async def _create_topics(proxied_broker: ProxiedBroker, prefix: str) -> None:
    settings = {
        "bootstrap_servers": proxied_broker.address,
        "topic_prefix": prefix,
        "state_partitions": 1,
        "partitions": 3,
    }
    await ensure_topics(KafkaSettings.model_validate(settings), {f"{prefix}things"})


async def committed(kafka: str, topic: str) -> list[bytes]:
    """The values that a consumer of committed messages receives."""
    async with aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        found = []
        while records := await consumer.getmany(timeout_ms=500):
            found += [record.value for batch in records.values() for record in batch]
        return found
