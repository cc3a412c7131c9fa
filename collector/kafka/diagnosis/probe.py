"""Checks the brokers, topics and permissions that the daemon needs: the Kafka lines of `check`. Changes nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import anyio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import (
    BrokerResponseError,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    NotCoordinatorError,
    TransactionalIdAuthorizationFailed,
    for_code,
)

from collector.errors import KafkaMisconfigured
from collector.kafka import causes, requests
from collector.kafka.claim import verify_claimed
from collector.kafka.requests import NO_ERROR, READ, TOPIC_DENIED, UNKNOWN_TOPIC, WRITE, TopicMetadata
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Topic, admin, create, verify_events, verify_state

T = TypeVar("T")

Line = tuple[str, str | KafkaMisconfigured]
"""The name of what was checked; and its description if it is correct, else what an operator must change."""

ADD_PARTITIONS_TO_TXN, VERIFYING_VERSION = 24, 4
"""The request, and its first version, with which brokers verify transactions among themselves (KIP-890)."""
COORDINATOR_TIMEOUT_S = 10.0
"""The first coordinators of a cluster take some seconds: it creates internal topics for them."""
_RETRY_S = 0.2


async def probe(
    settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str], partitions: Iterable[int]
) -> AsyncGenerator[Line, None]:
    """Lines for the brokers, their limits, each topic, the transactional ids of these state partitions, and the group.

    Raises KafkaError, OSError or TimeoutError when the brokers cannot be used: `diagnose` finds why. Raises
    KafkaMisconfigured for a password or a certificate that cannot be read.
    """
    async with admin(settings) as client:
        brokers = [broker["node_id"] for broker in (await client.describe_cluster())["brokers"]]
        yield "kafka", await _result(_brokers(client, settings, len(brokers)))
        yield "timeouts", await _result(_timeouts(client, settings, brokers))
        topics = _Topics(client, settings, compacted, has_enough_brokers=len(brokers) >= settings.replication_factor)
        results = await topics.results([settings.state_topic, *sorted(event_topics)])
        for name, result in results.items():
            yield f"topic {name}", result
        yield "transactional ids", await _result(_transactional_ids(client, settings, sorted(partitions)))
        yield f"group {settings.group}", await _result(_group(client, settings))


async def _result(check: Awaitable[str]) -> str | KafkaMisconfigured:
    """What the check returns, or the misconfiguration that it raises."""
    try:
        return await check
    except KafkaMisconfigured as misconfigured:
        return misconfigured
    except BrokerResponseError as error:
        return causes.broker_error(error)


async def _brokers(client: AIOKafkaAdminClient, settings: KafkaSettings, count: int) -> str:
    if (await requests.max_versions(client)).get(ADD_PARTITIONS_TO_TXN, 0) < VERIFYING_VERSION:
        raise causes.brokers_too_old()
    if count < settings.replication_factor:
        raise causes.too_few_brokers(settings, count)
    return f"{_counted(count, 'broker')} at {settings.bootstrap_servers}, Apache Kafka 3.6 or newer"


async def _timeouts(client: AIOKafkaAdminClient, settings: KafkaSettings, brokers: Iterable[int]) -> str:
    """Compare timeouts with the limits of every broker, which would refuse the producers or the membership."""
    configs = (await requests.configs(client, ConfigResourceType.BROKER, map(str, brokers))).values()
    if not configs:
        return "not compared with the brokers' limits: no permission to DescribeConfigs of the cluster"
    max_transaction_s = min(int(each["transaction.max.timeout.ms"]) for each in configs) / 1000
    if settings.transaction_timeout.total_seconds() > max_transaction_s:
        raise causes.transaction_timeout(settings, max_transaction_s)
    min_session_s = max(int(each["group.min.session.timeout.ms"]) for each in configs) / 1000
    max_session_s = min(int(each["group.max.session.timeout.ms"]) for each in configs) / 1000
    if not min_session_s <= settings.session_timeout.total_seconds() <= max_session_s:
        raise causes.session_timeout(settings, (min_session_s, max_session_s))
    return "kafka.transaction_timeout and kafka.session_timeout are within the brokers' limits"


class _Topics:
    """The state topic and the event topics, by their full names."""

    def __init__(
        self,
        client: AIOKafkaAdminClient,
        settings: KafkaSettings,
        compacted: Collection[str],
        *,
        has_enough_brokers: bool,
    ) -> None:
        self._client = client
        self._settings = settings
        self._compacted = compacted
        self._has_enough_brokers = has_enough_brokers
        """Whether there are as many brokers as kafka.replication_factor requires."""

    async def results(self, names: Sequence[str]) -> Mapping[str, str | KafkaMisconfigured]:
        """The result for each topic: its description, or what an operator must change."""
        described = await requests.topic_metadata(self._client, names)
        missing = [name for name in names if described[name].error == UNKNOWN_TOPIC]
        existing = [name for name in names if described[name].error == NO_ERROR]
        creation_errors: Mapping[str, KafkaMisconfigured] = {}
        if missing and self._settings.create_topics and self._has_enough_brokers:
            creation_errors = await create(self._client, self._settings, missing, self._compacted, validate_only=True)
        configs = await requests.configs(self._client, ConfigResourceType.TOPIC, existing)

        async def check(name: str) -> str:
            topic = described[name]
            if topic.error == UNKNOWN_TOPIC:
                return self._missing(name, creation_errors)
            if topic.error == TOPIC_DENIED:
                raise causes.topic_denied(self._settings, name, "Describe")
            if topic.error != NO_ERROR:
                raise for_code(topic.error)
            return await self._existing(name, topic, configs.get(name), existing)

        return {name: await _result(check(name)) for name in names}

    def _missing(self, name: str, creation_errors: Mapping[str, KafkaMisconfigured]) -> str:
        if not self._settings.create_topics:
            raise causes.topics_missing([name])
        if not self._has_enough_brokers:
            raise causes.too_few_brokers(self._settings)
        if name in creation_errors:
            raise creation_errors[name]
        return "does not exist yet: the first start creates it"

    async def _existing(
        self, name: str, topic: TopicMetadata, configs: Mapping[str, str] | None, existing: Sequence[str]
    ) -> str:
        settings, is_state = self._settings, name == self._settings.state_topic
        if not topic.allows(WRITE):
            raise causes.topic_denied(settings, name, "Write")
        if is_state and not topic.allows(READ):
            raise causes.topic_denied(settings, name, "Read")
        if topic.leaderless:
            raise causes.leaderless(name, topic.leaderless, topic.partitions)
        known = Topic(topic.partitions, configs or {})
        if is_state:
            verify_state(settings, known)
            await verify_claimed(settings, [each for each in existing if each != name])
        else:
            verify_events(name, known, is_compacted=name in self._compacted)
        unverified = "" if configs else "; its settings are not verified: no permission to DescribeConfigs"
        return _counted(topic.partitions, "partition") + unverified


async def _transactional_ids(client: AIOKafkaAdminClient, settings: KafkaSettings, partitions: Sequence[int]) -> str:
    try:
        for partition in partitions:
            name = settings.transactional_id(partition)
            verify = partial(
                requests.verify_transactional_id, client, transactional_id=name, topic=settings.state_topic
            )
            await _at_coordinator(client, name, verify, is_transactional=True)
    except TransactionalIdAuthorizationFailed:
        raise causes.transactional_id_denied(settings) from None
    return f"{settings.group}-{settings.state_topic}-* may be used"


async def _group(client: AIOKafkaAdminClient, settings: KafkaSettings) -> str:
    try:
        describe = partial(requests.describe_group, client, group=settings.group)
        members, is_allowed = await _at_coordinator(client, settings.group, describe, is_transactional=False)
    except GroupAuthorizationFailedError:
        raise causes.group_denied(settings) from None
    if not is_allowed:
        raise causes.group_denied(settings)
    return f"may be joined, and has {_counted(members, 'member')}"


async def _at_coordinator(
    client: AIOKafkaAdminClient, key: str, request: Callable[[int], Awaitable[T]], *, is_transactional: bool
) -> T:
    """Send a request to the coordinator of the key, and retry while none is ready. Returns what `request` returns.

    `request` receives the coordinator's node; its other errors are raised. Raises KafkaMisconfigured when no
    coordinator is ready within COORDINATOR_TIMEOUT_S.
    """
    with anyio.move_on_after(COORDINATOR_TIMEOUT_S):
        while True:
            try:
                return await request(await requests.coordinator(client, key, is_transactional=is_transactional))
            except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
                await anyio.sleep(_RETRY_S)
    raise causes.no_coordinator(is_transactional=is_transactional)


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
