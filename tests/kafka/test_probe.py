"""What `collector check` reports of a real Kafka: each misconfiguration with its cause, and nothing changed."""

from contextlib import aclosing
from typing import NoReturn

import anyio
import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NotEnoughReplicasError
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType
from msgspec import structs

from collector.errors import KafkaMisconfigured
from collector.kafka.claim import claim
from collector.kafka.diagnosis import probe as probe_module
from collector.kafka.diagnosis import trial
from collector.kafka.diagnosis.probe import Result, probe
from collector.kafka.epoch import epoch
from collector.kafka.notices import KafkaNotice
from collector.kafka.requests import WRITE, TopicMetadata
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.acl_broker import PASSWORD, USER, AclBroker
from tests.kafka.broker import free_port

pytestmark = pytest.mark.anyio

EVENTS, SNAPSHOTS = "test.things", "test.states"
IDS = "transactional ids"


def settings(kafka: str, prefix: str, **keys: object) -> KafkaSettings:
    given = {"topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 4, "partitions": 3, **keys}
    return KafkaSettings.model_validate({"bootstrap_servers": kafka, "transaction_timeout": "9s", **given})


def topics(chosen: KafkaSettings) -> tuple[set[str], set[str]]:
    """The event topics, and those of them that are compacted."""
    events, snapshots = chosen.topic_prefix + EVENTS, chosen.topic_prefix + SNAPSHOTS
    return {events, snapshots}, {snapshots}


def as_user(acl_broker: AclBroker, prefix: str, **keys: object) -> KafkaSettings:
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    return settings(acl_broker.sasl_address, prefix, sasl=sasl, **keys)


async def probed(chosen: KafkaSettings) -> dict[str, Result]:
    """The results by their names without the prefix of the topics."""
    async with aclosing(probe(chosen, *topics(chosen), {0, 3})) as lines:
        results = {name.replace(chosen.topic_prefix, ""): result async for name, result in lines}
    names = [f"topic {name}" for name in ("collector.state", SNAPSHOTS, EVENTS)]
    tried = [] if isinstance(results[IDS], KafkaMisconfigured) else ["transactions"]
    assert ["kafka", "timeouts", *names, IDS, *tried, "group group"] == list(results)
    return results


async def misconfigured(chosen: KafkaSettings) -> dict[str, KafkaMisconfigured]:
    results = (await probed(chosen)).items()
    return {name: result for name, result in results if isinstance(result, KafkaMisconfigured)}


def codes(found: dict[str, KafkaMisconfigured]) -> dict[str, str]:
    return {name: error.code for name, error in found.items()}


async def test_an_empty_kafka_is_as_it_must_be_and_stays_empty(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)

    results = await probed(chosen)

    assert [] == [result for result in results.values() if isinstance(result, KafkaMisconfigured)]
    assert f"1 broker at {kafka}, which verifies transactions" == results["kafka"]
    missing = "does not exist yet: the first start creates it"
    assert (missing, missing) == (results[f"topic {EVENTS}"], results["topic collector.state"])
    assert "may be joined, and has no members" == results["group group"]
    existing = AdminClient({"bootstrap.servers": kafka}).list_topics().topics
    assert [] == [name for name in existing if name.startswith(prefix)]


async def test_topics_that_are_as_they_must_be_are_reported_with_their_partitions(kafka: str, prefix: str) -> None:
    chosen = settings(kafka, prefix)
    await ensure_topics(chosen, *topics(chosen))

    results = await probed(chosen)

    assert [] == [result for result in results.values() if isinstance(result, KafkaMisconfigured)]
    assert ("4 partitions", "3 partitions") == (results["topic collector.state"], results[f"topic {EVENTS}"])


async def test_a_running_producer_is_not_fenced(kafka: str, prefix: str) -> None:
    """Although the probe verifies the permission for the transactional id that is in use."""
    chosen = settings(kafka, prefix)
    await ensure_topics(chosen, *topics(chosen))
    assert await claim(chosen, topics(chosen)[0], 0)
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
            assert {} == codes(await misconfigured(chosen))
        done.set()
    assert holding.failure is None
    assert commits > 0


async def test_another_number_of_state_partitions_is_reported_with_both_numbers(kafka: str, prefix: str) -> None:
    await ensure_topics(settings(kafka, prefix, state_partitions=7), *topics(settings(kafka, prefix)))

    found = await misconfigured(settings(kafka, prefix))

    assert {"topic collector.state": "state_partitions"} == codes(found)
    error = found["topic collector.state"]
    assert all(fact in str(error) for fact in (f"{prefix}collector.state", "7", "kafka.state_partitions is 4"))
    assert "kafka.state_partitions = 7" in error.advice


@pytest.mark.parametrize(
    ("key", "value", "facts"),
    [
        ("transaction_timeout", "2000s", ("2000 s", "900 s", "transaction.max.timeout.ms")),
        ("session_timeout", "2h", ("7200 s", "1 to 1800 s", "group.min.session.timeout.ms")),
    ],
)
async def test_a_timeout_beyond_the_limits_of_the_brokers_is_reported_with_its_key(
    kafka: str, prefix: str, key: str, value: str, facts: tuple[str, ...]
) -> None:
    error = (await misconfigured(settings(kafka, prefix, **{key: value})))["timeouts"]

    assert key == error.code
    assert all(fact in str(error) for fact in (f"kafka.{key} = ", *facts))


async def test_too_few_brokers_for_the_replicas(kafka: str, prefix: str) -> None:
    found = await misconfigured(settings(kafka, prefix, replication_factor=3))

    assert {"too_few_brokers"} == set(codes(found).values())
    assert all(fact in str(found["kafka"]) for fact in ("kafka.replication_factor is 3", "1 broker"))
    assert {"kafka", *(f"topic {name}" for name in ("collector.state", EVENTS, SNAPSHOTS))} == found.keys()


async def test_each_missing_topic_is_reported_when_the_collector_must_not_create_topics(
    kafka: str, prefix: str
) -> None:
    found = await misconfigured(settings(kafka, prefix, create_topics=False))

    topics = ("collector.state", EVENTS, SNAPSHOTS)
    assert {f"topic {name}": "topics_missing" for name in topics} == codes(found)
    assert "kafka.create_topics = true" in found[f"topic {EVENTS}"].advice


@pytest.mark.parametrize(
    ("name", "configs", "code", "advice"),
    [
        ("collector.state", {"cleanup.policy": "delete"}, "cleanup_policy", "to compact"),
        (EVENTS, {"cleanup.policy": "compact"}, "cleanup_policy", "to delete"),
        (SNAPSHOTS, {"cleanup.policy": "delete"}, "cleanup_policy", "to compact"),
        (EVENTS, {"max.message.bytes": "1000"}, "message_size", "set max.message.bytes"),
    ],
)
async def test_topic_settings_that_would_lose_records_are_reported(
    kafka: str, prefix: str, name: str, configs: dict[str, str], code: str, advice: str
) -> None:
    chosen = settings(kafka, prefix)
    async with admin(chosen) as client:
        await client.create_topics([NewTopic(prefix + name, 4, 1, topic_configs=configs)])
        with anyio.fail_after(60):
            # The controller responds before the broker knows the topic.
            while not await describe(client, chosen, [prefix + name]):  # noqa: ASYNC110
                await anyio.sleep(0.1)

    found = await misconfigured(chosen)

    assert {f"topic {name}": code} == codes(found)
    assert advice in found[f"topic {name}"].advice


async def test_events_without_state_are_reported_with_the_command_that_accepts_the_loss(
    kafka: str, prefix: str
) -> None:
    chosen = settings(kafka, prefix)
    await ensure_topics(chosen, *topics(chosen))
    await _write(kafka, prefix + EVENTS)

    found = await misconfigured(chosen)

    assert {"topic collector.state": "state_header_missing"} == codes(found)
    assert f"partition 0 of {prefix}collector.state" in str(found["topic collector.state"])
    assert "collector state init" in found["topic collector.state"].advice


async def test_brokers_that_do_not_verify_transactions_are_reported(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A current broker stands in for an old one: the version that it must support is raised above its own."""
    monkeypatch.setattr(probe_module, "VERIFYING_VERSION", 99)

    results = await probed(settings(kafka, prefix))

    notice = results["kafka"]
    assert isinstance(notice, KafkaNotice)
    assert "transactions_not_verified" == notice.code
    assert "before 3.6" in notice.consequence
    assert [] == [each for each in results.values() if isinstance(each, KafkaMisconfigured)]


async def test_a_broker_without_the_requests_of_transactions_cannot_be_used(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "ADD_PARTITIONS_TO_TXN", 9999)

    assert {"kafka": "no_transactions"} == codes(await misconfigured(settings(kafka, prefix)))


async def test_the_trial_needs_no_longer_transactions_than_the_collector(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers may allow less than the trial's own timeout. Here that is raised above their limit of 900 s."""
    monkeypatch.setattr(trial, "TRIAL_S", 2000.0)

    assert {} == await misconfigured(settings(kafka, prefix))


async def test_the_trial_names_a_limit_of_the_brokers(kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TRIAL_S", 2000.0)

    with pytest.raises(KafkaMisconfigured) as raised:
        await trial.try_transaction(settings(kafka, prefix, transaction_timeout="1000s"), has_topic=False)

    assert "transaction_timeout" == raised.value.code


@pytest.mark.parametrize("error", [TimeoutError, KafkaTimeoutError, NotEnoughReplicasError])
async def test_a_state_topic_without_enough_replicas_is_not_said_to_lack_transactions(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    chosen = settings(kafka, prefix)
    await ensure_topics(chosen, *topics(chosen))

    async def refuse(*_: object, **_keys: object) -> NoReturn:
        raise error

    monkeypatch.setattr("collector.kafka.producer.Producer.send_and_wait", refuse)

    with pytest.raises(KafkaMisconfigured) as raised:
        await trial.try_transaction(chosen, has_topic=True)

    assert "topic_not_written" == raised.value.code


async def test_brokers_that_are_lost_during_the_trial_are_not_said_to_lack_transactions(prefix: str) -> None:
    with pytest.raises(KafkaConnectionError):
        await trial.try_transaction(settings(f"127.0.0.1:{free_port()}", prefix), has_topic=False)


async def test_what_brokers_do_not_report_is_neither_allowed_nor_denied(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that reports everything stands in for one that reports no permissions and no settings."""
    chosen = settings(kafka, prefix)
    await ensure_topics(chosen, *topics(chosen))
    monkeypatch.setattr("collector.kafka.requests._allows", lambda *_: None)

    async def no_configs(*_: object) -> dict[str, dict[str, str]]:
        return {}

    monkeypatch.setattr("collector.kafka.requests.configs", no_configs)
    results = await probed(chosen)

    assert [] == [each for each in results.values() if isinstance(each, KafkaMisconfigured)]
    unreported = ["timeouts", f"topic {EVENTS}", "topic collector.state"]
    assert unreported == [name for name in unreported if "not reported" in str(results[name])]
    assert "denied" not in str(results)


@pytest.mark.parametrize("exists", [False, True])
async def test_a_transaction_is_tried_and_leaves_nothing_to_read(kafka: str, prefix: str, exists: bool) -> None:
    chosen = settings(kafka, prefix)
    if exists:
        await ensure_topics(chosen, *topics(chosen))

    results = await probed(chosen)

    assert ("aborted" in str(results["transactions"])) == exists
    if exists:
        assert await claim(chosen, topics(chosen)[0], 0), "an aborted record is no state"


@pytest.mark.parametrize(
    ("kind", "name", "operation", "what", "code", "advice"),
    [
        (ResourceType.TOPIC, EVENTS, AclOperation.ALL, f"topic {EVENTS}", "topic_denied", "to Describe the topic"),
        (ResourceType.TOPIC, EVENTS, AclOperation.WRITE, f"topic {EVENTS}", "topic_denied", "to Write the topic"),
        (
            ResourceType.TOPIC,
            "collector.state",
            AclOperation.READ,
            "topic collector.state",
            "topic_denied",
            "to Read the topic",
        ),
        (ResourceType.TRANSACTIONAL_ID, "group-", AclOperation.WRITE, IDS, "transactional_id_denied", "Write"),
        (ResourceType.TRANSACTIONAL_ID, "group-", AclOperation.ALL, IDS, "transactional_id_denied", "Describe"),
        (ResourceType.GROUP, "group", AclOperation.ALL, "group group", "group_denied", "Read the group"),
    ],
)
async def test_each_missing_permission_is_reported_for_what_it_is_needed(
    acl_broker: AclBroker,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    what: str,
    code: str,
    advice: str,
) -> None:
    monkeypatch.setattr(probe_module, "COORDINATOR_TIMEOUT_S", 2.0)
    chosen = as_user(acl_broker, prefix)
    await ensure_topics(chosen, *topics(chosen))
    with acl_broker.denying(kind, prefix + name, operation):
        found = await misconfigured(chosen)

    expected = {"group group": "no_coordinator", what: code}  # this broker has no group coordinator
    if advice == "to Describe the topic":  # a new deployment does not start then, and neither do its other streams
        expected["topic collector.state"] = "topic_emptiness_unknown"
    assert expected == codes(found)
    assert all(fact in found[what].advice for fact in (USER, advice))


async def test_topics_that_the_user_may_not_create_are_reported_each(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "COORDINATOR_TIMEOUT_S", 0.5)
    denied = (ResourceType.BROKER, "kafka-cluster", AclOperation.CREATE)
    with acl_broker.denying(*denied), acl_broker.denying(ResourceType.TOPIC, prefix, AclOperation.CREATE):
        found = await misconfigured(as_user(acl_broker, prefix))

    topics = {f"topic {name}": "topic_not_created" for name in ("collector.state", EVENTS, SNAPSHOTS)}
    assert topics | {"group group": "no_coordinator"} == codes(found)
    assert f"allow {USER} to Create" in found[f"topic {EVENTS}"].advice


async def test_topic_settings_that_may_not_be_seen_are_not_verified_and_the_line_says_so(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "COORDINATOR_TIMEOUT_S", 0.5)
    chosen = as_user(acl_broker, prefix)
    await ensure_topics(chosen, *topics(chosen))
    with acl_broker.denying(ResourceType.TOPIC, prefix + EVENTS, AclOperation.DESCRIBE_CONFIGS):
        results = await probed(chosen)

    result = results[f"topic {EVENTS}"]
    assert isinstance(result, str)
    assert "DescribeConfigs" in result


async def test_a_missing_coordinator_is_reported_with_the_setting_of_the_brokers(
    acl_broker: AclBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "COORDINATOR_TIMEOUT_S", 0.5)

    found = await misconfigured(as_user(acl_broker, prefix))

    assert {"group group": "no_coordinator"} == codes(found)
    assert "offsets.topic.replication.factor" in found["group group"].advice


async def _write(kafka: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, b"something")
    await anyio.to_thread.run_sync(producer.flush)


def test_operations_that_a_broker_does_not_report_are_unknown() -> None:
    not_reported = TopicMetadata(0, 1, 1, 0, -(1 << 31))  # as in the protocol: KIP-430

    assert (None, True, False) == (
        not_reported.allows(WRITE),
        structs.replace(not_reported, allowed=1 << WRITE).allows(WRITE),
        structs.replace(not_reported, allowed=0).allows(WRITE),
    )
