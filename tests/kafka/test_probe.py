"""What `collector check` finds in a real Kafka: each thing that may be wrong, with what to do, and nothing changed."""

from contextlib import aclosing

import anyio
import pytest
from aiokafka.admin import NewTopic
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from collector.errors import KafkaMisconfigured
from collector.kafka import probe as probing
from collector.kafka.claim import claim
from collector.kafka.epoch import epoch
from collector.kafka.probe import probe
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.acl_broker import PASSWORD, USER, AclBroker

pytestmark = pytest.mark.anyio

EVENTS, SNAPSHOTS = "test.things", "test.states"
IDS = "transactional ids"


def settings(kafka: str, prefix: str, **keys: object) -> KafkaSettings:
    given = {"topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 4, "partitions": 3, **keys}
    return KafkaSettings.model_validate({"bootstrap_servers": kafka, "transaction_timeout": "9s", **given})


def as_user(acl_broker: AclBroker, prefix: str, **keys: object) -> KafkaSettings:
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    return settings(acl_broker.sasl_address, prefix, sasl=sasl, **keys)


async def probed(chosen: KafkaSettings) -> dict[str, str | KafkaMisconfigured]:
    """What was found, without the topics' prefix."""
    async with aclosing(probe(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS}, {0, 3})) as lines:
        found = {what.replace(chosen.topic_prefix, ""): said async for what, said in lines}
    state, *events = "collector.state", SNAPSHOTS, EVENTS
    assert ["kafka", "timeouts", *(f"topic {name}" for name in (state, *events)), IDS, "group group"] == list(found)
    return found


def refusals(found: dict[str, str | KafkaMisconfigured]) -> dict[str, str]:
    return {what: f"{said}: {said.advice}" for what, said in found.items() if isinstance(said, KafkaMisconfigured)}


async def test_a_kafka_without_anything_is_right_and_stays_so(kafka: str, prefix: str) -> None:
    found = await probed(settings(kafka, prefix))

    assert {} == refusals(found)
    assert f"1 broker at {kafka}, Apache Kafka 3.6 or newer" == found["kafka"]
    assert (
        "does not exist yet: the first start creates it" == found[f"topic {EVENTS}"] == found["topic collector.state"]
    )
    assert "may be joined, and has no members" == found["group group"]
    there = AdminClient({"bootstrap.servers": kafka}).list_topics().topics
    assert [] == [name for name in there if name.startswith(prefix)]


async def test_topics_that_are_right_say_their_partitions(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    await ensure(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS})

    found = await probed(chosen)

    assert {} == refusals(found)
    assert ("4 partitions", "3 partitions") == (found["topic collector.state"], found[f"topic {EVENTS}"])


async def test_it_does_not_disturb_who_runs(kafka: str, prefix: str) -> None:
    """Nobody is fenced, though it asks whether the very transactional ids may be used that are in use."""
    chosen = settings(kafka, prefix)
    await ensure(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS})
    assert await claim(chosen, {EVENTS, SNAPSHOTS}, 0)
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("", chosen.group))
    async with epoch(0, chosen, telemetry, lambda: True) as holding, anyio.create_task_group() as tasks:
        commits = 0
        done = anyio.Event()

        async def commit() -> None:
            nonlocal commits
            while not done.is_set():
                await holding.commit((), {b"test/1/mall/things": str(commits).encode()})
                commits += 1

        tasks.start_soon(commit)
        for _ in range(3):
            assert {} == refusals(await probed(chosen))
        done.set()
    assert holding.over is None
    assert commits > 0


async def test_state_partitions_that_disagree_are_told_with_the_number_to_set(kafka: str, prefix: str) -> None:
    await ensure(settings(kafka, prefix, state_partitions=7), {EVENTS, SNAPSHOTS}, {SNAPSHOTS})

    (told,) = refusals(await probed(settings(kafka, prefix))).items()

    assert "topic collector.state" == told[0]
    assert f"{prefix}collector.state has 7 partitions, and kafka.state_partitions is 4" in told[1]
    assert "set kafka.state_partitions = 7" in told[1]


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("transaction_timeout", "2000s", "the 900 s that the brokers allow (transaction.max.timeout.ms)"),
        ("session_timeout", "2h", "the 1 to 1800 s that the brokers allow (group.min.session.timeout.ms"),
    ],
)
async def test_a_timeout_beyond_the_brokers_limits_is_refused_by_its_key(
    kafka: str, prefix: str, key: str, value: str, limit: str
) -> None:
    refused = refusals(await probed(settings(kafka, prefix, **{key: value})))["timeouts"]

    assert refused.startswith(f"kafka.{key} = ")
    assert limit in refused


async def test_too_few_brokers_for_the_replication(kafka: str, prefix: str) -> None:
    told = refusals(await probed(settings(kafka, prefix, replication_factor=3)))

    assert "kafka.replication_factor is 3, with 1 broker: lower it, or wait for the other brokers" == told["kafka"]
    assert told[f"topic {EVENTS}"].startswith("cannot be created: there are too few brokers")


