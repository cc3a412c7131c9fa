"""Topics are created where they are missing, and verified in what matters; nothing is guessed."""

from datetime import timedelta

import pytest
from aiokafka.admin import NewTopic

from collector.errors import KafkaMisconfigured
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure

pytestmark = pytest.mark.anyio

EVENTS = {"test.things"}


def settings(kafka: str, prefix: str, **keys: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {"bootstrap_servers": kafka, "topic_prefix": prefix, "state_partitions": 4, "partitions": 3, **keys}
    )


async def create(chosen: KafkaSettings, name: str, partitions: int, **configs: str) -> None:
    async with admin(chosen) as client:
        topic = NewTopic(chosen.topic_prefix + name, partitions, 1, topic_configs=configs)
        await client.create_topics([topic])


async def test_missing_topics_are_created_as_they_must_be(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix, retention=timedelta(days=2))
    await ensure(chosen, EVENTS)
    async with admin(chosen) as client:
        there = await describe(client, [f"{prefix}test.things", f"{prefix}collector.state"])
    events, state = there[f"{prefix}test.things"], there[f"{prefix}collector.state"]
    assert (3, 4) == (events.partitions, state.partitions)
    assert ("delete", "172800000") == (events.configs["cleanup.policy"], events.configs["retention.ms"])
    assert ("compact", "33554432") == (state.configs["cleanup.policy"], state.configs["segment.bytes"])
    await ensure(chosen, EVENTS)  # and once more, by the next replica


async def test_without_the_right_to_create_missing_topics_are_told(kafka: str, prefix: str) -> None:
    with pytest.raises(KafkaMisconfigured, match=r"test.things") as refused:
        await ensure(settings(kafka, prefix, create_topics=False), EVENTS)
    assert "create_topics = true" in refused.value.advice


async def test_a_state_topic_of_other_partitions_is_refused_with_the_setting(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    await create(chosen, "collector.state", 7, **{"cleanup.policy": "compact"})
    with pytest.raises(KafkaMisconfigured, match="7 partitions") as refused:
        await ensure(chosen, EVENTS)
    assert "state_partitions = 7" in refused.value.advice


@pytest.mark.parametrize(
    ("topic", "configs", "told"),
    [
        ("collector.state", {"cleanup.policy": "delete"}, "cleanup.policy"),
        ("collector.state", {"cleanup.policy": "compact,delete"}, "cleanup.policy"),
        ("test.things", {"cleanup.policy": "compact"}, "compacted"),
        ("test.things", {"max.message.bytes": "1000"}, "max.message.bytes"),
    ],
)
async def test_a_topic_that_would_lose_something_is_refused(
    kafka: str, prefix: str, topic: str, configs: dict[str, str], told: str
) -> None:
    chosen = settings(kafka, prefix)
    await create(chosen, topic, 4, **configs)
    with pytest.raises(KafkaMisconfigured, match=told):
        await ensure(chosen, EVENTS)


async def test_too_few_brokers_for_the_replication_are_told(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix, replication_factor=3)
    with pytest.raises(KafkaMisconfigured, match="broker") as refused:
        await ensure(chosen, EVENTS)
    assert "lower it" in refused.value.advice
