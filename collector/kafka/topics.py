"""Creates the topics that are missing, and verifies the settings of the others that could lose data."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from msgspec import Struct, structs

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, notices, requests
from collector.kafka.connection import CLOSE_S, UNAVAILABLE, options
from collector.kafka.notices import KafkaNotice
from collector.kafka.plan import (
    CLEANUP_POLICY,
    MIN_INSYNC_REPLICAS,
    REPLICAS_OF_A_QUORUM,
    RETENTION,
    PlannedTopic,
    planned_topic,
    topic_names,
)
from collector.kafka.requests import (
    BAD_REPLICATION_FACTOR,
    CLUSTER_DENIED,
    DEFAULT_REPLICATION,
    INVALID_CONFIG,
    NO_ERROR,
    POLICY_VIOLATION,
    TOPIC_DENIED,
    TOPIC_EXISTS,
    UNKNOWN_TOPIC,
    Metadata,
    NewTopic,
)
from collector.kafka.settings import KafkaSettings

KEPT = {CLEANUP_POLICY, RETENTION}, {CLEANUP_POLICY}
"""What is offered next when settings of a topic are refused: first all that decides how long its messages are kept."""
MAX_AHEAD_MS = 366 * 86_400_000
"""A higher limit of timestamps is none."""


class Topic(Struct, frozen=True):
    """A topic as the brokers describe it."""

    partitions: int
    configs: Mapping[str, str]
    """Its settings; empty when this user may not read them."""


class Verified(Struct, frozen=True):
    """The topics, once all of them exist and can be used."""

    max_ahead: timedelta | None = None
    """How far the timestamp of a message in the state topic may be ahead of the brokers' clocks; None if it is not
    known, or not limited."""
    notices: Sequence[KafkaNotice] = ()


class Creation(Struct, frozen=True):
    """What became of an attempt to create topics."""

    failures: Mapping[str, KafkaMisconfigured]
    """Why a topic cannot be created, by its name."""
    reduced: Mapping[str, tuple[Mapping[str, str], str]]
    """The topics that are created without some wished settings: these, and why the brokers refuse one of them."""


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client; closed at the end.

    Raises KafkaMisconfigured for a password or a certificate that cannot be read, and for brokers that the client
    library does not support; KafkaError, OSError or TimeoutError when the brokers cannot be used: `diagnose` finds why.
    """
    client = AIOKafkaAdminClient(**options(settings))
    try:
        with anyio.fail_after(settings.request_timeout_s):
            await client.start()
        yield client
    except (NotImplementedError, IncompatibleBrokerVersion) as error:  # aiokafka raises both
        raise causes.brokers_incompatible(error) from error
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await client.close()


async def ensure_topics(
    settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str] = ()
) -> Verified:
    """Create the topics that are missing, and verify all. `compacted` names the event topics that must be compacted.

    The state topic is one of them; `event_topics` are the others, by their whole names.

    Raises KafkaMisconfigured for what an operator must change; KafkaError, OSError or TimeoutError when the brokers
    cannot be used.
    """
    if settings.is_mock:
        return Verified()
    names = topic_names(settings, event_topics)
    async with admin(settings) as client:
        with anyio.fail_after(2 * settings.request_timeout_s):
            topics = await describe(client, settings, names)
            missing = [name for name in names if name not in topics]
            creation = Creation({}, {})
            if missing:
                if not settings.create_topics:
                    raise causes.topics_missing(missing)
                creation = await create(client, settings, missing, compacted)
                for failure in creation.failures.values():
                    raise failure
                topics = await _wait_for_topics(client, settings, names)
            found = await requests.metadata(client, names)
    for name in names[1:]:
        verify_events(name, topics[name], is_compacted=name in compacted)
    verify_state(settings, topics[settings.state_topic])
    found_notices = [
        notice
        for name, (wished, reason) in creation.reduced.items()
        if (notice := _refused(name, wished, topics[name].configs, reason)) is not None
    ]
    own_configs = {name: each.configs for name, each in topics.items() if name not in creation.reduced}
    found_notices += [each for each in (replication_notice(found), in_sync_notice(found, own_configs)) if each]
    return Verified(max_ahead(topics[settings.state_topic]), found_notices)


