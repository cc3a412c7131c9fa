"""Creates topics, where the brokers refuse settings with those alone that decide how long messages are kept."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import for_code
from msgspec import Struct, structs

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, notices, requests
from collector.kafka.notices import KafkaNotice
from collector.kafka.plan import CLEANUP_POLICY, RETENTION, PlannedTopic, planned_topic
from collector.kafka.requests import (
    BAD_REPLICATION_FACTOR,
    CLUSTER_DENIED,
    DEFAULT_REPLICATION,
    INVALID_CONFIG,
    NO_ERROR,
    POLICY_VIOLATION,
    TOPIC_DENIED,
    TOPIC_EXISTS,
    NewTopic,
)
from collector.kafka.settings import KafkaSettings

KEPT = {CLEANUP_POLICY, RETENTION}, {CLEANUP_POLICY}
"""What is offered next when settings of a topic are refused: first all that decides how long its messages are kept."""


class Creation(Struct, frozen=True):
    """What became of an attempt to create topics."""

    failures: Mapping[str, KafkaMisconfigured]
    """Why a topic cannot be created, by its name."""
    reduced: Mapping[str, tuple[Mapping[str, str], str]]
    """The topics that are created without some wished settings: these, and why the brokers refuse one of them."""

    def notices(self, actual: Mapping[str, Mapping[str, str]]) -> list[KafkaNotice]:
        """The settings that topics lack, given the actual ones by topic."""
        return [
            notices.settings_refused(name, differences, reason)
            for name, (wished, reason) in self.reduced.items()
            if (differences := _differences(wished, actual[name]))
        ]


def _differences(wished: Mapping[str, str], actual: Mapping[str, str]) -> Mapping[str, tuple[str, str | None]]:
    return {key: (value, actual.get(key)) for key, value in wished.items() if actual.get(key) != value}


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
        return causes.too_few_brokers(settings, topic=name)
    if error in (INVALID_CONFIG, POLICY_VIOLATION):
        return causes.topic_refused(settings, name, reason)
    return causes.topic_not_created(settings, name, reason, is_denied=error in (TOPIC_DENIED, CLUSTER_DENIED))


async def _default_replication(client: AIOKafkaAdminClient) -> int | None:
    """The replication factor that the brokers choose; None if they do not report it."""
    brokers = (await requests.metadata(client, [])).brokers
    configs = await requests.configs(client, ConfigResourceType.BROKER, map(str, brokers[:1]))
    values = [each.get("default.replication.factor") for each in configs.values()]
    return next((int(value) for value in values if value), None)
