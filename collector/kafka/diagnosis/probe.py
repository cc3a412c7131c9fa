"""What the daemon would find in Kafka, and what it would be allowed to do there. Changes nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import anyio
from aiokafka.admin import AIOKafkaAdminClient
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
from collector.kafka import requests as questions
from collector.kafka.claim import verify_claimed
from collector.kafka.group import outside_the_brokers_limits
from collector.kafka.producer import no_permission, too_long_for_the_brokers
from collector.kafka.requests import READ, WRITE, SeenTopic
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Topic, absent, admin, configs_of, create, verify_events, verify_state

T = TypeVar("T")

Line = tuple[str, str | KafkaMisconfigured]
"""What was looked at, and how it is, or why it is not as it must be."""

_NONE, _UNKNOWN, _DENIED = 0, 3, 29
_ADD_PARTITIONS_TO_TXN, _VERIFIES = 24, 4
"""The request, and its first version, with which brokers verify transactions among themselves."""
_COORDINATED_S = 10.0
"""A cluster's first coordinators take some seconds: it creates topics of its own for them."""
_LOOK_AGAIN_S = 0.2


async def probe(
    settings: KafkaSettings, event_topics: Iterable[str], compacted: Collection[str], partitions: Iterable[int]
) -> AsyncGenerator[Line, None]:
    """A line for the brokers, each topic, the transactional ids of these state partitions, and the group.

    Raises Refused, KafkaError, OSError or TimeoutError when there is nobody to be asked.
    """
    names = [settings.topic_prefix + name for name in sorted(event_topics)]
    latest = {settings.topic_prefix + name for name in compacted}
    async with admin(settings) as client:
        brokers = [broker["node_id"] for broker in (await client.describe_cluster())["brokers"]]
        nodes = len(brokers)
        yield "kafka", await _said(_brokers(client, settings, nodes))
        yield "timeouts", await _said(_timeouts(client, settings, brokers))
        seen = await questions.topics(client, [settings.state_topic, *names])
        said = await _topics(client, settings, seen, latest, is_large_enough=nodes >= settings.replication_factor)
        for name in (settings.state_topic, *names):
            yield f"topic {name}", said[name]
        yield "transactional ids", await _said(_transactional_ids(client, settings, sorted(partitions)))
        yield f"group {settings.group}", await _said(_group(client, settings))


async def _said(looking: Awaitable[str]) -> str | KafkaMisconfigured:
    try:
        return await looking
    except KafkaMisconfigured as refused:
        return refused
    except BrokerResponseError as error:
        return KafkaMisconfigured(
            f"the brokers say {error.message or type(error).__name__}", advice="look at their logs"
        )


async def _brokers(client: AIOKafkaAdminClient, settings: KafkaSettings, nodes: int) -> str:
    """Refuse brokers that do not verify that what they are sent belongs to an open transaction (KIP-890, Kafka 3.6).

    On older ones a message that is late on the network can end up in a later transaction.
    """
    if (await questions.newest_versions(client)).get(_ADD_PARTITIONS_TO_TXN, 0) < _VERIFIES:
        raise KafkaMisconfigured(
            "the brokers are older than Apache Kafka 3.6, and do not verify transactions",
            advice="upgrade them: exactly once cannot be promised on these",
        )
    count = f"{nodes} broker{'' if nodes == 1 else 's'}"
    if nodes < settings.replication_factor:
        told = f"kafka.replication_factor is {settings.replication_factor}, with {count}"
        raise KafkaMisconfigured(told, advice="lower it, or wait for the other brokers")
    return f"{count} at {settings.bootstrap_servers}, Apache Kafka 3.6 or newer"


async def _timeouts(client: AIOKafkaAdminClient, settings: KafkaSettings, brokers: Iterable[int]) -> str:
    """Refuse timeouts that a broker does not allow; it would refuse each producer, or the membership in the group."""
    seen = await questions.broker_settings(client, brokers)
    if not seen:
        return "not compared: the brokers' limits may not be seen (DescribeConfigs on the cluster)"
    longest_s = min(int(each["transaction.max.timeout.ms"]) for each in seen) / 1000
    if settings.transaction_timeout.total_seconds() > longest_s:
        raise too_long_for_the_brokers(settings, longest_s)
    least_s = max(int(each["group.min.session.timeout.ms"]) for each in seen) / 1000
    most_s = min(int(each["group.max.session.timeout.ms"]) for each in seen) / 1000
    if not least_s <= settings.session_timeout.total_seconds() <= most_s:
        raise outside_the_brokers_limits(settings, (least_s, most_s))
    return "kafka.transaction_timeout and kafka.session_timeout are within the brokers' limits"


