"""The topics: created where they are missing, verified in what matters."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.metadata import MetadataRequest
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka.connection import CLOSE_S, UNAVAILABLE, options
from collector.kafka.hooks import send_request
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings

MIN_MAX_MESSAGE_BYTES = 1_000_000
"""What max.message.bytes of every topic must allow: one event may have 900 kB."""
_NONE, _EXISTS, _UNKNOWN, _AUTHORIZATION, _CLUSTER_AUTHORIZATION = 0, 36, 3, 29, 31
_INVALID_REPLICATION_FACTOR = 38


class Topic(Struct, frozen=True):
    """A topic as the broker has it."""

    partitions: int
    configs: Mapping[str, str]


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises Refused when the brokers are there and do not let us in; KafkaError, OSError or TimeoutError else."""
    how = options(settings)
    client = AIOKafkaAdminClient(**how)
    try:
        with anyio.fail_after(settings.request_timeout_s):
            await client.start()
        yield client
    except UNAVAILABLE as error:
        raise await refusal(settings, how) or error from error
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await client.close()


async def ensure(settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str] = ()) -> None:
    """Create what is missing, and verify the rest; of the event topics some are `compacted`, if they are among them.

    Raises Refused for what an operator must mend; KafkaError, OSError or TimeoutError when the brokers do not answer.
    """
    if not settings.is_complete:
        return
    events = [settings.topic_prefix + name for name in sorted(event_topics)]
    latest = {settings.topic_prefix + name for name in compacted}
    async with admin(settings) as client:
        with anyio.fail_after(2 * settings.request_timeout_s):
            there = await describe(client, [*events, settings.state_topic])
            missing = [name for name in [settings.state_topic, *events] if name not in there]
            if missing:
                if not settings.create_topics:
                    raise absent(missing)
                for refused in (await create(client, settings, missing, latest)).values():
                    raise refused
                there = await _appeared(client, [*events, settings.state_topic])
    for name in events:
        verify_events(name, there[name], name in latest)
    verify_state(settings, there[settings.state_topic])


async def is_usable(settings: KafkaSettings, topic: str) -> bool:
    """Whether the topic is there and may be seen."""
    try:
        async with admin(settings) as client:
            return topic in await describe(client, [topic])
    except (KafkaMisconfigured, *UNAVAILABLE):
        return False


def absent(names: list[str]) -> KafkaMisconfigured:
    advice = "create them, or set kafka.create_topics = true"
    return KafkaMisconfigured(f"topics are missing: {', '.join(names)}", advice=advice)


async def describe(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, Topic]:
    """Those of the topics that exist. Raises Refused for one that may not be seen."""
    partitions: dict[str, int] = {}
    # Not describe_topics: on brokers that create topics by themselves, it would, with settings of their own.
    asked = MetadataRequest(names, allow_auto_topic_creation=False)
    answer = await send_request(client, asked)
    for topic in answer.to_object()["topics"]:
        if topic["error_code"] == _AUTHORIZATION:
            name = topic["topic"]
            raise KafkaMisconfigured(
                f"no permission for the topic {name}", advice=f"allow Describe and Write on {name}"
            )
        if topic["error_code"] == _NONE and topic["partitions"]:
            partitions[topic["topic"]] = len(topic["partitions"])
        elif topic["error_code"] not in (_NONE, _UNKNOWN):
            raise for_code(topic["error_code"])
    configs = await configs_of(client, partitions)
    return {name: Topic(count, configs.get(name, {})) for name, count in partitions.items()}


async def configs_of(client: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, dict[str, str]]:
    """The settings of those of the topics whose settings may be seen; of the others they are taken for right."""
    configs: dict[str, dict[str, str]] = {}
    if names:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await client.describe_configs(resources):
            for error, _text, _kind, name, entries in response.resources:
                if error == _NONE:
                    configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


