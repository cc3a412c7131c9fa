"""Checks the brokers, topics and permissions that the daemon needs: the Kafka lines of `check`.

It judges by what a broker can do, and not by its version. Its only change is an aborted record: see `trial`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from math import inf
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
from collector.kafka import causes, notices, requests
from collector.kafka.claim import verify_claimed
from collector.kafka.creation import Creation, create
from collector.kafka.diagnosis.trial import try_transaction
from collector.kafka.hooks import Sessions
from collector.kafka.notices import KafkaNotice
from collector.kafka.plan import topic_names
from collector.kafka.requests import NO_ERROR, READ, TOPIC_DENIED, UNKNOWN_TOPIC, WRITE, Metadata, TopicMetadata
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Topic, admin, in_sync_notice, replication_notice, verify_events, verify_state
from collector.plurals import counted

T = TypeVar("T")

Result = str | KafkaNotice | KafkaMisconfigured
"""A description of what is correct, what an operator should know, or what an operator must change."""
Line = tuple[str, Result]
"""The name of what was checked, and the result."""

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
        async for line in probe_cluster(client, settings):
            yield line
        topics = _Topics(client, settings, compacted)
        results = await topics.results(topic_names(settings, event_topics))
        for name, result in results.items():
            yield f"topic {name}", result
        if (single := replication_notice(topics.found)) is not None:
            yield "replicas", single
        if (weak := in_sync_notice(topics.found, topics.configs)) is not None:
            yield "replicas in sync", weak
        ids = await _result(_transactional_ids(client, settings, sorted(partitions)))
        yield "transactional ids", ids
        if not isinstance(ids, KafkaMisconfigured):
            state = results[settings.state_topic]
            has_topic = topics.found.topics[settings.state_topic].error == NO_ERROR
            has_topic &= not isinstance(state, KafkaMisconfigured)
            yield "transactions", await _result(try_transaction(settings, has_topic=has_topic))
        yield f"group {settings.group}", await _result(_group(client, settings))


async def probe_cluster(client: AIOKafkaAdminClient, settings: KafkaSettings) -> AsyncGenerator[Line, None]:
    """The lines about the brokers themselves. Raises as `probe`."""
    brokers = (await requests.metadata(client, [])).brokers
    yield "kafka", await _result(_brokers(client, settings, len(brokers)))
    yield "timeouts", await _result(_timeouts(client, settings, brokers))
    if (session_s := Sessions(client).shortest_s()) < notices.MIN_SESSION_S:
        yield "sessions", notices.short_sessions(session_s)


async def _result(check: Awaitable[Result]) -> Result:
    """What the check returns, or the misconfiguration that it raises."""
    try:
        return await check
    except KafkaMisconfigured as misconfigured:
        return misconfigured
    except BrokerResponseError as error:
        return causes.broker_error(error)


async def _brokers(client: AIOKafkaAdminClient, settings: KafkaSettings, count: int) -> Result:
    if settings.replication_factor is not None and count < settings.replication_factor:
        raise causes.too_few_brokers(settings, count)
    version = (await requests.max_versions(client)).get(ADD_PARTITIONS_TO_TXN, -1)
    if version < 0:
        raise causes.no_transactions("the brokers have no request AddPartitionsToTxn")
    if version < VERIFYING_VERSION:
        return notices.transactions_not_verified(version)
    verb = "verifies" if count == 1 else "verify"
    return f"{_counted(count, 'broker')} at {settings.bootstrap_servers}, which {verb} transactions"


async def _timeouts(client: AIOKafkaAdminClient, settings: KafkaSettings, brokers: Iterable[int]) -> str:
    """Compare timeouts with the limits of every broker, which would refuse the producers or the membership."""
    configs = (await requests.configs(client, ConfigResourceType.BROKER, map(str, brokers))).values()

    def limits_s(key: str) -> list[float]:
        return [int(each[key]) / 1000 for each in configs if each.get(key)]

    max_transactions_s = limits_s("transaction.max.timeout.ms")
    if max_transactions_s and settings.transaction_timeout.total_seconds() > min(max_transactions_s):
        raise causes.transaction_timeout(settings, min(max_transactions_s))
    min_sessions_s, max_sessions_s = limits_s("group.min.session.timeout.ms"), limits_s("group.max.session.timeout.ms")
    lowest_s, highest_s = max(min_sessions_s, default=0.0), min(max_sessions_s, default=inf)
    if not lowest_s <= settings.session_timeout.total_seconds() <= highest_s:
        raise causes.session_timeout(settings, (lowest_s, highest_s))
    if not (max_transactions_s and min_sessions_s and max_sessions_s):
        return "the brokers' limits are not reported, or the user may not DescribeConfigs of the cluster"
    return "kafka.transaction_timeout and kafka.session_timeout are within the brokers' limits"


class _Topics:
    """The state topic and the event topics, by their full names."""

    found: Metadata
    """The cluster and the topics, once `results` has returned."""
    configs: Mapping[str, Mapping[str, str]]
    """The settings of the topics that exist, as far as they are reported, once `results` has returned."""

    def __init__(self, client: AIOKafkaAdminClient, settings: KafkaSettings, compacted: Collection[str]) -> None:
        self._client = client
        self._settings = settings
        self._compacted = compacted

    async def results(self, names: Sequence[str]) -> Mapping[str, Result]:
        """The result for each topic."""
        self.found = await requests.metadata(self._client, names)
        described = self.found.topics
        missing = [name for name in names if described[name].error == UNKNOWN_TOPIC]
        existing = [name for name in names if described[name].error == NO_ERROR]
        creation = Creation({}, {})
        if missing and self._settings.create_topics and self._has_enough_brokers:
            creation = await create(self._client, self._settings, missing, self._compacted, validate_only=True)
        self.configs = await requests.configs(self._client, ConfigResourceType.TOPIC, existing)

        async def check(name: str) -> Result:
            topic = described[name]
            if topic.error == UNKNOWN_TOPIC:
                return self._missing(name, creation)
            if topic.error == TOPIC_DENIED:
                raise causes.topic_denied(self._settings, name, "Describe")
            if topic.error != NO_ERROR:
                raise for_code(topic.error)
            return await self._existing(name, topic, self.configs.get(name), names)

        return {name: await _result(check(name)) for name in names}

    @property
    def _has_enough_brokers(self) -> bool:
        return len(self.found.brokers) >= (self._settings.replication_factor or 1)

    def _missing(self, name: str, creation: Creation) -> Result:
        if not self._settings.create_topics:
            raise causes.topics_missing([name])
        if not self._has_enough_brokers:
            raise causes.too_few_brokers(self._settings)
        if name in creation.failures:
            raise creation.failures[name]
        if name in creation.reduced:
            wished, reason = creation.reduced[name]
            return notices.settings_refused(name, {key: (value, None) for key, value in wished.items()}, reason)
        return "does not exist yet: the first start creates it"

    async def _existing(
        self, name: str, topic: TopicMetadata, configs: Mapping[str, str] | None, names: Sequence[str]
    ) -> str:
        settings, is_state = self._settings, name == self._settings.state_topic
        if topic.allows(WRITE) is False:
            raise causes.topic_denied(settings, name, "Write")
        if is_state and topic.allows(READ) is False:
            raise causes.topic_denied(settings, name, "Read")
        if topic.leaderless:
            raise causes.leaderless(name, topic.leaderless, topic.partitions)
        known = Topic(topic.partitions, configs or {})
        if is_state:
            verify_state(settings, known)
            await verify_claimed(settings, [each for each in names if each != name])  # as the daemon claims it
        else:
            verify_events(name, known, is_compacted=name in self._compacted)
        unreported = "; whether the user may use it is not reported" if topic.allows(WRITE) is None else ""
        if not configs:
            unreported += "; its settings are not reported, or the user may not DescribeConfigs"
        return _counted(topic.partitions, "partition") + unreported


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
    return f"{settings.transactional_id_prefix}* may be used"


async def _group(client: AIOKafkaAdminClient, settings: KafkaSettings) -> str:
    try:
        describe = partial(requests.describe_group, client, group=settings.group)
        group = await _at_coordinator(client, settings.group, describe, is_transactional=False)
    except GroupAuthorizationFailedError:
        raise causes.group_denied(settings) from None
    if group.can_join is False:
        raise causes.group_denied(settings)
    may_be = "whether it may be joined is not reported; it" if group.can_join is None else "may be joined, and"
    return f"{may_be} has {_counted(len(group.members), 'member')}"


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
    return counted(number, noun) if number else f"no {noun}s"
