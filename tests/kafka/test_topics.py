"""Topics are created where they are missing, and verified in what matters."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from msgspec import structs

from collector.errors import KafkaMisconfigured
from collector.kafka import creation
from collector.kafka.diagnosis.probe import probe
from collector.kafka.plan import PlannedTopic, planned_topic
from collector.kafka.requests import Metadata, TopicMetadata, metadata
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure_topics, in_sync_notice, replication_notice

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
    await ensure_topics(chosen, [prefix + name for name in EVENTS])
    async with admin(chosen) as client:
        found = await describe(client, chosen, [f"{prefix}test.things", f"{prefix}collector.state"])
    events, state = found[f"{prefix}test.things"], found[f"{prefix}collector.state"]
    assert (3, 4) == (events.partitions, state.partitions)
    assert ("delete", "172800000") == (events.configs["cleanup.policy"], events.configs["retention.ms"])
    assert ("compact", "33554432") == (state.configs["cleanup.policy"], state.configs["segment.bytes"])
    await ensure_topics(chosen, [prefix + name for name in EVENTS])  # again, as the next replica does


async def test_missing_topics_are_reported_when_the_collector_must_not_create_them(kafka: str, prefix: str) -> None:
    with pytest.raises(KafkaMisconfigured) as error:
        await ensure_topics(settings(kafka, prefix, create_topics=False), [prefix + name for name in EVENTS])
    assert "topics_missing" == error.value.code
    assert f"{prefix}test.things" in str(error.value)
    assert "kafka.create_topics = true" in error.value.advice


async def test_a_state_topic_with_another_number_of_partitions_is_refused(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    await create(chosen, "collector.state", 7, **{"cleanup.policy": "compact"})
    with pytest.raises(KafkaMisconfigured) as error:
        await ensure_topics(chosen, [prefix + name for name in EVENTS])
    assert "state_partitions" == error.value.code
    assert "kafka.state_partitions = 7" in error.value.advice


@pytest.mark.parametrize(
    ("topic", "configs", "code"),
    [
        ("collector.state", {"cleanup.policy": "delete"}, "cleanup_policy"),
        ("collector.state", {"cleanup.policy": "compact,delete"}, "cleanup_policy"),
        ("test.things", {"cleanup.policy": "compact"}, "cleanup_policy"),
        ("test.things", {"max.message.bytes": "1000"}, "message_size"),
    ],
)
async def test_a_topic_that_would_lose_records_is_refused(
    kafka: str, prefix: str, topic: str, configs: dict[str, str], code: str
) -> None:
    chosen = settings(kafka, prefix)
    await create(chosen, topic, 4, **configs)
    with pytest.raises(KafkaMisconfigured) as error:
        await ensure_topics(chosen, [prefix + name for name in EVENTS])
    assert code == error.value.code
    assert all(fact in str(error.value) for fact in (prefix + topic, *configs))


async def test_too_few_brokers_for_the_replicas_are_refused(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix, replication_factor=3)
    with pytest.raises(KafkaMisconfigured) as error:
        await ensure_topics(chosen, [prefix + name for name in EVENTS])
    assert "too_few_brokers" == error.value.code
    assert "kafka.replication_factor is 3" in str(error.value)


async def test_a_topic_whose_settings_are_refused_is_created_with_its_policy_and_they_are_named(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(chosen: KafkaSettings, name: str, *, is_compacted: bool, replication: int | None) -> PlannedTopic:
        planned = planned_topic(chosen, name, is_compacted=is_compacted, replication=replication)
        return structs.replace(planned, configs={**planned.configs, "segment.bytes": "-1"})

    monkeypatch.setattr(creation, "planned_topic", impossible)
    chosen = settings(kafka, prefix)
    verified = await ensure_topics(chosen, [prefix + name for name in EVENTS])
    async with admin(chosen) as client:
        found = await describe(client, chosen, [f"{prefix}test.things", f"{prefix}collector.state"])

    state = next(each for each in verified.notices if "collector.state" in each.reason)
    assert all(fact in state.reason for fact in ("segment.bytes = -1 (it is 1073741824)", "min.cleanable.dirty.ratio"))
    assert "a start reads more of it" in state.consequence
    assert 4 == found[f"{prefix}collector.state"].partitions
    assert ["delete", "compact"] == [each.configs["cleanup.policy"] for each in found.values()]
    assert () == tuple((await ensure_topics(chosen, [prefix + name for name in EVENTS])).notices), "said once"


REPORTED = {
    "three": (3, {"min.insync.replicas": "1"}),
    "four": (4, {"min.insync.replicas": "1"}),
    "two of three": (3, {"min.insync.replicas": "2"}),
    "two": (2, {"min.insync.replicas": "1"}),
    "unreported": (3, {"cleanup.policy": "compact"}),
    "denied": (3, None),
}
"""Replicas and settings by topic."""


def test_three_replicas_of_which_one_may_acknowledge_alone_are_noticed() -> None:
    found = Metadata([1, 2, 3], {name: TopicMetadata(0, 1, count, 0, 0) for name, (count, _) in REPORTED.items()})
    notice = in_sync_notice(found, {name: configs for name, (_, configs) in REPORTED.items() if configs is not None})

    assert notice is not None
    assert "too_few_in_sync" == notice.code
    assert notice.reason.startswith("three, four: ")
    assert "min.insync.replicas=2" in notice.consequence
    assert in_sync_notice(found, {name: {"min.insync.replicas": "2"} for name in REPORTED}) is None


async def test_too_few_replicas_in_sync_are_noticed_at_the_start_and_by_check(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is one, and stands in for three."""
    chosen, events = settings(kafka, prefix), [prefix + name for name in EVENTS]
    await ensure_topics(chosen, events)

    async def replicated(client: AIOKafkaAdminClient, names: Sequence[str], node: int | None = None) -> Metadata:
        found = await metadata(client, names, node)
        return structs.replace(
            found, topics={name: structs.replace(each, replication=3) for name, each in found.topics.items()}
        )

    monkeypatch.setattr("collector.kafka.requests.metadata", replicated)

    (notice,) = (await ensure_topics(chosen, events)).notices
    assert "too_few_in_sync" == notice.code
    assert not [name for name in (chosen.state_topic, *events) if name not in notice.reason]
    async with aclosing(probe(chosen, events, (), {0})) as lines:
        assert notice == {name: result async for name, result in lines}["replicas in sync"]


async def test_the_brokers_choose_the_number_of_replicas(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    assert chosen.replication_factor is None
    await ensure_topics(chosen, [prefix + name for name in EVENTS])
    async with admin(chosen) as client:
        found = await metadata(client, [chosen.state_topic])

    assert 1 == found.topics[chosen.state_topic].replication, "the default of this broker"
    assert replication_notice(found) is None, "there is one broker only"
    notice = replication_notice(structs.replace(found, brokers=[1, 2, 3]))
    assert notice is not None
    assert all(fact in notice.reason for fact in (chosen.state_topic, "one of 3 brokers"))
