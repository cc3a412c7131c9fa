"""A topic that cannot be written to is named in the error, wherever it occurs in the batch."""

import anyio
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from collector.errors import EpochEnded, KafkaMisconfigured
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import RESPONSE, Drop
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import Topics, restored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

TOPICS = ("first", "second", "third")


@pytest.mark.parametrize("denied", ["first", "second", "third"])
async def test_a_topic_without_permission_is_named_and_the_batch_is_not_committed(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, denied: str
) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.create(*TOPICS)
    await anyio.to_thread.run_sync(_deny_writes, proxied_broker.address, prefix + denied)
    async with topics.epoch(0) as epoch:
        before = proxy.seen[Api.PRODUCE]
        with pytest.raises(KafkaMisconfigured) as refused:
            await epoch.commit([topics.message("key", "text", topic) for topic in TOPICS], {b"done": b"1"})
    assert prefix + denied == refused.value.topic
    assert before == proxy.seen[Api.PRODUCE], (
        "the previous transaction's marker could commit a message that is sent now"
    )
    async with topics.epoch(0) as epoch:
        assert 0 == restored(epoch)
        await epoch.commit(
            [topics.message("key", "text", topic) for topic in TOPICS if topic != denied], {b"done": b"1"}
        )


async def test_a_topic_whose_metadata_is_late_is_not_reported_as_missing(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """Otherwise, a stream would be parked, and an operator asked to create an existing topic."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.create()
    async with topics.epoch(0) as epoch:
        with proxy.fault(Api.METADATA, Drop(RESPONSE)) as fault, pytest.raises(EpochEnded):
            await epoch.commit([topics.message("key", "text")], {b"done": b"1"})
        assert fault.applied
        assert not isinstance(epoch.failure, KafkaMisconfigured)
    async with topics.epoch(0) as epoch:
        await epoch.commit([topics.message("key", "text")], {b"done": b"1"})


async def test_a_missing_topic_is_named(proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.create()
    async with topics.epoch(0) as epoch:
        with pytest.raises(KafkaMisconfigured) as refused:
            await epoch.commit([topics.message("key", "text", "nowhere")], {b"done": b"1"})
    assert (f"{prefix}nowhere", True) == (refused.value.topic, refused.value.is_missing)


def _deny_writes(kafka: str, topic: str) -> None:
    """Allow other operations on the topic: once a topic has ACLs, every operation that they do not allow is denied."""
    admin = AdminClient({"bootstrap.servers": kafka})
    target = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*")
    for operation in (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS):
        (created,) = admin.create_acls([AclBinding(*target, operation, AclPermissionType.ALLOW)]).values()
        created.result()
    all_of_topic = AclBindingFilter(*target, AclOperation.ANY, AclPermissionType.ANY)
    while len(admin.describe_acls(all_of_topic).result()) < 3:  # the controller responds before the broker applies them
        pass