def replication_notice(found: Metadata) -> KafkaNotice | None:
    """The notice of topics with a single replica; None if there are none, or only one broker."""
    single = [name for name, topic in found.topics.items() if topic.replication == 1]
    return notices.not_replicated(single, len(found.brokers)) if single and len(found.brokers) > 1 else None


def in_sync_notice(found: Metadata, configs: Mapping[str, Mapping[str, str]]) -> KafkaNotice | None:
    """The notice of topics with three replicas or more of which one may acknowledge alone; None if there are none.

    `configs` has the settings that the brokers report, by topic.
    """
    alone = [name for name, each in configs.items() if each.get(MIN_INSYNC_REPLICAS) == "1"]
    weak = [name for name in alone if found.topics[name].replication >= REPLICAS_OF_A_QUORUM]
    return notices.too_few_in_sync(weak) if weak else None


def _refused(name: str, wished: Mapping[str, str], actual: Mapping[str, str], reason: str) -> KafkaNotice | None:
    """The notice of a topic that was created without some of the wished settings; None if it has them nevertheless."""
    differences = {key: (value, actual.get(key)) for key, value in wished.items() if actual.get(key) != value}
    return notices.settings_refused(name, differences, reason) if differences else None


async def is_usable(settings: KafkaSettings, topic: str) -> bool:
    """Whether the topic exists and may be described; False also when Kafka cannot be used."""
    try:
        async with admin(settings) as client:
            return topic in await describe(client, settings, [topic])
    except (KafkaMisconfigured, *UNAVAILABLE):
        return False


async def describe(client: AIOKafkaAdminClient, settings: KafkaSettings, names: list[str]) -> dict[str, Topic]:
    """Describe the topics; the result has only those that exist.

    Raises KafkaMisconfigured for one that this user may not describe; KafkaError, OSError or TimeoutError.
    """
    partitions: dict[str, int] = {}
    for name, topic in (await requests.metadata(client, names)).topics.items():
        if topic.error == TOPIC_DENIED:
            raise causes.topic_denied(settings, name, "Describe")
        if topic.error not in (NO_ERROR, UNKNOWN_TOPIC):
            raise for_code(topic.error)
        if topic.partitions:
            partitions[name] = topic.partitions
    configs = await requests.configs(client, ConfigResourceType.TOPIC, partitions)
    return {name: Topic(count, configs.get(name, {})) for name, count in partitions.items()}


async def create(
    client: AIOKafkaAdminClient,
    settings: KafkaSettings,
    names: Sequence[str],
    compacted: Collection[str],
    *,
    validate_only: bool = False,
) -> Creation:
    """Create the topics, or with `validate_only` only let the brokers check whether they could be created.

    Where the brokers refuse the settings that the collector wishes, the topic is created with those of KEPT alone:
    services protect settings, or have minimums. A topic that already exists is no failure: another replica may have
    created it. Raises KafkaError, OSError or TimeoutError.
    """
    replication = settings.replication_factor or await _default_replication(client)
    wished = {
        name: planned_topic(settings, name, is_compacted=name in compacted, replication=replication) for name in names
    }
    offered = dict(wished)
    results = dict(await _create(client, settings, offered.values(), validate_only=validate_only))
    reduced: dict[str, tuple[Mapping[str, str], str]] = {}
    for kept in KEPT:
        fewer: dict[str, PlannedTopic] = {}
        for name, (error, reason) in results.items():
            configs = wished[name].configs
            remaining = {key: value for key, value in configs.items() if key in kept}
            if error in (INVALID_CONFIG, POLICY_VIOLATION) and remaining != offered[name].configs:
                fewer[name] = offered[name] = structs.replace(wished[name], configs=remaining)
                others = {key: value for key, value in configs.items() if key not in kept}
                reduced[name] = others, reason or for_code(error).__name__
        if fewer:
            results |= await _create(client, settings, fewer.values(), validate_only=validate_only)
    failures: dict[str, KafkaMisconfigured] = {}
    for name, (error, reason) in results.items():
        if error not in (NO_ERROR, TOPIC_EXISTS):
            failures[name] = _failure(settings, name, error, reason or for_code(error).__name__)
    return Creation(failures, {name: each for name, each in reduced.items() if name not in failures})


