"""The topics and the rights that a configuration needs: what is created, what is checked, what is printed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from collector.kafka.settings import KafkaSettings

CLEANUP_POLICY = "cleanup.policy"
"""The one setting without which state or events would be deleted."""
RETENTION = "retention.ms"
MIN_INSYNC_REPLICAS = "min.insync.replicas"
REPLICAS_OF_A_QUORUM = 3
"""From this number of replicas on, two must have a message before it is acknowledged, and one broker may still fail."""


class PlannedTopic(Struct, frozen=True):
    """A topic, with the settings that it should have."""

    name: str
    partitions: int
    configs: Mapping[str, str]


class Operation(StrEnum):
    """What a right allows, as Kafka names it. Read and Write imply Describe."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE_CONFIGS = "DescribeConfigs"


class Resource(StrEnum):
    """What a right is for."""

    TOPIC = "topic"
    TRANSACTIONAL_ID = "transactional id"
    GROUP = "group"


class Right(Struct, frozen=True):
    """Operations on one resource that the collector's user must be allowed."""

    resource: Resource
    name: str
    operations: tuple[Operation, ...]
    is_prefix: bool = False
    """Whether it is for all resources whose name starts with `name`."""


class Plan(Struct, frozen=True):
    """All that a configuration needs in Kafka."""

    topics: Sequence[PlannedTopic]
    """The state topic, then the others by name."""
    rights: Sequence[Right]
    """Those of topics in the same order. Create is among them only with `create_topics`."""


def but_name(right: Right) -> tuple[Resource, tuple[Operation, ...], bool]:
    """All of a right but the name: those of equal rights can be listed together."""
    return right.resource, right.operations, right.is_prefix


def plan(settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str]) -> Plan:
    """The topics and rights. `compacted` names the event topics that must be compacted.

    The state topic is one of the topics; `event_topics` are the others, by their whole names.
    """
    topics = [
        planned_topic(settings, name, is_compacted=name in compacted, replication=settings.replication_factor)
        for name in topic_names(settings, event_topics)
    ]
    return Plan(topics, [*(_topic_right(settings, each.name) for each in topics), *_other_rights(settings)])


def topic_names(settings: KafkaSettings, event_topics: Iterable[str]) -> list[str]:
    """The state topic, then the others by name."""
    return [settings.state_topic, *sorted(event_topics)]


def planned_topic(settings: KafkaSettings, name: str, *, is_compacted: bool, replication: int | None) -> PlannedTopic:
    """The topic of this name. `replication` is its number of replicas, None if it is not known."""
    configs = {MIN_INSYNC_REPLICAS: "2"} if replication and replication >= REPLICAS_OF_A_QUORUM else {}
    if name != settings.state_topic:
        configs |= event_topic_configs(settings, is_compacted=is_compacted)
        return PlannedTopic(name, settings.partitions, configs)
    configs |= {
        CLEANUP_POLICY: "compact",
        "segment.bytes": str(32 << 20),  # a segment is compacted once it is closed: small ones keep restores short
        "min.cleanable.dirty.ratio": "0.1",
    }
    return PlannedTopic(name, settings.state_partitions, configs)


def event_topic_configs(settings: KafkaSettings, *, is_compacted: bool) -> dict[str, str]:
    """The settings of retention with which an event topic is created."""
    if is_compacted:
        return {CLEANUP_POLICY: "compact"}
    retention_ms = int(settings.retention.total_seconds() * 1000)
    return {CLEANUP_POLICY: "delete", RETENTION: str(retention_ms)}


def _topic_right(settings: KafkaSettings, name: str) -> Right:
    operations = [Operation.READ] if name == settings.state_topic else []  # events are written only
    operations += [Operation.WRITE, Operation.DESCRIBE_CONFIGS]
    if settings.create_topics:
        operations.append(Operation.CREATE)
    return Right(Resource.TOPIC, name, tuple(operations))


def _other_rights(settings: KafkaSettings) -> Iterable[Right]:
    """Those of the producers, also of the transaction that `check` tries, and of the replicas' group."""
    ids = settings.transactional_id_prefix
    yield Right(Resource.TRANSACTIONAL_ID, ids, (Operation.WRITE,), is_prefix=True)
    yield Right(Resource.GROUP, settings.group, (Operation.READ,))