async def _topics(
    client: AIOKafkaAdminClient,
    settings: KafkaSettings,
    seen: Mapping[str, SeenTopic],
    latest: Collection[str],
    *,
    is_large_enough: bool,
) -> Mapping[str, str | KafkaMisconfigured]:
    missing = [name for name, topic in seen.items() if topic.error == _UNKNOWN]
    there = [name for name, topic in seen.items() if topic.error == _NONE]
    impossible: Mapping[str, KafkaMisconfigured] = {}
    if missing and settings.create_topics and is_large_enough:
        impossible = await create(client, settings, missing, latest, only_ask=True)
    configs = await configs_of(client, there)

    async def look(name: str) -> str:
        topic = seen[name]
        if topic.error == _DENIED:
            raise KafkaMisconfigured("no permission to see it", advice=_allow("Describe", name, settings))
        if topic.error == _UNKNOWN:
            if not settings.create_topics:
                raise absent([name])
            if not is_large_enough:
                raise KafkaMisconfigured(
                    "cannot be created", advice="there are too few brokers for kafka.replication_factor"
                )
            if name in impossible:
                raise impossible[name]
            return "does not exist yet: the first start creates it"
        if topic.error != _NONE:
            raise for_code(topic.error)
        return await _existing(settings, name, topic, configs.get(name), is_compacted=name in latest, others=there)

    return {name: await _said(look(name)) for name in seen}


async def _existing(
    settings: KafkaSettings,
    name: str,
    topic: SeenTopic,
    configs: Mapping[str, str] | None,
    *,
    is_compacted: bool,
    others: Sequence[str],
) -> str:
    is_state = name == settings.state_topic
    if not topic.allows(WRITE):
        raise KafkaMisconfigured("no permission to write to it", advice=_allow("Write", name, settings))
    if is_state and not topic.allows(READ):
        raise KafkaMisconfigured("no permission to read it", advice=_allow("Read", name, settings))
    if topic.leaderless:
        told = f"{topic.leaderless} of its {topic.partitions} partitions have no leader"
        raise KafkaMisconfigured(told, advice="start the brokers that hold them")
    known = Topic(topic.partitions, configs or {})
    if is_state:
        verify_state(settings, known)
        await verify_claimed(settings, [each.removeprefix(settings.topic_prefix) for each in others if each != name])
    else:
        verify_events(name, known, is_compacted)
    unseen = "" if configs else "; its settings may not be seen (DescribeConfigs), and are taken for right"
    return f"{topic.partitions} partition{'' if topic.partitions == 1 else 's'}{unseen}"


def _allow(operation: str, topic: str, settings: KafkaSettings) -> str:
    who = settings.sasl.username if settings.sasl else "the collector's user"
    return f"allow {who} to {operation} the topic {topic}"


async def _transactional_ids(client: AIOKafkaAdminClient, settings: KafkaSettings, partitions: Sequence[int]) -> str:
    try:
        for partition in partitions:
            name = settings.transactional_id(partition)
            ask = partial(questions.may_transact, client, transactional_id=name, topic=settings.state_topic)
            await _coordinated(client, name, ask, transactional=True)
    except TransactionalIdAuthorizationFailed:
        raise no_permission() from None
    return f"{settings.group}-{settings.state_topic}-* may be used"


async def _group(client: AIOKafkaAdminClient, settings: KafkaSettings) -> str:
    refused = KafkaMisconfigured(
        "no permission to join it", advice=f"allow the collector's user to Read the group {settings.group}"
    )
    try:
        ask = partial(questions.group_members, client, group=settings.group)
        members, is_allowed = await _coordinated(client, settings.group, ask, transactional=False)
    except GroupAuthorizationFailedError:
        raise refused from None
    if not is_allowed:
        raise refused
    return f"may be joined, and has {members or 'no'} member{'' if members == 1 else 's'}"


async def _coordinated(
    client: AIOKafkaAdminClient, key: str, ask: Callable[[int], Awaitable[T]], *, transactional: bool
) -> T:
    """What the coordinator of the key answers, once there is one. Raises what the brokers say against the question."""
    with anyio.move_on_after(_COORDINATED_S):
        while True:
            try:
                return await ask(await questions.coordinator(client, key, transactional=transactional))
            except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
                await anyio.sleep(_LOOK_AGAIN_S)
    keys = "transaction.state.log.replication.factor" if transactional else "offsets.topic.replication.factor"
    advice = f"look at the brokers' logs: with fewer than three of them, {keys} must be lowered"
    raise KafkaMisconfigured("the brokers have no coordinator for it", advice=advice)
