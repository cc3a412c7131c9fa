"""What may not be read, or does not exist, is named with the topic: without it, commands would blame slow brokers."""

import aiokafka
import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from collector.errors import KafkaMisconfigured
from collector.kafka.claim import claim
from collector.kafka.restore import snapshot
from collector.kafka.scan import committed_ends, scan
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from tests.kafka.acl_broker import PASSWORD, USER, AclBroker

pytestmark = pytest.mark.anyio


def settings(kafka: str, prefix: str, **keys: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {"bootstrap_servers": kafka, "topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 1, **keys}
    )


async def test_a_topic_that_may_not_be_read_is_named(acl_broker: AclBroker, prefix: str) -> None:
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    chosen, letters = settings(acl_broker.sasl_address, prefix, sasl=sasl), f"{prefix}letters"
    await ensure_topics(chosen, [letters])
    assert await claim(chosen, {letters}, 0)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=acl_broker.address) as producer:
        await producer.send_and_wait(letters, b"{}")

    with acl_broker.denying(ResourceType.TOPIC, prefix, AclOperation.READ):
        ends = await committed_ends(chosen, [letters])
        with pytest.raises(KafkaMisconfigured) as of_one:
            _ = [messages async for messages in scan(chosen, ends)]
        with pytest.raises(KafkaMisconfigured) as of_all:
            await snapshot(chosen, [0], lambda *_: None)

    assert ("topic_denied", letters) == (of_one.value.code, of_one.value.topic)
    assert f"allow {USER} to Read the topic {letters}" in of_one.value.advice
    assert ("topic_denied", None) == (of_all.value.code, of_all.value.topic)
    assert f"to Read the topic {chosen.state_topic}" in of_all.value.advice
    assert 1 == len([messages async for messages in scan(chosen, ends)])


async def test_a_topic_that_does_not_exist_is_named(kafka: str, prefix: str) -> None:
    chosen, there, missing = settings(kafka, prefix), f"{prefix}north.things", f"{prefix}south.things"
    await ensure_topics(chosen, [there])

    with pytest.raises(KafkaMisconfigured) as error:
        await committed_ends(chosen, [there, missing])

    assert ("topic_missing", missing) == (error.value.code, error.value.topic)
