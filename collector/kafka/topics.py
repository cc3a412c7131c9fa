"""Creates the topics that are missing, and verifies the settings of the others that could lose data."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from msgspec import Struct, field

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, notices, requests
from collector.kafka.connection import CLOSE_S, options
from collector.kafka.creation import Creation, create
from collector.kafka.notices import KafkaNotice
from collector.kafka.plan import MIN_INSYNC_REPLICAS, REPLICAS_OF_A_QUORUM, topic_names
from collector.kafka.requests import NO_ERROR, TOPIC_DENIED, UNKNOWN_TOPIC, Metadata
from collector.kafka.settings import KafkaSettings

MAX_AHEAD_MS = 366 * 86_400_000
"""A higher limit of timestamps is none."""


class Topic(Struct, frozen=True):
    """A topic as the brokers describe it."""

    partitions: int
    configs: Mapping[str, str]
    """Its settings; empty when this user may not read them."""


class Verified(Struct, frozen=True):
    """What is known of topics that were described."""

    max_ahead: timedelta | None = None
    """How far the timestamp of a message in the state topic may be ahead of the brokers' clocks; None if it is not
    known, or not limited."""
    notices: Sequence[KafkaNotice] = ()
    unusable: Mapping[str, KafkaMisconfigured] = field(default_factory=dict)
    """Why event topics cannot be used, by name. Only the streams that publish to them wait."""


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
    """As `prepare_topics`, where each of the topics is needed by all."""
    names = list(event_topics)
    return await prepare_topics(settings, names, compacted, needed=names)


async def prepare_topics(
    settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str], *, needed: Collection[str]
) -> Verified:
    """Create the topics that are missing, and verify all. `compacted` names the event topics that must be compacted.

    The state topic is one of them; `event_topics` are the others, by their whole names. All streams need the state
    topic and those in `needed`.

    Raises KafkaMisconfigured for what an operator must change in these; KafkaError, OSError or TimeoutError when the
    brokers cannot be used.
    """
    if settings.is_mock:
        return Verified()
    names = topic_names(settings, event_topics)
    verified = await _prepare(settings, names, compacted, may_create=settings.create_topics)
    blocking = [error for name, error in verified.unusable.items() if name in needed or name == settings.state_topic]
    if any(error.is_missing for error in blocking):
        raise causes.topics_missing([name for name, error in verified.unusable.items() if error.is_missing])
    for error in blocking:
        raise error
    return verified


async def prepare_event_topics(
    settings: KafkaSettings, names: Collection[str], compacted: Collection[str], *, may_create: bool
) -> Verified:
    """As `prepare_topics`, for these event topics alone. None are created unless `may_create`."""
    if settings.is_mock:
        return Verified()
    return await _prepare(settings, sorted(names), compacted, may_create=may_create and settings.create_topics)


async def _prepare(
    settings: KafkaSettings, names: Sequence[str], compacted: Collection[str], *, may_create: bool
) -> Verified:
    """Create what is missing, and verify all. `unusable` has the names in the given order, and may have all."""
    async with admin(settings) as client:
        with anyio.fail_after(2 * settings.request_timeout_s):
            topics, unusable = await _described(client, settings, names)
            creation = Creation({}, {})
            if missing := [name for name in names if name not in topics and name not in unusable]:
                if may_create:
                    creation = await create(client, settings, missing, compacted)
                    unusable.update(creation.failures)
                    created = [name for name in missing if name not in creation.failures]
                    topics.update(await _wait_for_topics(client, settings, created))
                else:
                    unusable.update({name: causes.topic_missing(settings, name) for name in missing})
            for name, topic in topics.items():
                if (error := _problem(settings, name, topic, is_compacted=name in compacted)) is not None:
                    unusable[name] = error
            found = await requests.metadata(client, [name for name in topics if name not in unusable])
    found_notices = creation.notices({name: topic.configs for name, topic in topics.items()})
    own_configs = {name: topics[name].configs for name in found.topics if name not in creation.reduced}
    found_notices += [each for each in (replication_notice(found), in_sync_notice(found, own_configs)) if each]
    state = topics.get(settings.state_topic)
    return Verified(
        None if state is None else max_ahead(state),
        found_notices,
        {name: unusable[name] for name in names if name in unusable},
    )


def _problem(settings: KafkaSettings, name: str, topic: Topic, *, is_compacted: bool) -> KafkaMisconfigured | None:
    """Why a topic that exists cannot be used; None if it can."""
    try:
        if name == settings.state_topic:
            verify_state(settings, topic)
        else:
            verify_events(name, topic, is_compacted=is_compacted)
    except KafkaMisconfigured as error:
        return error
    return None


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


async def describe(client: AIOKafkaAdminClient, settings: KafkaSettings, names: Sequence[str]) -> dict[str, Topic]:
    """Describe the topics; the result has only those that exist.

    Raises KafkaMisconfigured for one that this user may not describe; KafkaError, OSError or TimeoutError.
    """
    topics, denied = await _described(client, settings, names)
    for error in denied.values():
        raise error
    return topics


async def _described(
    client: AIOKafkaAdminClient, settings: KafkaSettings, names: Sequence[str]
) -> tuple[dict[str, Topic], dict[str, KafkaMisconfigured]]:
    """The topics that exist, and why this user may not describe others."""
    partitions: dict[str, int] = {}
    denied: dict[str, KafkaMisconfigured] = {}
    for name, topic in (await requests.metadata(client, names)).topics.items():
        if topic.error == TOPIC_DENIED:
            denied[name] = causes.topic_denied(settings, name, "Describe")
        elif topic.error not in (NO_ERROR, UNKNOWN_TOPIC):
            raise for_code(topic.error)
        elif topic.partitions:
            partitions[name] = topic.partitions
    configs = await requests.configs(client, ConfigResourceType.TOPIC, partitions)
    return {name: Topic(count, configs.get(name, {})) for name, count in partitions.items()}, denied


async def existing_topics(settings: KafkaSettings, names: Iterable[str]) -> list[str]:
    """Those of the topics that any broker knows. A topic is missing only if every broker responds so.

    A broker that has just started, or that the others cannot reach, may not know a topic that exists.

    Raises KafkaMisconfigured for one that this user may not describe; KafkaError, OSError or TimeoutError also when a
    single broker does not respond.
    """
    wanted, found = sorted(names), set[str]()
    if settings.is_mock or not wanted:
        return wanted
    async with admin(settings) as client:
        with anyio.fail_after(2 * settings.request_timeout_s):
            for node in (await requests.metadata(client, [])).brokers:
                for name, topic in (await requests.metadata(client, wanted, node)).topics.items():
                    if topic.error == TOPIC_DENIED:
                        raise causes.topic_denied(settings, name, "Describe")
                    if topic.error != UNKNOWN_TOPIC:
                        found.add(name)
    return sorted(found)


async def _wait_for_topics(
    client: AIOKafkaAdminClient, settings: KafkaSettings, names: Sequence[str]
) -> dict[str, Topic]:
    """Describe the topics once all of them exist: the controller responds before every broker knows a new topic.

    The caller sets a deadline.
    """
    topics: dict[str, Topic] = {}
    while names and len(topics := await describe(client, settings, names)) < len(names):  # noqa: ASYNC110 - nothing is announced
        await anyio.sleep(0.1)
    return topics


def verify_events(name: str, topic: Topic, *, is_compacted: bool) -> None:
    """Raise KafkaMisconfigured when the settings of an event topic would lose events."""
    policy = topic.configs.get("cleanup.policy", "")
    if "compact" in policy and not is_compacted:
        raise causes.cleanup_policy(name, policy, must_be="delete", of_one_topic=True)
    if "delete" in policy and is_compacted:
        raise causes.cleanup_policy(name, policy, must_be="compact", of_one_topic=True)
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
