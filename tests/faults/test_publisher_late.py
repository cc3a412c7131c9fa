"""Requests that arrive after their sender has given up do not affect later transactions (KIP-890)."""

import anyio
import pytest

from collector.errors import EpochEnded
from collector.kafka.producer import Fenced
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import Fault, Hold
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import Publisher, Topics, restored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

TIMEOUT_S = 4
LATE_REQUEST_CODES = (47, 48)
"""InvalidProducerEpoch and InvalidTxnState: the broker's responses to late requests."""


@pytest.fixture
async def publisher(proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str) -> Publisher:
    topics = Topics(proxy, proxied_broker, prefix, 1, TIMEOUT_S)
    await topics.create()
    return Publisher(topics, 0)


async def test_a_request_that_arrives_in_the_next_epochs_transaction_is_refused(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.kafka.producer.CLOSE_S", 1.0)
    apis = (Api.END_TXN, Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN)
    topics = Topics(proxy, proxied_broker, prefix, len(apis), TIMEOUT_S)
    await topics.create()
    publishers = [Publisher(topics, partition) for partition in range(len(apis))]

    async def release_in_next_epoch(publisher: Publisher, api: Api) -> None:
        with proxy.fault(api, Hold(), for_id=publisher.id, skip=1) as late:  # the first one is the barrier's
            await _fail_to_commit(publisher)
        with proxy.fault(Api.END_TXN, Hold(), for_id=publisher.id, skip=1) as uncommitted:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_fail_to_commit, publisher)
                await uncommitted.wait_applied()
                codes = await late.release()
        assert codes
        assert {True} == {code in LATE_REQUEST_CODES for code in codes}, (api, codes)
        async with topics.epoch(publisher.partition) as epoch:
            assert 0 == restored(epoch)
            await publisher.publish_rest(epoch)

    async with anyio.create_task_group() as tasks:
        for publisher, api in zip(publishers, apis, strict=True):
            tasks.start_soon(release_in_next_epoch, publisher, api)
    committed = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(committed)


async def _fail_to_commit(publisher: Publisher) -> None:
    """Run an epoch whose first commit fails."""
    async with publisher.topics.epoch(publisher.partition) as epoch:
        with pytest.raises(EpochEnded):
            await publisher.commit(epoch, 0)


@pytest.mark.parametrize("first", [Hold(), Hold(cut=True)], ids=["timed out", "cut off"])
async def test_a_retried_commit_that_arrives_late_does_not_end_a_later_transaction(
    proxy: Proxy, publisher: Publisher, first: Hold
) -> None:
    """The first END_TXN of batch 1 arrives when the broker has received one of the produce requests of batch 2."""
    publisher.padding = {2: 200_000}
    late: list[Fault] = []

    async with anyio.create_task_group() as tasks:

        def inject(done: int) -> None:
            if done == 1 and not late:
                late.append(proxy.add(Api.END_TXN, first, for_id=publisher.id, times=1))
            elif done == 2 and len(late) == 1:
                late.append(proxy.add(Api.PRODUCE, Hold(), for_id=publisher.id, times=1, skip=1))
                tasks.start_soon(_release_when, late[1], late[0])

        publisher.before_commit = inject
        await publisher.publish()
    assert [1, 1] == [fault.applied for fault in late]
    publisher.assert_committed(await publisher.topics.committed())


async def _release_when(applied: Fault, late: Fault) -> None:
    """Once a frame is held by the first fault, release the second fault's frames before it."""
    await applied.wait_applied()
    await late.release()
    await applied.release()


@pytest.mark.parametrize("api", [Api.PRODUCE, Api.ADD_PARTITIONS_TO_TXN], ids=lambda api: api.name)
async def test_a_retried_request_that_arrives_late_duplicates_nothing(
    proxy: Proxy, publisher: Publisher, api: Api
) -> None:
    late: list[Fault] = []

    async with anyio.create_task_group() as tasks:

        def inject(done: int) -> None:
            if done == 1 and not late:
                late.append(proxy.add(api, Hold(), for_id=publisher.id, times=1))
            elif done == 2 and len(late) == 1:
                late.append(proxy.add(Api.END_TXN, Hold(), for_id=publisher.id, times=1))
                tasks.start_soon(_release_when, late[1], late[0])

        publisher.before_commit = inject
        await publisher.publish()
    assert [1, 1] == [fault.applied for fault in late]
    publisher.assert_committed(await publisher.topics.committed())
    async with publisher.topics.epoch(0) as epoch:
        assert publisher.batches == restored(epoch)


async def test_a_late_takeover_fences_the_owner_and_loses_nothing(proxy: Proxy, publisher: Publisher) -> None:
    """It arrives in the middle of a transaction, which the coordinator aborts."""
    with proxy.fault(Api.INIT_PRODUCER_ID, Hold(), for_id=publisher.id) as late, pytest.raises(TimeoutError):
        async with publisher.topics.epoch(0):
            pass
    async with publisher.topics.epoch(0) as epoch:
        await publisher.commit(epoch, 0)
        with proxy.fault(Api.PRODUCE, Hold(), for_id=publisher.id, times=1) as applied:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_release_when, applied, late)
                with pytest.raises(EpochEnded):
                    await publisher.commit(epoch, 1)
        assert isinstance(epoch.failure, Fenced)
    async with publisher.topics.epoch(0) as epoch:
        assert 1 == restored(epoch)
        await publisher.publish_rest(epoch)
    publisher.assert_committed(await publisher.topics.committed())
