"""Creates the topics that are missing, and verifies the settings of the others that could lose data."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import for_code
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, requests
from collector.kafka.connection import CLOSE_S, UNAVAILABLE, options
from collector.kafka.requests import (
    BAD_REPLICATION_FACTOR,
    CLUSTER_DENIED,
    NO_ERROR,
    TOPIC_DENIED,
    TOPIC_EXISTS,
    UNKNOWN_TOPIC,
)
from collector.kafka.settings import KafkaSettings

MAX_AHEAD_MS = 366 * 86_400_000
"""A higher limit of timestamps is none."""


class Topic(Struct, frozen=True):
    """A topic as the brokers describe it."""

    partitions: int
    configs: Mapping[str, str]
    """Its settings; empty when this user may not read them."""


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client; closed at the end.

    Raises KafkaMisconfigured for a password or a certificate that cannot be read; KafkaError, OSError or TimeoutError
    when the brokers cannot be used: `diagnose` finds why.
    """
    client = AIOKafkaAdminClient(**options(settings))
    try:
        with anyio.fail_after(settings.request_timeout_s):
            await client.start()
        yield client
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await client.close()


async def ensure_topics(
    settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str] = ()
) -> timedelta | None:
    """Create the topics that are missing, and verify all. `compacted` names the event topics that must be compacted.

    The state topic is one of them; `event_topics` are the others, by their whole names.

    Returns how far the timestamp of a message in the state topic may be ahead of the brokers' clocks; None if it is not
    known, or not limited.

    Raises KafkaMisconfigured for what an operator must change; KafkaError, OSError or TimeoutError when the brokers
    cannot be used.
    """
    if settings.is_mock:
        return None
    events = sorted(event_topics)
    async with admin(settings) as client:
        with anyio.fail_after(2 * settings.request_timeout_s):
            topics = await describe(client, settings, [*events, settings.state_topic])
            missing = [name for name in [settings.state_topic, *events] if name not in topics]
            if missing:
                if not settings.create_topics:
                    raise causes.topics_missing(missing)
                for failure in (await create(client, settings, missing, compacted)).values():
                    raise failure
                topics = await _wait_for_topics(client, settings, [*events, settings.state_topic])
    for name in events:
        verify_events(name, topics[name], is_compacted=name in compacted)
    verify_state(settings, topics[settings.state_topic])
    return max_ahead(topics[settings.state_topic])


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
    for name, topic in (await requests.topic_metadata(client, names)).items():
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
    names: list[str],
    compacted: Collection[str],
    *,
    validate_only: bool = False,
) -> dict[str, KafkaMisconfigured]:
    """Create the topics, or with `validate_only` only let the brokers check whether they could be created.

    Returns the error of each topic that cannot be created. A topic that already exists has none: another replica may
    have created it. Raises KafkaError, OSError or TimeoutError.
    """
    topics = [_new_topic(settings, name, is_compacted=name in compacted) for name in names]
    response = await client.create_topics(topics, validate_only=validate_only)
    failures: dict[str, KafkaMisconfigured] = {}
    for name, error, *text in response.topic_errors:
        if error in (NO_ERROR, TOPIC_EXISTS):
            continue
        if error == BAD_REPLICATION_FACTOR:
            failures[name] = causes.too_few_brokers(settings)
            continue
        reason = text[0] if text and text[0] else for_code(error).__name__
        is_denied = error in (TOPIC_DENIED, CLUSTER_DENIED)
        failures[name] = causes.topic_not_created(settings, name, reason, is_denied=is_denied)
    return failures


def event_topic_configs(settings: KafkaSettings, *, is_compacted: bool) -> dict[str, str]:
    """The settings of retention with which an event topic is created."""
    if is_compacted:
        return {"cleanup.policy": "compact"}
    retention_ms = int(settings.retention.total_seconds() * 1000)
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}


def _new_topic(settings: KafkaSettings, name: str, *, is_compacted: bool) -> NewTopic:
    configs = {"min.insync.replicas": "2"} if settings.replication_factor > 2 else {}  # noqa: PLR2004 - 2 of 3
    partitions = settings.partitions
    if name == settings.state_topic:
        partitions = settings.state_partitions
        configs |= {
            "cleanup.policy": "compact",
            "segment.bytes": str(32 << 20),  # a segment is compacted once it is closed: small ones keep restores short
            "min.cleanable.dirty.ratio": "0.1",
        }
    else:
        configs |= event_topic_configs(settings, is_compacted=is_compacted)
    return NewTopic(name, partitions, settings.replication_factor, topic_configs=configs)


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
