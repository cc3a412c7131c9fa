"""A new state topic is claimed only if every event topic is known to be empty; a missing one is."""

from contextlib import AbstractAsyncContextManager

import aiokafka
import pytest
from aiokafka.structs import ConsumerRecord
from confluent_kafka.admin import AclOperation, ResourceType

from collector.errors import KafkaMisconfigured
from collector.kafka import reader
from collector.kafka.claim import claim
from collector.kafka.header import HEADER
from collector.kafka.reader import CommittedReader, open_reader, reported_ends
from collector.kafka.requests import UNKNOWN_TOPIC, Metadata, TopicMetadata, metadata
from collector.kafka.restore import search
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics, existing_topics
from tests.kafka.acl_broker import PASSWORD, USER, AclBroker

pytestmark = pytest.mark.anyio


def settings(kafka: str, prefix: str, **keys: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {"bootstrap_servers": kafka, "topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 2, **keys}
    )


async def publish(kafka: str, topic: str) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(topic, b"{}")


@pytest.mark.parametrize("is_published", [False, True])
async def test_a_missing_event_topic_is_as_empty_and_the_others_still_count(
    kafka: str, prefix: str, is_published: bool
) -> None:
    chosen, existing, missing = settings(kafka, prefix), f"{prefix}north.things", f"{prefix}south.things"
    await ensure_topics(chosen, [existing])
    if is_published:
        await publish(kafka, existing)

    assert await claim(chosen, {existing, missing}, 0) != is_published


async def test_an_event_topic_that_may_not_be_described_is_not_known_to_be_empty(
    acl_broker: AclBroker, prefix: str
) -> None:
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    chosen, hidden = settings(acl_broker.sasl_address, prefix, sasl=sasl), f"{prefix}south.things"
    await ensure_topics(chosen, [hidden])

    with (
        acl_broker.denying(ResourceType.TOPIC, hidden, AclOperation.DESCRIBE),
        pytest.raises(KafkaMisconfigured) as error,
    ):
        await claim(chosen, {hidden}, 0)

    assert "topic_emptiness_unknown" == error.value.code
    assert error.value.topic is None, "all streams wait for the claim"
    assert hidden in str(error.value)
    assert f"allow {USER} to Describe" in error.value.advice
    assert await claim(chosen, {hidden}, 0), "it is empty, as is known now"


async def test_a_topic_that_one_broker_does_not_know_exists_if_another_one_knows_it(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second node, simulated, has just started: it has no topics."""
    chosen, topic = settings(kafka, prefix), f"{prefix}things"
    await ensure_topics(chosen, [topic])
    requested: list[int] = []

    async def of_two(client: object, names: list[str], node: int | None = None) -> Metadata:
        if not names:
            return Metadata([2, 1], {})
        assert node is not None
        requested.append(node)
        if node == 1:
            return await metadata(client, names, 1)
        return Metadata([2], {name: TopicMetadata(UNKNOWN_TOPIC, 0, 0, 0, 0) for name in names})

    monkeypatch.setattr("collector.kafka.requests.metadata", of_two)

    assert [topic] == await existing_topics(chosen, [topic, f"{prefix}nothing"])
    assert [2, 1] == requested


async def test_a_search_reads_all_partitions_with_one_reader(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, readers = settings(kafka, prefix), list[object]()
    await ensure_topics(chosen, [])
    assert await claim(chosen, (), 0)
    ends = {partition: end - 1 for partition, end in (await reported_ends(chosen, chosen.state_topic)).items()}

    def counted(*arguments: KafkaSettings) -> AbstractAsyncContextManager[CommittedReader]:
        readers.append(arguments)
        return open_reader(*arguments)

    monkeypatch.setattr(reader, "open_reader", counted)
    headers: list[int] = []

    def collect(partition: int, record: ConsumerRecord) -> bool:
        headers.extend([partition] if record.key == HEADER else [])
        return False

    assert not await search(chosen, ends, collect)
    assert [0, 1] == sorted(headers)
    assert await search(chosen, ends, lambda partition, record: (partition, record.key) == (1, HEADER))
    assert not await search(
        chosen, {0: ends[0], 1: 0}, lambda partition, record: (partition, record.key) == (1, HEADER)
    )
    assert 3 == len(readers)