async def test_topics_that_nobody_may_create_are_told_each(kafka: str, prefix: str) -> None:
    told = refusals(await probed(settings(kafka, prefix, create_topics=False)))

    assert {f"topic {name}" for name in ("collector.state", EVENTS, SNAPSHOTS)} == told.keys()
    assert "create_topics = true" in told[f"topic {EVENTS}"]


@pytest.mark.parametrize(
    ("name", "configs", "text"),
    [
        ("collector.state", {"cleanup.policy": "delete"}, "to compact"),
        (EVENTS, {"cleanup.policy": "compact"}, "to delete"),
        (SNAPSHOTS, {"cleanup.policy": "delete"}, "to compact"),
        (EVENTS, {"max.message.bytes": "1000"}, "set max.message.bytes"),
    ],
)
async def test_settings_of_topics_that_would_lose_something(
    kafka: str, prefix: str, name: str, configs: dict[str, str], text: str
) -> None:
    chosen = settings(kafka, prefix)
    async with admin(chosen) as client:
        await client.create_topics([NewTopic(prefix + name, 4, 1, topic_configs=configs)])
        with anyio.fail_after(60):
            while not await describe(client, [prefix + name]):  # noqa: ASYNC110 - the controller answers before it knows
                await anyio.sleep(0.1)

    (told,) = refusals(await probed(chosen)).items()

    assert f"topic {name}" == told[0]
    assert text in told[1]


async def test_events_without_any_state_are_told_with_the_command_that_accepts_them(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    await ensure(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS})
    await _write(kafka, prefix + EVENTS)

    (told,) = refusals(await probed(chosen)).items()

    assert "topic collector.state" == told[0]
    assert f"partition 0 of {prefix}collector.state has no header" in told[1]
    assert "collector state init" in told[1]


async def test_brokers_that_do_not_verify_transactions_are_refused(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of today stands in for an old one: what it is asked for is raised above what it can."""
    monkeypatch.setattr(probing, "_VERIFIES", 99)

    assert "older than Apache Kafka 3.6" in refusals(await probed(settings(kafka, prefix)))["kafka"]


@pytest.mark.parametrize(
    ("kind", "name", "operation", "what", "text"),
    [
        (ResourceType.TOPIC, EVENTS, AclOperation.ALL, f"topic {EVENTS}", "allow collector to Describe the topic"),
        (ResourceType.TOPIC, EVENTS, AclOperation.WRITE, f"topic {EVENTS}", "allow collector to Write the topic"),
        (
            ResourceType.TOPIC,
            "collector.state",
            AclOperation.READ,
            "topic collector.state",
            "allow collector to Read the topic",
        ),
        (ResourceType.TRANSACTIONAL_ID, "group-", AclOperation.WRITE, IDS, "Describe and Write transactional ids"),
        (ResourceType.TRANSACTIONAL_ID, "group-", AclOperation.ALL, IDS, "Describe and Write transactional ids"),
        (ResourceType.GROUP, "group", AclOperation.ALL, "group group", "Read the group"),
    ],
)
async def test_each_permission_that_is_missing_is_told_of_what_it_is_missing_for(
    acl_broker: AclBroker,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    what: str,
    text: str,
) -> None:
    monkeypatch.setattr(probing, "_COORDINATED_S", 2.0)
    chosen = as_user(acl_broker, prefix)
    await ensure(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS})
    with acl_broker.denying(kind, prefix + name, operation):
        told = refusals(await probed(chosen))

    assert {what, "group group"} == told.keys(), "groups have no coordinator there"
    assert text in told[what]


async def test_without_the_right_to_create_topics_each_that_is_missing_is_told(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_COORDINATED_S", 0.5)
    denied = (ResourceType.BROKER, "kafka-cluster", AclOperation.CREATE)
    with acl_broker.denying(*denied), acl_broker.denying(ResourceType.TOPIC, prefix, AclOperation.CREATE):
        told = refusals(await probed(as_user(acl_broker, prefix)))

    assert {f"topic {name}" for name in ("collector.state", EVENTS, SNAPSHOTS)} | {"group group"} == told.keys()
    assert "allow the collector's user to Create it" in told[f"topic {EVENTS}"]


async def test_settings_that_may_not_be_seen_are_taken_for_right_which_is_told(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_COORDINATED_S", 0.5)
    chosen = as_user(acl_broker, prefix)
    await ensure(chosen, {EVENTS, SNAPSHOTS}, {SNAPSHOTS})
    with acl_broker.denying(ResourceType.TOPIC, prefix + EVENTS, AclOperation.DESCRIBE_CONFIGS):
        found = await probed(chosen)

    told = found[f"topic {EVENTS}"]
    assert isinstance(told, str)
    assert "its settings may not be seen (DescribeConfigs)" in told


async def test_coordinators_that_a_small_cluster_cannot_have_are_told_with_the_brokers_setting(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_COORDINATED_S", 0.5)

    (told,) = refusals(await probed(as_user(acl_broker, prefix))).items()

    assert "group group" == told[0]
    assert "offsets.topic.replication.factor must be lowered" in told[1]


async def _write(kafka: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, b"something")
    await anyio.to_thread.run_sync(producer.flush)
