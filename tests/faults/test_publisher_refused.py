"""A topic that may not be written to: an operator learns which one it is, wherever it stands in the batch."""

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
from tests.faults.publisher import Topics, message, restored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unreported")]

TOPICS = ("first", "second", "third")


@pytest.mark.parametrize("denied", ["first", "second", "third"])
async def test_a_topic_without_permission_is_named_and_nothing_of_the_batch_is_there(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, denied: str
) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.ensure(*TOPICS)
    await anyio.to_thread.run_sync(_deny_writing, proxied_broker.address, prefix + denied)
    async with topics.epoch(0) as epoch:
        before = proxy.seen[Api.PRODUCE]
        with pytest.raises(KafkaMisconfigured) as refused:
            await epoch.commit([message("key", "text", topic) for topic in TOPICS], {b"done": b"1"})
    assert prefix + denied == refused.value.topic
    assert before == proxy.seen[Api.PRODUCE], "what is sent now could be committed by the previous transaction's marker"
    async with topics.epoch(0) as epoch:
        assert 0 == restored(epoch)
        await epoch.commit([message("key", "text", topic) for topic in TOPICS if topic != denied], {b"done": b"1"})


async def test_a_topic_that_nobody_told_of_in_time_is_not_missing(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str
) -> None:
    """A stream would be parked for it, and an operator sent to create what is there."""
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.ensure()
    async with topics.epoch(0) as epoch:
        with proxy.fault(Api.METADATA, Drop(RESPONSE)) as silence, pytest.raises(EpochEnded):
            await epoch.commit([message("key", "text")], {b"done": b"1"})
        assert silence.applied
        assert not isinstance(epoch.over, KafkaMisconfigured)
    async with topics.epoch(0) as epoch:
        await epoch.commit([message("key", "text")], {b"done": b"1"})


async def test_a_topic_that_is_missing_is_named(proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str) -> None:
    topics = Topics(proxy, proxied_broker, prefix, 1, 6)
    await topics.ensure()
    async with topics.epoch(0) as epoch:
        with pytest.raises(KafkaMisconfigured, match="is missing") as refused:
            await epoch.commit([message("key", "text", "nowhere")], {b"done": b"1"})
    assert f"{prefix}nowhere" == refused.value.topic


def _deny_writing(kafka: str, topic: str) -> None:
    """What is not among the rules of a topic that has some is denied."""
    admin = AdminClient({"bootstrap.servers": kafka})
    topics = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*")
    for operation in (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS):
        (made,) = admin.create_acls([AclBinding(*topics, operation, AclPermissionType.ALLOW)]).values()
        made.result()
    asked = AclBindingFilter(*topics, AclOperation.ANY, AclPermissionType.ANY)
    while len(admin.describe_acls(asked).result()) < 3:  # the controller answers before the broker knows
        pass