async def _create(
    client: AIOKafkaAdminClient,
    settings: KafkaSettings,
    topics: Iterable[PlannedTopic],
    *,
    validate_only: bool,
) -> Mapping[str, tuple[int, str]]:
    replication = settings.replication_factor or DEFAULT_REPLICATION
    new = [NewTopic(each.name, each.partitions, replication, each.configs) for each in topics]
    return await requests.create_topics(client, new, validate_only=validate_only)


def _failure(settings: KafkaSettings, name: str, error: int, reason: str) -> KafkaMisconfigured:
    if error == BAD_REPLICATION_FACTOR and settings.replication_factor is not None:
        return causes.too_few_brokers(settings)
    if error in (INVALID_CONFIG, POLICY_VIOLATION):
        return causes.topic_refused(settings, name, reason)
    return causes.topic_not_created(settings, name, reason, is_denied=error in (TOPIC_DENIED, CLUSTER_DENIED))


async def _default_replication(client: AIOKafkaAdminClient) -> int | None:
    """The replication factor that the brokers choose; None if they do not report it."""
    brokers = (await requests.metadata(client, [])).brokers
    configs = await requests.configs(client, ConfigResourceType.BROKER, map(str, brokers[:1]))
    values = [each.get("default.replication.factor") for each in configs.values()]
    return next((int(value) for value in values if value), None)


async def _wait_for_topics(client: AIOKafkaAdminClient, settings: KafkaSettings, names: list[str]) -> dict[str, Topic]:
    """Describe the topics once all of them exist: the controller responds before every broker knows a new topic.

    The caller sets a deadline.
    """
    while len(topics := await describe(client, settings, names)) < len(names):  # noqa: ASYNC110 - brokers announce nothing
        await anyio.sleep(0.1)
    return topics


def verify_events(name: str, topic: Topic, *, is_compacted: bool) -> None:
    """Raise KafkaMisconfigured when the settings of an event topic would lose events."""
    policy = topic.configs.get("cleanup.policy", "")
    if "compact" in policy and not is_compacted:
        raise causes.cleanup_policy(name, policy, must_be="delete")
    if "delete" in policy and is_compacted:
        raise causes.cleanup_policy(name, policy, must_be="compact")
    _verify_size(name, topic)


def verify_state(settings: KafkaSettings, topic: Topic) -> None:
    """Raise KafkaMisconfigured when the number of partitions is wrong, or the topic's settings would lose state."""
    if topic.partitions != settings.state_partitions:
        raise causes.state_partitions(settings, topic.partitions)
    if (policy := topic.configs.get("cleanup.policy", "compact")) != "compact":
        raise causes.cleanup_policy(settings.state_topic, policy, must_be="compact")
    _verify_size(settings.state_topic, topic)


def max_ahead(topic: Topic) -> timedelta | None:
    """How far a message's timestamp may be ahead of the brokers' clocks; None if it is not known, or not limited.

    The default of brokers is an hour since Kafka 4.0 (KIP-1030), and no limit before.
    """
    value = topic.configs.get("message.timestamp.after.max.ms")
    if value is None or topic.configs.get("message.timestamp.type") != "CreateTime" or int(value) > MAX_AHEAD_MS:
        return None
    return timedelta(milliseconds=int(value))


def _verify_size(name: str, topic: Topic) -> None:
    value = topic.configs.get("max.message.bytes")
    if value is not None and int(value) < causes.MIN_MAX_MESSAGE_BYTES:
        raise causes.message_size(name, f"max.message.bytes is {value}")