async def create(
    client: AIOKafkaAdminClient,
    settings: KafkaSettings,
    names: list[str],
    latest: Collection[str],
    *,
    only_ask: bool = False,
) -> dict[str, KafkaMisconfigured]:
    """Create the topics, or ask whether they could be; those that could not, and why."""
    durable = {"min.insync.replicas": "2"} if settings.replication_factor > 2 else {}  # noqa: PLR2004 - 2 of 3
    state = {
        "cleanup.policy": "compact",
        "segment.bytes": str(32 << 20),  # a segment is compacted once it is closed: small ones keep restores short
        "min.cleanable.dirty.ratio": "0.1",
        **durable,
    }
    newest = {"cleanup.policy": "compact", **durable}
    retention = str(int(settings.retention.total_seconds() * 1000))
    events = {"cleanup.policy": "delete", "retention.ms": retention, **durable}
    topics = [
        NewTopic(name, settings.state_partitions, settings.replication_factor, topic_configs=state)
        if name == settings.state_topic
        else NewTopic(
            name, settings.partitions, settings.replication_factor, topic_configs=newest if name in latest else events
        )
        for name in names
    ]
    response = await client.create_topics(topics, validate_only=only_ask)
    refused: dict[str, KafkaMisconfigured] = {}
    for name, error, *text in response.topic_errors:
        if error in (_NONE, _EXISTS):  # another replica may have been first
            continue
        why = text[0] if text and text[0] else for_code(error).__name__
        if error in (_AUTHORIZATION, _CLUSTER_AUTHORIZATION):
            advice = f"allow the collector's user to Create it, or create {name} and set kafka.create_topics = false"
        elif error == _INVALID_REPLICATION_FACTOR:
            advice = f"there are fewer brokers than kafka.replication_factor = {settings.replication_factor}: lower it"
        else:
            advice = f"create {name} by hand"
        refused[name] = KafkaMisconfigured(f"the topic {name} cannot be created: {why}", advice=advice)
    return refused


async def _appeared(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, Topic]:
    """The topics, once every broker knows them: a controller answers before they do. Ends by the caller's deadline."""
    while len(there := await describe(client, names)) < len(names):  # noqa: ASYNC110 - nobody tells
        await anyio.sleep(0.1)
    return there


def verify_events(name: str, topic: Topic, is_compacted: bool) -> None:  # noqa: FBT001 - a fact of the topic
    policy = topic.configs.get("cleanup.policy", "")
    if "compact" in policy and not is_compacted:
        advice = f"set cleanup.policy of {name} to delete"
        raise KafkaMisconfigured(
            f"the topic {name} is compacted, which deletes all but a key's last event", advice=advice
        )
    if "delete" in policy and is_compacted:
        advice = f"set cleanup.policy of {name} to compact"
        raise KafkaMisconfigured(
            f"the topic {name} is not compacted: what did not change for long would be deleted", advice=advice
        )
    _verify_size(name, topic)


def verify_state(settings: KafkaSettings, topic: Topic) -> None:
    name = settings.state_topic
    if topic.partitions != settings.state_partitions:
        raise wrong_partitions(settings, topic.partitions)
    if topic.configs.get("cleanup.policy", "compact") != "compact":
        advice = f"set cleanup.policy of {name} to compact: anything else deletes what is known to be published"
        raise KafkaMisconfigured(f"cleanup.policy of {name} is {topic.configs['cleanup.policy']}", advice=advice)
    _verify_size(name, topic)


def wrong_partitions(settings: KafkaSettings, partitions: int) -> KafkaMisconfigured:
    """The error of a state topic with so many partitions."""
    configured = settings.state_partitions
    return KafkaMisconfigured(
        f"{settings.state_topic} has {partitions} partitions, and kafka.state_partitions is {configured}",
        advice=f"set kafka.state_partitions = {partitions}: it is fixed when the topic is created",
    )


def _verify_size(name: str, topic: Topic) -> None:
    if int(topic.configs.get("max.message.bytes", MIN_MAX_MESSAGE_BYTES)) < MIN_MAX_MESSAGE_BYTES:
        advice = f"set max.message.bytes of {name} to 1048588 or more"
        raise KafkaMisconfigured(f"max.message.bytes of {name} is {topic.configs['max.message.bytes']}", advice=advice)
